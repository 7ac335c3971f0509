"""The amount of a transaction as the gateway reports it: in major units, as number or text, or not at all.

Sources: the vendor's pages on Result, Details and the card verification, which is initialised without an amount.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.money import Money, from_major

#: Any spelling of zero: with a sign, a decimal comma or an exponent.
_ZERO: Final = re.compile(r"[+-]?(0+([.,]0*)?|[.,]0+)([eE][+-]?[0-9]+)?\Z")


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount and what is known of it. ``money`` is set if it is positive, or zero in a known currency.

    ``unreadable``: there is an amount, but not one that can be compared, such as one with more decimals than its
    currency has.
    """

    kind: Literal["positive", "zero", "absent", "unreadable"]
    money: Money | None = None


def amount_of(data: Mapping[str, Any]) -> Amount:
    """The amount in a transaction's data. An odd one must not hide the transaction's state."""
    value = data.get("Amount")
    if value is None or (isinstance(value, str) and not value.strip()):
        return Amount("absent")
    try:
        money = from_major(value, data.get("Currency"))
    except UnreadableError:
        return Amount("zero" if _is_zero(value) else "unreadable")
    return Amount("positive" if money.value else "zero", money)


def _is_zero(value: object) -> bool:
    """Whether it is a zero without a readable currency, or in a spelling that is no amount otherwise."""
    return (
        isinstance(value, str | int | float) and not isinstance(value, bool) and bool(_ZERO.match(str(value).strip()))
    )
