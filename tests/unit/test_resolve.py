"""Observations become events on both result topics, once."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.resolve import Resolve
from processors.state import Overlay
from schemas import messages
from schemas.messages import Observation, PaymentStatus
from schemas.records import Output, Record
from schemas.status import Status
from tests.observations import observation
from tests.unit.stage_parts import KAFKA, MemoryStore, counted, empty, header, metrics, record, refuse_publish

WORDS: tuple[Status, ...] = ("pending", "authorised", "suspended", "captured", "failed", "refunded")


def observed(one: Observation, **headers: str) -> Record:
    more = {name.replace("_", "-"): text for name, text in headers.items()}
    key = f"{one.merchant}/{one.payment_id}".encode()
    return record(messages.encode(one), {"ce_id": "o", **more}, key=key, topic="observations")


async def resolve(records: Sequence[Record], state: Overlay | None = None) -> list[Output]:
    stage = Resolve(KAFKA, metrics())
    return list(await stage.work(records, state if state is not None else empty(), refuse_publish))


async def test_an_event_goes_to_both_topics_with_the_same_bytes() -> None:
    status, latest = await resolve([observed(observation("p1"), traceparent="00-x")])
    assert (status.topic, latest.topic) == ("payments.status", "payments.latest")
    assert (status.key, status.value, status.headers) == (latest.key, latest.value, latest.headers)
    assert status.key == b"shop-uk/p1"
    event = messages.decode(status.value, PaymentStatus)
    assert header(status, "ce_id") == event.event_id
    assert header(status, "ce_type") == "payment.status.changed.v1"
    assert header(status, "traceparent") == "00-x"


async def test_the_event_is_the_contracts_json() -> None:
    (status, _) = await resolve([observed(observation("p1", provider_time="2026-06-01T11:59:59.000Z"))])
    event = orjson.loads(status.value or b"")
    assert len(event.pop("event_id")) == 36
    assert event == {
        "sequence": 1, "provider": "trustpayments", "merchant": "shop-uk", "payment_id": "p1",
        "order_id": "order-p1", "status": "captured", "previous_status": None, "final": True,
        "fulfilment": "release", "amount": {"value": 1000, "currency": "GBP"},
        "paid": {"value": 1000, "currency": "GBP"}, "refunded": None, "reason": None, "provider_status": {},
        "checks": {"amount": "unknown", "order": "unexpected"}, "source": "TRANSACTIONQUERY",
        "provider_time": "2026-06-01T11:59:59.000Z", "observed_at": "2026-06-01T12:00:00.000Z",
    }  # fmt: skip


async def test_what_is_known_makes_no_event() -> None:
    outputs = await resolve([observed(observation("p1"))] * 3)
    assert len(outputs) == 2


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 9)), min_size=1, max_size=12))
async def test_a_batch_repeated_after_its_state_was_stored_says_nothing_new(words: list[tuple[Status, int]]) -> None:
    records = [observed(observation("p1", status, provider_time=f"2026-06-01T12:00:0{at}Z")) for status, at in words]
    store = MemoryStore()
    before = Overlay(store)
    first = await resolve(records, before)
    store.write(before.changes, 1)
    assert await resolve(records, Overlay(store)) == []
    assert await resolve(records) == first, "and with the state of before it says the same"


@pytest.mark.parametrize("value", [None, b"", b"garbage", b"{}", b"[]", b"\xff", b'{"status": "paid"}'])
async def test_what_is_no_observation_ends_dead_and_stops_nobody(value: bytes | None) -> None:
    outputs = await resolve([record(value, {"ce_id": "o"}), observed(observation("p1"))])
    assert [one.topic for one in outputs] == ["lookups.dead", "payments.status", "payments.latest"]
    assert header(outputs[0], "reason") == "unreadable_answer"
    assert outputs[0].value == value


async def test_a_refused_transition_is_counted_with_both_statuses() -> None:
    numbers = metrics()
    stage = Resolve(KAFKA, numbers)
    batch = [observed(observation("p1", "captured")), observed(observation("p1", "pending"))]
    await stage.work(batch, empty(), refuse_publish)
    labels = {"provider": "trustpayments", "previous": "captured", "refused": "pending"}
    assert counted(numbers.refused, **labels) == 1


async def test_a_late_success_and_an_unknown_word_are_counted() -> None:
    numbers = metrics()
    stage = Resolve(KAFKA, numbers)
    later = "2026-06-01T12:30:00.000Z"
    batch = [
        observed(observation("p1", "failed")),
        observed(observation("p1", "captured", observed_at=later)),
        observed(observation("p2", "unknown")),
    ]
    await stage.work(batch, empty(), refuse_publish)
    assert counted(numbers.late_successes, provider="trustpayments") == 1
    assert counted(numbers.unknown_statuses, provider="trustpayments") == 1


async def test_where_an_expectation_is_required_nothing_is_released_without_it() -> None:
    stage = Resolve(KAFKA, metrics(), {"shop-uk"})
    (status, _) = await stage.work([observed(observation("p1"))], empty(), refuse_publish)
    assert messages.decode(status.value, PaymentStatus).fulfilment == "hold"


async def test_what_nobody_foresaw_ends_dead() -> None:
    output = Resolve(KAFKA, metrics()).bury(observed(observation("p1")))
    assert (output.topic, header(output, "reason")) == ("lookups.dead", "internal_error")
