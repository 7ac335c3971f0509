"""Records of the topics that the console reads, made by chance, and read in any interleaving."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

from paynotify.ops.console.tables import TABLES
from paynotify.schemas import topics
from paynotify.schemas.messages import Checks, ExpectedPayment, PaymentRequest, PaymentStatus, encode
from paynotify.schemas.money import Money
from paynotify.schemas.records import Record

NAMES: Final = {one.topic: one.topic for one in TABLES}
IDS: Final = ("a", "b", "c/d")
TIMES: Final = ("2026-11-29T10:00:00Z", "2026-11-29T11:30:00+02:00", "2026-11-29T10:00:00.500Z", "soon")

Partitions = dict[tuple[str, int], list[Record]]


def record(topic: str, partition: int, offset: int, key: str, value: bytes | None, **headers: str) -> Record:
    encoded = tuple((name, text.encode()) for name, text in headers.items())
    return Record(topic, partition, offset, key.encode(), value, encoded, 1764410400.0 + offset)


def payment_status(payment_id: str, sequence: int, order_id: str | None = None, **more: Any) -> PaymentStatus:
    whole: dict[str, Any] = {
        "event_id": f"{payment_id}-{sequence}",
        "provider": "trustpayments",
        "merchant": "shop-uk",
        "status": "captured",
        "previous_status": None,
        "final": True,
        "fulfilment": "release",
        "amount": Money(1050, "GBP"),
        "paid": None,
        "refunded": None,
        "reason": None,
        "provider_status": {},
        "checks": Checks(amount="match", order="expected"),
        "source": "TRANSACTIONQUERY",
        "provider_time": None,
        "observed_at": "2026-11-29T10:00:00.000Z",
    }
    return PaymentStatus(payment_id=payment_id, sequence=sequence, order_id=order_id, **{**whole, **more})


def latest(partition: int, offset: int, draw: random.Random) -> Record:
    """Each payment has its partition; one in five records says that it is forgotten."""
    payment = draw.choice((("a", "b"), ("c/d",))[partition])
    key = f"shop-uk/{payment}"
    if draw.random() < 0.2:
        return record(topics.LATEST, partition, offset, key, None)
    status = payment_status(payment_id=payment, sequence=draw.randint(1, 5), order_id=draw.choice((None, "O1", "O2")))
    return record(topics.LATEST, partition, offset, key, encode(status))


def expected_payment(order_id: str, amount: Money) -> ExpectedPayment:
    return ExpectedPayment(merchant="shop-uk", order_id=order_id, amount=amount, created_at=TIMES[0])


def expected(partition: int, offset: int, draw: random.Random) -> Record:
    """A shop chooses its keys, so that one order may be in any partition."""
    one = ExpectedPayment(
        merchant="shop-uk",
        order_id=draw.choice(IDS),
        amount=Money(draw.randint(1, 3), "GBP"),
        created_at=draw.choice(TIMES),
    )
    return record(topics.EXPECTED, partition, offset, "any", draw.choice((encode(one), encode(one), b"{}", None)))


def request(partition: int, offset: int, draw: random.Random) -> Record:
    one = PaymentRequest(
        event_id="e",
        request_id=draw.choice(IDS),
        merchant="shop-hu",
        provider="nevogate",
        action="charge",
        state=draw.choice(("received", "started", "uncertain", "refused", "done")),
        reason=None,
        order_id="O1",
        payment_id=None,
        amount=None,
        status=None,
        at=draw.choice(TIMES),
    )
    return record(topics.REQUESTS, partition, offset, "shop-hu", encode(one))


def rejected(partition: int, offset: int, draw: random.Random) -> Record:
    headers = {"reason": draw.choice(("malformed", "bad_signature")), "ce_id": f"n{offset}"}
    return record(topics.REJECTED, partition, offset, f"shop-uk/{draw.choice(IDS)}", b"body", **headers)


MAKERS: Final = (latest, expected, request, rejected)


def reads(made: Partitions, chance: random.Random) -> Iterator[tuple[tuple[str, int], list[Record]]]:
    """The partitions in parts, in any interleaving."""
    left = {place: list(found) for place, found in made.items()}
    while left:
        place = chance.choice(sorted(left))
        size = chance.randint(1, 3)
        part, left[place] = left[place][:size], left[place][size:]
        if not left[place]:
            del left[place]
        yield place, part


def many() -> Partitions:
    """The same 4,000 records in every process."""
    chance = random.Random(7)
    makers = {(one(0, 0, chance).topic, partition): one for one in MAKERS for partition in (0, 1)}
    return {
        (topic, partition): [make(partition, offset, chance) for offset in range(500)]
        for (topic, partition), make in makers.items()
    }
