"""Amounts as integers in the currency's minor unit, never as floats."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import msgspec

from paynotify.schemas.errors import UnreadableError

#: ISO 4217 exponents other than 2, list of the maintenance agency (amendment 177).
_EXPONENTS: Final[dict[str, int]] = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}

_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_MINOR = re.compile(r"[0-9]{1,18}\Z")
_LIMIT: Final = 10**18
_MAJOR = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?\Z")


class Money(msgspec.Struct, frozen=True, gc=False):
    """An amount of money: ``value`` in the currency's minor unit (1050 GBP is ten pounds fifty)."""

    value: int
    currency: str

    def __post_init__(self) -> None:
        """Refuse amounts of more than 18 digits: they do not fit into 64 bits, which JSON readers expect.

        Raises:
            ValueError: the amount has more than 18 digits.
        """
        if not -_LIMIT < self.value < _LIMIT:
            raise ValueError("an amount has at most 18 digits")


def total(values: Iterable[int], currency: str) -> Money:
    """The sum of amounts of one currency, at most the largest amount: it is compared, and must not stop a payment."""
    return Money(min(sum(values), _LIMIT - 1), currency)


def exponent(currency: str) -> int:
    """Digits after the decimal point of the currency's major unit, by ISO 4217 (2 for most)."""
    return _EXPONENTS.get(currency, 2)


def is_currency(code: object) -> bool:
    """Whether the value is a text of three capital letters, as ISO 4217 codes are."""
    return isinstance(code, str) and _CURRENCY.match(code) is not None


def checked_currency(code: object) -> str:
    """A three-letter currency code.

    Raises:
        UnreadableError: the code is not three capital letters.
    """
    if not isinstance(code, str) or not is_currency(code):
        raise UnreadableError("the response's currency is not a three-letter code")
    return code


def from_minor(value: object, currency: object) -> Money:
    """Money from an amount in minor units, as integer or digits. No provider reports negative payments.

    Raises:
        UnreadableError: the amount is not an integer of at least 0, or the currency not a three-letter code.
    """
    if isinstance(value, bool) or not isinstance(value, int | str) or not _MINOR.match(str(value)):
        raise UnreadableError("the response's amount is not an integer in minor units")
    return Money(int(value), checked_currency(currency))


def from_major(value: object, currency: object) -> Money:
    """Money from an amount in major units, as number or text (``"100"``, ``"10.50"``).

    Raises:
        UnreadableError: the amount is not a decimal number, or has more digits than the currency allows.
    """
    code = checked_currency(currency)
    text = str(value) if isinstance(value, int | float | str) else ""
    if isinstance(value, bool) or not _MAJOR.match(text):
        raise UnreadableError("the response's amount is not a decimal in major units")
    whole, _, fraction = text.partition(".")
    digits = exponent(code)
    if fraction[digits:].strip("0"):
        raise UnreadableError("the response's amount has more digits than its currency allows")
    minor = int(whole + fraction[:digits].ljust(digits, "0"))
    if minor >= _LIMIT:
        raise UnreadableError("the response's amount has more than 18 digits in minor units")
    return Money(minor, code)


def to_major(money: Money) -> str:
    """The amount in major units, exact and with all of its currency's digits (``10.50`` for 1050 GBP)."""
    return f"{Decimal(money.value).scaleb(-exponent(money.currency)):f}"
