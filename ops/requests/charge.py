"""``paynotify charge``: ask for one charge of a registered means of payment."""

from __future__ import annotations

import argparse
from typing import Final

from ops.requests import options, submit
from schemas.configuration.model import load
from schemas.messages import RequestedPayment

_EXAMPLES: Final = """\
  paynotify charge --merchant shop-hu --order SUB-2026-11-17 --amount 19.90 --currency EUR \\
      --reference 6a5e3c4fb0d14bd6a7b0f1c2d3e4f506 --dry-run          only show it
  paynotify charge ... --capture now --wait 60                       charge at once, and tell what became of it
  paynotify charge ... --request-id sub-2026-11-17 --yes --json      for programs: safe to repeat
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``paynotify charge``."""
    parser.add_argument("--merchant", required=True, metavar="ID", help="who charges")
    parser.add_argument("--order", required=True, metavar="ID", help="what the charge is for; nothing personal")
    parser.add_argument(
        "--reference", required=True, metavar="PAYMENT", help="the payment that registered the means of payment"
    )
    parser.add_argument("--amount", required=True, metavar="N", help="in major units, such as 19.90")
    parser.add_argument("--currency", required=True, metavar="CODE", help="the reference payment's, such as EUR")
    parser.add_argument("--user", metavar="ID", help="the customer's id at the gateway, if not the reference's")
    parser.add_argument(
        "--capture",
        choices=("now", "later"),
        default="later",
        help="charge at once, or only reserve the amount (default)",
    )
    parser.add_argument("--again", action="store_true", help="also if the order has a charge already")
    submit.configure(parser, _EXAMPLES)


def run(arguments: argparse.Namespace) -> int:
    """Ask for the charge.

    Raises:
        ConfigurationError: wrong use, nothing was published.
    """
    configuration = load(arguments.config)
    options.merchant_of(configuration, arguments.merchant)
    wanted = RequestedPayment(
        request_id=options.request_id(arguments.request_id),
        merchant=arguments.merchant,
        action="charge",
        order_id=options.order(arguments.order),
        reference_payment_id=options.transaction("--reference", arguments.reference),
        user_id=options.user(arguments.user),
        amount=options.amount(arguments.amount, arguments.currency),
        capture=arguments.capture,
        again=arguments.again,
        expires_at=options.expires(arguments.expires),
    )
    return submit.run(arguments, wanted, configuration)
