"""The canonical states of a payment and what a warehouse may do in each (docs/reference/events.md)."""

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

#: Money was captured, even if it went back later.
TOOK_MONEY: Final[frozenset[Status]] = MONEY_WENT_BACK | {"captured"}

#: A warehouse waits: money may still come, or a person must look.
HOLD: Final[frozenset[Status]] = frozenset({"pending", "authorised", "suspended", "unknown"})

#: What was promised does not stand any more: goods that were released must come back.
WITHDRAWN: Final[frozenset[Status]] = ENDED_WITHOUT_MONEY | {"suspended", "unknown"}


def fulfilment(
    status: Status,
    *,
    amounts_match: bool,
    secured: bool = False,
    refunding_all: bool = False,
    withdrawn: bool = False,
) -> Fulfilment:
    """What a warehouse may do. Only captured money in the right amount releases goods, or money that is ``secured``.

    A part that was refunded changes nothing about it. ``refunding_all``: a refund of all of it is under way.
    ``withdrawn``: the goods were released before, so if the payment does not stand any more, they must be recalled.
    """
    if status in ("captured", "partially_refunded"):
        return "release" if amounts_match and not refunding_all else "hold"
    if status == "authorised":
        return "release" if secured and not refunding_all else "hold"
    if status in WITHDRAWN and withdrawn:
        return "stop"
    return "hold" if status in HOLD else "stop"
