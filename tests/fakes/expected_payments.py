"""An expected payment as a shop writes it, and values that are refused."""

from __future__ import annotations

from typing import Any

from paynotify.schemas import messages

ORDER = {
    "merchant": "shop",
    "order_id": "o1",
    "amount": {"value": 1000, "currency": "GBP"},
    "created_at": "2026-06-01T13:00:00+01:00",
    "final_by": "2026-06-01T14:00:00+01:00",
}

WRONG: tuple[dict[str, Any], ...] = (
    {"amount": {"value": 10.5, "currency": "GBP"}},
    {"amount": {"value": 0, "currency": "GBP"}},
    {"amount": None},
    {"amount": {"value": 1000, "currency": "gbp"}},
    {"created_at": "yesterday"},
    {"created_at": "2026-06-01T13:00:00"},
    {"final_by": "soon"},
    {"order_id": ""},
    {"order_id": "o" * 256},
    {"payment_id": ""},
    {"merchant": 1},
    {"several": "yes"},
)


def written(**changes: Any) -> bytes:
    """The value of the shop's record, with other fields."""
    return messages.encode({**ORDER, **changes})
