"""Values as Grafana writes them in the units that the dashboards use."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

_DIGITS: Final = 3

Scale = Sequence[tuple[float, str]]

_SECONDS: Final[Scale] = (
    (1e-6, " µs"),
    (1e-3, " ms"),
    (1, " s"),
    (60, " min"),
    (3600, " hours"),
    (86_400, " days"),
    (604_800, " weeks"),
    (31_536_000, " years"),
)
_COUNT: Final[Scale] = ((1, ""), (1e3, " K"), (1e6, " Mil"), (1e9, " Bil"))


def _scaled(value: float, scale: Scale) -> str:
    size, suffix = next(((size, suffix) for size, suffix in reversed(scale) if abs(value) >= size), scale[0])
    if value == 0:
        size, suffix = 1, next(suffix for size, suffix in scale if size == 1)
    return f"{_rounded(value / size)}{suffix}"


def _rounded(value: float) -> str:
    """Three digits, and no more than there are."""
    if value == 0:
        return "0"
    decimals = max(0, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _short(value: float) -> str:
    return _scaled(value, _COUNT) if abs(value) >= 1 else _rounded(value)


_FORMS: Final[Mapping[str, Callable[[float], str]]] = {
    "short": _short,
    "Bps": lambda value: f"{_short(value)}B/s",
    "reqps": lambda value: f"{_short(value)} req/s",
    "percentunit": lambda value: f"{_rounded(100 * value)}%",
    "s": lambda value: _scaled(value, _SECONDS),
}


def written(value: float, unit: str) -> str:
    """The value with its unit.

    Raises:
        KeyError: the unit has no form here yet.
    """
    return _FORMS[unit](value)
