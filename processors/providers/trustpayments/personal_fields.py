"""Fields of Trust Payments that hold personal data: nothing of paynotify needs them in a notification."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: Whose data a field has; the names of its fields begin so.
_WHOSE: Final = ("billing", "customer", "delivery")

#: What follows. The country and the county are no more personal than a currency.
_WHAT: Final = (
    "prefixname",
    "firstname",
    "middlename",
    "lastname",
    "suffixname",
    "name",
    "premise",
    "street",
    "town",
    "postcode",
    "email",
    "telephone",
    "telephonetype",
    "dob",
    "ip",
    "forwardedip",
)

_FIELDS: Final = frozenset(
    (*(whose + what for whose in _WHOSE for what in _WHAT), "maskedpan", "pan", "expirydate", "iban")
)


def personal(fields: Iterable[str]) -> tuple[str, ...]:
    """Those of the fields that hold personal data."""
    return tuple(field for field in fields if field.lower() in _FIELDS)
