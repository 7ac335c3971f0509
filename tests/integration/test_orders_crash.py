"""The stage that joins orders, killed with -9 at every numbered step: each order is told of once, none forgotten."""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from paynotify.schemas import messages
from paynotify.schemas.messages import ExpectedPayment, PaymentSeen
from paynotify.schemas.money import Money
from tests.integration.conftest import DEADLINE_SECONDS, Installation
from tests.long_form import LONG
from tests.topics_reader import header, send

pytestmark = pytest.mark.kafka

ORDERS = 300
PRICE = Money(1000, "GBP")
PAST, FUTURE = "2026-06-01T12:00:00.000Z", "2036-06-01T12:00:00.000Z"
#: Their times went by long ago, so that the last one makes up for both.
LOOKS = [0.5, 1.0]
LOOKS_MADE = 1


def overdue(number: int) -> bool:
    return number % 2 == 0


def found(number: int) -> bool:
    return number % 4 == 0


def announced() -> Iterator[tuple[bytes, bytes, dict[str, str]]]:
    for number in range(ORDERS):
        one = ExpectedPayment(
            merchant="shop-uk",
            order_id=f"o{number}",
            amount=PRICE,
            created_at=PAST,
            final_by=PAST if overdue(number) else FUTURE,
        )
        yield b"%d" % number, messages.encode(one), {}


def paid(numbers: list[int]) -> Iterator[tuple[bytes, bytes, dict[str, str]]]:
    for number in numbers:
        seen = PaymentSeen(
            provider="trustpayments",
            merchant="shop-uk",
            payment_id=f"1-1-{number}",
            order_id=f"o{number}",
            status="captured",
            final=True,
            amount=PRICE,
            observed_at="2026-06-01T13:00:00.000Z",
        )
        yield f"shop-uk/o{number}".encode(), messages.encode(seen), {"ce_type": messages.PAYMENT_SEEN, "ce_time": PAST}


def distinct(installation: Installation, topic: str) -> dict[str, Any]:
    """The topic's records by their ids; asserts that one id has one content."""
    contents: dict[str, bytes] = {}
    for record in installation.records(topic):
        assert contents.setdefault(header(record, "ce_id"), record.value) == record.value
    return {name: orjson.loads(value) for name, value in contents.items()}


@pytest.mark.parametrize("step", range(1, 7) if LONG else (4,))
def test_order_is_reported_once(installation: Installation, step: int) -> None:
    worker = {
        "overdue": {"poll_schedule_seconds": {"trustpayments": LOOKS}, "takeover_grace_seconds": 0},
        "batch_records": 50,
    }
    installation.configure(worker=worker)
    topic = installation.topic("payments.orders")
    send(installation.kafka, installation.topic("payments.expected"), announced())
    send(installation.kafka, topic, paid([number for number in range(ORDERS) if not overdue(number)]))
    child = installation.worker("orders", kill_at=f"orders.all/{step}/6", ready=False)
    assert child.wait(DEADLINE_SECONDS), child.end()
    assert child.exit_code == -signal.SIGKILL, child.end()
    child = installation.worker("orders")
    late = [number for number in range(ORDERS) if overdue(number)]
    installation.until(lambda: len(distinct(installation, "payments.overdue")) >= len(late), child)
    send(installation.kafka, topic, paid([number for number in late if found(number)]))
    asked_for_ever = [number for number in late if not found(number)]
    installation.until(lambda: settled(installation, late, asked_for_ever), child, within_seconds=90)
    assert child.stop() == 0
    said = defaultdict(list)
    for event in distinct(installation, "payments.overdue").values():
        said[event["order_id"]].append(event["state"])
    assert said == {f"o{number}": ["raised", "cleared"] if found(number) else ["raised"] for number in late}
    told = [one["payment_id"] for one in distinct(installation, "observations").values()]
    assert sorted(told) == sorted(f"1-1-{number}" for number in range(ORDERS) if found(number) or not overdue(number))
    looks: dict[str, int] = defaultdict(int)
    for lookup in distinct(installation, "lookups.trustpayments").values():
        looks[lookup["notification_id"].split("/")[2] if "/" in lookup["notification_id"] else "?"] += 1
    for number in asked_for_ever:
        assert looks[f"o{number}"] == LOOKS_MADE


def settled(installation: Installation, late: list[int], asked_for_ever: list[int]) -> bool:
    """Whether all that was found is cleared and the others were looked for to the end."""
    events = len(distinct(installation, "payments.overdue"))
    lookups = distinct(installation, "lookups.trustpayments").values()
    last = sum(any(f"/o{number}/" in one["notification_id"] for number in asked_for_ever) for one in lookups)
    return events == len(late) + sum(map(found, late)) and last >= len(asked_for_ever) * LOOKS_MADE
