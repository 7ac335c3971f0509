"""``paynotify capture``: requests the capture of an authorisation, in full or in part."""

from __future__ import annotations

import argparse
from typing import Final

from paynotify.ops.common.amounts import parse_amount
from paynotify.ops.requests import options, submit

_EXAMPLES: Final = """\
  paynotify capture shop-hu/6a5e3c4fb0d14bd6a7b0f1c2d3e4f506 --dry-run        show the request only
  paynotify capture shop-hu/6a5e3c4fb0d14bd6a7b0f1c2d3e4f506 --wait 60        capture the whole authorisation
  paynotify capture shop-hu/6a5e3c4fb0d14bd6a7b0f1c2d3e4f506 --amount 5 --currency EUR
                                                                     capture 5.00, void the remainder
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify capture``."""
    options.add_payment(parser)
    parser.add_argument("--amount", metavar="N", help="capture only this part, in major units; the remainder is voided")
    parser.add_argument("--currency", metavar="CODE", help="currency of the amount, such as EUR")
    submit.configure(parser, _EXAMPLES)


def run(arguments: argparse.Namespace) -> int:
    """Request the capture. The exit codes are those of `submit.run`.

    Raises:
        ConfigurationError: an option or the configuration is wrong, or nothing could be published.
    """
    return submit.run_for_payment(arguments, "capture", parse_amount(arguments.amount, arguments.currency))
