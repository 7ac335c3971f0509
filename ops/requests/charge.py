"""``paynotify charge``: requests one merchant-initiated charge of a registered payment method."""

from __future__ import annotations

import argparse
from typing import Final

from paynotify.ops.common.amounts import parse_amount
from paynotify.ops.requests import options, submit
from paynotify.schemas.configuration.load import load
from paynotify.schemas.messages import RequestedPayment

_EXAMPLES: Final = """\
  paynotify charge --merchant shop-hu --order SUB-2026-11-17 --amount 19.90 --currency EUR \\
      --reference 6a5e3c4fb0d14bd6a7b0f1c2d3e4f506 --dry-run          show the request only
  paynotify charge ... --capture now --wait 60                       capture at once, and print the outcome
  paynotify charge ... --request-id sub-2026-11-17 --yes --json      for programs: safe to repeat
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify charge``."""
    parser.add_argument("--merchant", required=True, metavar="ID", help="merchant that charges")
    parser.add_argument(
        "--order", required=True, metavar="ID", help="order to charge for; must not contain personal data"
    )
    parser.add_argument(
        "--reference", required=True, metavar="PAYMENT", help="initial payment that registered the payment method"
    )
    parser.add_argument("--amount", required=True, metavar="N", help="amount in major units, such as 19.90")
    parser.add_argument("--currency", required=True, metavar="CODE", help="currency of the initial payment")
    parser.add_argument(
        "--user", metavar="ID", help="customer's id at the gateway (default: that of the initial payment)"
    )
    parser.add_argument(
        "--capture",
        choices=("now", "later"),
        default="later",
        help="capture at once, or only authorise the amount (default: later)",
    )
    parser.add_argument("--again", action="store_true", help="charge even if the order already has a charge")
    submit.configure(parser, _EXAMPLES)


def run(arguments: argparse.Namespace) -> int:
    """Request the charge. The exit codes are those of `submit.run`.

    Raises:
        ConfigurationError: an option or the configuration is wrong, or nothing could be published.
    """
    configuration = load(arguments.config)
    merchant = options.charging_merchant(configuration, arguments.merchant)
    request = RequestedPayment(
        request_id=options.parse_request_id(arguments.request_id),
        merchant=arguments.merchant,
        action="charge",
        order_id=options.parse_order_id(arguments.order),
        reference_payment_id=options.parse_payment_id("--reference", arguments.reference, merchant),
        user_id=options.parse_user_id(arguments.user),
        amount=parse_amount(arguments.amount, arguments.currency),
        capture=arguments.capture,
        again=arguments.again,
        expires_at=options.parse_expiry(arguments.expires),
    )
    return submit.run(arguments, request, configuration)
