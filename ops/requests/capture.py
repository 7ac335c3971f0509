"""``paynotify capture``: ask for a hold to be charged, whole or in part."""

from __future__ import annotations

import argparse
from typing import Final

from ops.requests import options, submit
from schemas.configuration.model import load
from schemas.messages import RequestedPayment

_EXAMPLES: Final = """\
  paynotify capture shop-hu/6a5e3c4fb0d14bd6a7b0f1c2d3e4f506 --dry-run        only show it
  paynotify capture shop-hu/6a5e3c4fb0d14bd6a7b0f1c2d3e4f506 --wait 60        charge the whole hold
  paynotify capture shop-hu/6a5e3c4fb0d14bd6a7b0f1c2d3e4f506 --amount 5 --currency EUR
                                                                     charge 5.00, release the rest
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``paynotify capture``."""
    parser.add_argument("payment", metavar="MERCHANT/PAYMENT", help="the authorised payment")
    parser.add_argument("--amount", metavar="N", help="a part of the hold in major units; the rest is released")
    parser.add_argument("--currency", metavar="CODE", help="of the amount, such as EUR")
    submit.configure(parser, _EXAMPLES)


def run(arguments: argparse.Namespace) -> int:
    """Ask for the capture.

    Raises:
        ConfigurationError: wrong use, nothing was published.
    """
    configuration = load(arguments.config)
    merchant, payment = options.payment_of(arguments.payment)
    options.merchant_of(configuration, merchant)
    wanted = RequestedPayment(
        request_id=options.request_id(arguments.request_id),
        merchant=merchant,
        action="capture",
        payment_id=payment,
        amount=options.amount(arguments.amount, arguments.currency),
        expires_at=options.expires(arguments.expires),
    )
    return submit.run(arguments, wanted, configuration)
