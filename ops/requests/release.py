"""``paynotify release``: ask for a hold to be given back whole."""

from __future__ import annotations

import argparse
from typing import Final

from ops.requests import options, submit
from schemas.configuration.model import load
from schemas.messages import RequestedPayment

_EXAMPLES: Final = """\
  paynotify release shop-hu/6a5e3c4fb0d14bd6a7b0f1c2d3e4f506 --dry-run        only show it
  paynotify release shop-hu/6a5e3c4fb0d14bd6a7b0f1c2d3e4f506 --wait 60        give the money back to the customer
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``paynotify release``."""
    parser.add_argument("payment", metavar="MERCHANT/PAYMENT", help="the authorised payment")
    submit.configure(parser, _EXAMPLES)


def run(arguments: argparse.Namespace) -> int:
    """Ask for the release.

    Raises:
        ConfigurationError: wrong use, nothing was published.
    """
    configuration = load(arguments.config)
    merchant, payment = options.payment_of(arguments.payment)
    options.merchant_of(configuration, merchant)
    wanted = RequestedPayment(
        request_id=options.request_id(arguments.request_id),
        merchant=merchant,
        action="release",
        payment_id=payment,
        expires_at=options.expires(arguments.expires),
    )
    return submit.run(arguments, wanted, configuration)
