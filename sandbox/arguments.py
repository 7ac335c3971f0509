"""Number types for command-line options, which reject a wrong value before anything is started."""

from __future__ import annotations

import argparse
import math


def positive_integer(text: str) -> int:
    """A whole number of at least 1.

    Raises:
        argparse.ArgumentTypeError: the text is not such a number.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return number


def positive_number(text: str) -> float:
    """A finite number above 0.

    Raises:
        argparse.ArgumentTypeError: the text is not such a number.
    """
    number = _finite(text)
    if number is None or number <= 0:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return number


def non_negative_number(text: str) -> float:
    """A finite number of at least 0.

    Raises:
        argparse.ArgumentTypeError: the text is not such a number.
    """
    number = _finite(text)
    if number is None or number < 0:
        raise argparse.ArgumentTypeError(f"must be a number of at least 0, got {text!r}")
    return number


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
