"""How many and how long: what the sandbox's options may say, refused before anything is started."""

from __future__ import annotations

import argparse
import math


def how_many(text: str) -> int:
    """A whole number from 1 on."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return number


def positive(text: str) -> float:
    """A number above zero."""
    number = _number(text)
    if number is None or number <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def duration(text: str) -> float:
    """A number from zero on."""
    number = _number(text)
    if number is None or number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 on")
    return number


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
