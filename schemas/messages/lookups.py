"""Lookups: the calls to make to a provider, and which of them a response answers."""

from __future__ import annotations

from typing import Final

import msgspec

from paynotify.schemas.messages.empty import no_words
from paynotify.schemas.times import TimeText

#: The values on ``lookups.<provider>.known``: whether the provider knew the id that is the record's key.
KNOWN: Final = b"known"

UNKNOWN: Final = b"unknown"

#: The argument of a recovery lookup, which no notification caused: a payment unknown to the provider is no error there.
RECOVERY: Final = "recovery"

#: The argument that says why the product makes a lookup, and its values: a payment is followed until it is settled, or
#: a response says that there is money but not how much.
CAUSE: Final = "cause"

SETTLEMENT_DUE: Final = "settlement due"

AMOUNT_MISSING: Final = "amount missing"

CAUSES: Final = frozenset((SETTLEMENT_DUE, AMOUNT_MISSING))

#: The argument of a lookup of many references at once, separated by blanks; its own ``reference`` is None.
REFERENCES: Final = "references"


class Lookup(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A call to make to the provider; its id is the record's ``ce_id``.

    ``operation`` is one of those in the provider's contract. ``reference`` is the provider's id of the payment or order
    (None for a pull). ``arguments`` are the provider's own, such as the notification's pull token. A recovery lookup
    has no notification: its ``notification_id`` names its cause.
    """

    provider: str
    merchant: str
    operation: str
    reference: str | None
    notification_id: str
    received_at: TimeText
    arguments: dict[str, str] = msgspec.field(default_factory=no_words)


class Answered(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One lookup that a response answers (header ``lookups`` of a response record)."""

    lookup_id: str
    reference: str | None
    received_at: TimeText
    traceparent: str
