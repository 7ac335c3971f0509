"""Observations and notifications in numbers, and what must become of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from paynotify.schemas import messages
from paynotify.schemas.messages import Observation, Refund
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status
from tests.fakes.configurations import PASSWORD

_PRICE: Final = Money(1000, "GBP")

#: What is observed of every payment, and the status each observation leads to.
LIFE: Final[tuple[tuple[Status | None, int, Status], ...]] = (
    ("pending", 0, "pending"),
    ("authorised", 0, "authorised"),
    ("captured", 0, "captured"),
    (None, 400, "partially_refunded"),
    (None, 600, "refunded"),
)


def observation(payment: str, status: Status | None = "captured", **fields: Any) -> Observation:
    """One observation of a payment over ten pounds."""
    paid = _PRICE if status == "captured" else None
    defaults: dict[str, Any] = {
        "provider": "trustpayments",
        "merchant": "shop-uk",
        "payment_id": payment,
        "order_id": f"order-{payment}",
        "status": status,
        "amount": _PRICE,
        "paid": paid,
        "source": "TRANSACTIONQUERY",
        "observed_at": "2026-06-01T12:00:00.000Z",
    }
    return Observation(**{**defaults, **fields})


def lives(payments: int, first: int = 0) -> Iterator[tuple[bytes, bytes, dict[str, str]]]:
    """The whole life of many payments as records of ``observations``, all payments taking each step together."""
    for step, (status, refunded, _) in enumerate(LIFE):
        for number in range(first, first + payments):
            refund = Refund(refund_id=f"r{step}", amount=Money(refunded, "GBP"), settled=True) if refunded else None
            one = observation(
                f"p{number}",
                status,
                refund=refund,
                provider_time=f"2026-06-01T12:00:{step:02}.000Z",
                observed_at=f"2026-06-01T12:01:{step:02}.000Z",
            )
            yield f"shop-uk/p{number}".encode(), messages.encode(one), {"ce_id": f"o-{number}-{step}"}


def notification_headers(provider: str, merchant: str, notification_id: str, **more: str) -> dict[str, str]:
    """The headers the ingress gives a notification; ``more`` with underscores for hyphens."""
    return {
        "ce_specversion": "1.0",
        "ce_id": notification_id,
        "ce_source": f"/notifications/{provider}/{merchant}",
        "ce_type": messages.NOTIFICATION_RECEIVED,
        "ce_time": "2026-06-01T12:00:00.000Z",
        "http-method": "POST",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


def trustpayments_form(reference: str, notification: str, password: str = PASSWORD) -> bytes:
    """A signed notification of a captured payment."""
    fields = {
        "errorcode": "0",
        "orderreference": "o1",
        "paymenttypedescription": "VISA",
        "requestreference": "A1",
        "settlestatus": "100",
        "sitereference": "test_site1",
        "transactionreference": reference,
    }
    signature = hashlib.sha256(("".join(fields[name] for name in sorted(fields)) + password).encode()).hexdigest()
    signed = {**fields, "notificationreference": notification, "responsesitesecurity": signature}
    return "&".join(f"{name}={value}" for name, value in signed.items()).encode()
