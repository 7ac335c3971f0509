"""The canonical states of a payment and what a warehouse may do in each (docs/consumers.md)."""

from __future__ import annotations

from typing import Final, Literal

Status = Literal[
    "pending",
    "authorised",
    "captured",
    "declined",
    "cancelled",
    "expired",
    "failed",
    "suspended",
    "partially_refunded",
    "refunded",
    "charged_back",
    "unknown",
]

Fulfilment = Literal["release", "hold", "stop"]

AmountCheck = Literal["match", "mismatch", "unknown"]
OrderCheck = Literal["expected", "unexpected"]

#: No later event is expected, although a late success or a refund may still come.
FINAL: Final[frozenset[Status]] = frozenset(
    {"captured", "declined", "cancelled", "expired", "failed", "partially_refunded", "refunded", "charged_back"}
)

#: The payment has ended and took no money. A late success may still follow.
ENDED_WITHOUT_MONEY: Final[frozenset[Status]] = frozenset({"declined", "cancelled", "expired", "failed"})

#: Captured money that went back, in part or in whole.
MONEY_WENT_BACK: Final[frozenset[Status]] = frozenset({"partially_refunded", "refunded", "charged_back"})

#: A warehouse waits: money may still come, or a person must look.
HOLD: Final[frozenset[Status]] = frozenset({"pending", "authorised", "suspended", "unknown"})


def fulfilment(status: Status, *, amounts_match: bool) -> Fulfilment:
    """What a warehouse may do. Only captured money in the right amount releases goods."""
    if status in HOLD:
        return "hold"
    if status == "captured":
        return "release" if amounts_match else "hold"
    return "stop"
