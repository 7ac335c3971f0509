"""Records of the topics that the console reads, made by chance, and read in any interleaving."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

from paynotify.ops.console.index.tables import TABLES
from paynotify.schemas import topics
from paynotify.schemas.messages import (
    Checks,
    ExpectedPayment,
    OperationsEvent,
    OperatorAction,
    OverduePayment,
    PaymentRequest,
    PaymentStatus,
    ProviderSilent,
    Reconciliation,
    encode,
)
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


def newest_record(offset: int, status: PaymentStatus) -> Record:
    """The payment's record on `payments.latest`, in its first partition."""
    return record(topics.LATEST, 0, offset, f"{status.merchant}/{status.payment_id}", encode(status))


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


def overdue(partition: int, offset: int, draw: random.Random) -> Record:
    one = OverduePayment(
        event_id=f"e{offset}",
        state=draw.choice(("raised", "cleared")),
        provider="trustpayments",
        merchant="shop-uk",
        order_id=draw.choice(IDS),
        payment_id=None,
        status=None,
        amount=Money(draw.randint(1, 3), "GBP"),
        created_at=TIMES[0],
        final_by=TIMES[2],
        at=draw.choice(TIMES),
    )
    return record(topics.OVERDUE, partition, offset, "shop-uk", encode(one))


def silent(partition: int, offset: int, draw: random.Random) -> Record:
    one = ProviderSilent(
        event_id=f"e{offset}",
        state=draw.choice(("silent", "heard")),
        provider=draw.choice(("trustpayments", "nevogate")),
        unheard=draw.randint(1, 3),
        since=TIMES[0],
        at=draw.choice(TIMES),
        urgent=False,
        merchant=draw.choice((None, "shop-uk")),
    )
    return record(topics.SILENT, partition, offset, one.provider, encode(one))


def case(partition: int, offset: int, draw: random.Random) -> Record:
    """A worker that was killed may write the same case again."""
    one = OperationsEvent(
        event_id=draw.choice(IDS),
        kind=draw.choice(("corrected", "over_refunded")),
        provider="trustpayments",
        merchant="shop-uk",
        cause="c",
        at=draw.choice(TIMES),
    )
    return record(topics.OPERATIONS, partition, offset, "shop-uk/a", encode(one))


def action(partition: int, offset: int, draw: random.Random) -> Record:
    one = OperatorAction(
        event_id=f"e{offset}",
        action_id=draw.choice(IDS),
        state=draw.choice(("intended", "done", "failed")),
        command="replay",
        by=draw.choice(("jo", "anna")),
        identity="named",
        at=draw.choice(TIMES),
    )
    return record(topics.OPERATORS, partition, offset, one.action_id, encode(one))


def dead(partition: int, offset: int, draw: random.Random) -> Record:
    headers = {"reason": draw.choice(("malformed", "attempts_exhausted")), "original-topic": "lookups.trustpayments"}
    return record(topics.DEAD, partition, offset, f"shop-uk/{draw.choice(IDS)}", b"body", **headers)


def reconciliation(partition: int, offset: int, draw: random.Random) -> Record:
    """Each merchant has its partition; a run may be written twice, and clocks of operators differ."""
    merchant = draw.choice((("shop-uk", "shop-hu"), ("shop-nl",))[partition])
    one = Reconciliation(
        event_id=f"run-{draw.randint(0, 400):03}",
        merchant=merchant,
        provider="trustpayments",
        start=TIMES[0],
        end=TIMES[2],
        slack_seconds=900,
        source="provider",
        compared=draw.randint(0, 9),
        differences_total=0,
        by="jo",
        identity="named",
        at=TIMES[0],
    )
    return record(topics.RECONCILIATIONS, partition, offset, merchant, draw.choice((encode(one), encode(one), b"{}")))


MAKERS: Final = (latest, expected, overdue, request, silent, case, action, rejected, dead, reconciliation)


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
    """The same 5,000 records in every process."""
    chance = random.Random(7)
    makers = {(one(0, 0, chance).topic, partition): one for one in MAKERS for partition in (0, 1)}
    return {
        (topic, partition): [make(partition, offset, chance) for offset in range(250)]
        for (topic, partition), make in makers.items()
    }
