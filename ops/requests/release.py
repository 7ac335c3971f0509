"""``paynotify release``: requests that an authorisation is voided, so that none of its amount is captured."""

from __future__ import annotations

import argparse
from typing import Final

from paynotify.ops.requests import options, submit

_EXAMPLES: Final = """\
  paynotify release shop-hu/6a5e3c4fb0d14bd6a7b0f1c2d3e4f506 --dry-run        show the request only
  paynotify release shop-hu/6a5e3c4fb0d14bd6a7b0f1c2d3e4f506 --wait 60        void the authorisation
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify release``."""
    options.add_payment(parser)
    submit.configure(parser, _EXAMPLES)


def run(arguments: argparse.Namespace) -> int:
    """Request the void. The exit codes are those of `submit.run`.

    Raises:
        ConfigurationError: an option or the configuration is wrong, or nothing could be published.
    """
    return submit.run_for_payment(arguments, "release")
