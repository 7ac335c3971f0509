"""Amounts of money as an operator writes and reads them: in major units, with a currency."""

from __future__ import annotations

from paynotify.schemas.errors import ConfigurationError, UnreadableError
from paynotify.schemas.money import Money, from_major, to_major


def parse_amount(text: str | None, currency: str | None, option: str = "--amount") -> Money | None:
    """The amount of ``option`` and ``--currency``; None if neither was given.

    Raises:
        ConfigurationError: only one of the two was given, or the amount is not positive and exact in its currency.
    """
    if text is None and currency is None:
        return None
    if text is None or currency is None:
        raise ConfigurationError(
            f"{option} and --currency must be given together, as in {option} 19.90 --currency EUR."
        )
    try:
        money = from_major(text, currency)
    except UnreadableError:
        money = Money(0, "EUR")
    if not money.value:
        raise ConfigurationError(
            f"{option} must be greater than 0 with no more decimals than the currency has, and --currency must be an "
            f"ISO 4217 code ({option} 19.90 --currency EUR); got {text!r} and {currency!r}."
        )
    return money


def money_text(money: Money) -> str:
    """The amount in major units with its currency."""
    return f"{to_major(money)} {money.currency}"
