"""Result events as records, for the tests of the example consumers."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from paynotify.sandbox.consumer import apply_batch

_OFFSETS = itertools.count()


def event(sequence: int, status: str, **fields: Any) -> dict[str, Any]:
    """One event of one payment over 10.50 GBP."""
    money = {"value": 1050, "currency": "GBP"}
    paid = money if status in {"captured", "partially_refunded", "refunded", "charged_back"} else None
    return {
        "event_id": f"{fields.get('payment_id', 'P1')}-{sequence}-{status}",
        "sequence": sequence,
        "merchant": "shop",
        "payment_id": "P1",
        "order_id": "O1",
        "status": status,
        "amount": money,
        "paid": paid,
        "refunded": None,
        "fulfilment": "hold",
        **fields,
    }


def record(value: dict[str, Any] | bytes, offset: int | None = None) -> SimpleNamespace:
    """The event as a record of the topic."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return SimpleNamespace(
        topic="payments.status", partition=0, offset=next(_OFFSETS) if offset is None else offset, value=data
    )


def read(
    database: sqlite3.Connection,
    effect: Callable[[sqlite3.Connection, dict[str, Any]], None],
    *events: dict[str, Any] | bytes,
) -> None:
    """Apply the events as one batch."""
    apply_batch(database, "reader", [record(one) for one in events], effect)
