"""``paynotify release``: ask for a hold to be given back whole."""

from __future__ import annotations

import argparse
from typing import Final

from ops import request, request_input
from schemas.configuration import load
from schemas.messages import RequestedPayment

_EXAMPLES: Final = """\
  paynotify release shop-hu/6a5e3c4fb0d14bd6a7b0f1c2d3e4f506 --dry-run        only show it
  paynotify release shop-hu/6a5e3c4fb0d14bd6a7b0f1c2d3e4f506 --wait 60        give the money back to the customer
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``paynotify release``."""
    parser.add_argument("payment", metavar="MERCHANT/PAYMENT", help="the authorised payment")
    request.configure(parser, _EXAMPLES)


def run(arguments: argparse.Namespace) -> int:
    """Ask for the release.

    Raises:
        ConfigurationError: wrong use, nothing was published.
    """
    configuration = load(arguments.config)
    merchant, payment = request_input.payment_of(arguments.payment)
    request_input.merchant_of(configuration, merchant)
    wanted = RequestedPayment(
        request_id=request_input.request_id(arguments.request_id),
        merchant=merchant,
        action="release",
        payment_id=payment,
        expires_at=request_input.expires(arguments.expires),
    )
    return request.run(arguments, wanted, configuration)
