"""Smart Pay's events, signed as the simulated bank signs them, and the bank's keys as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from paynotify.processors.providers.base import Notification
from paynotify.processors.providers.smartpay.contract import EVENT_ID, EVENT_TYPE, SIGNATURE
from paynotify.sandbox.simulators.smartpay.key_ring import BankKey, KeyRing
from tests.fakes.accounts import NOW, notification

ORDER_ID: Final = "5d1c2c0e-8f2b-4f0e-9c57-0a6f3f5b7d11"
SUBSCRIPTION: Final = "wsb_1"


def event_body(**changes: Any) -> bytes:
    """An event of a completed order."""
    event = {
        "id": "evt_1",
        "type": "order.status.finalized/v1",
        "subscription": {"id": SUBSCRIPTION},
        "timestamp": int(NOW.timestamp()),
        "data": event_data(),
        **changes,
    }
    return json.dumps({name: value for name, value in event.items() if value is not None}).encode()


def event_data(status: str = "completed", total: Any = 1050, paid: Any = 1050, order_id: Any = ORDER_ID) -> Any:
    """The data of such an event."""
    return {"orderId": order_id, "status": status, "amount": {"total": total, "paid": paid}, "metadata": "a name"}


def signed_event(key: BankKey, body: bytes | None = None, **headers: str) -> Notification:
    """The event as it is stored; ``headers`` with underscores are other ones than those that belong to it."""
    body = event_body() if body is None else body
    document = json.loads(body)
    given = {
        SIGNATURE: key.sign(body),
        EVENT_TYPE: str(document["type"]),
        EVENT_ID: str(document["id"]),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return notification("smartpay", body, headers=given)


def key_file(keys: KeyRing, directory: Path) -> str:
    """The published keys in a file."""
    file = directory / "keys.json"
    file.write_bytes(keys.document())
    return str(file)
