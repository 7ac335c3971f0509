"""Observations become events on both result topics, once."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from paynotify.processors.resolve.release import ReleaseRules
from paynotify.processors.resolve.stage import ResolveStage
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.memory_store import MemoryStore
from paynotify.processors.state.overlay import Overlay
from paynotify.schemas import messages
from paynotify.schemas.messages import Expectation, ForgetRequested, Observation, PaymentSeen, PaymentStatus
from paynotify.schemas.money import Money
from paynotify.schemas.records import Output, Record
from paynotify.schemas.status import Status
from tests.fakes import payment_histories
from tests.fakes.observations import observation
from tests.fakes.stages import (
    KAFKA,
    counted,
    empty,
    header,
    metrics,
    record,
    refuse_publish,
)

WORDS: tuple[Status, ...] = ("pending", "authorised", "suspended", "captured", "failed", "refunded")


def observed(one: Observation, **headers: str) -> Record:
    more = {name.replace("_", "-"): text for name, text in headers.items()}
    key = f"{one.merchant}/{one.payment_id}".encode()
    return record(messages.encode(one), {"ce_id": "o", **more}, key=key, topic="observations")


async def resolve(records: Sequence[Record], state: Overlay | None = None) -> list[Output]:
    """What is published of payments, without the news for their orders."""
    outputs = await ResolveStage(KAFKA, metrics()).process(
        BatchContext(records, state if state is not None else empty(), refuse_publish)
    )
    return [one for one in outputs if one.topic != "payments.orders"]


async def test_event_goes_to_both_topics_with_the_same_bytes() -> None:
    status, latest = await resolve([observed(observation("p1"), traceparent="00-x")])
    assert (status.topic, latest.topic) == ("payments.status", "payments.latest")
    assert (status.key, status.value, status.headers) == (latest.key, latest.value, latest.headers)
    assert status.key == b"shop-uk/p1"
    event = messages.decode(status.value, PaymentStatus)
    assert header(status, "ce_id") == event.event_id
    assert header(status, "ce_type") == "payment.status.changed.v1"
    assert header(status, "traceparent") == "00-x"


async def test_event_is_the_contracts_json() -> None:
    (status, _) = await resolve([observed(observation("p1", provider_time="2026-06-01T11:59:59.000Z"))])
    event = orjson.loads(status.value or b"")
    assert len(event.pop("event_id")) == 36
    assert event == {
        "sequence": 1,
        "provider": "trustpayments",
        "merchant": "shop-uk",
        "payment_id": "p1",
        "order_id": "order-p1",
        "status": "captured",
        "previous_status": None,
        "final": True,
        "fulfilment": "release",
        "amount": {"value": 1000, "currency": "GBP"},
        "paid": {"value": 1000, "currency": "GBP"},
        "refunded": None,
        "reason": None,
        "provider_status": {},
        "checks": {"amount": "unknown", "order": "unexpected"},
        "source": "TRANSACTIONQUERY",
        "provider_time": "2026-06-01T11:59:59.000Z",
        "observed_at": "2026-06-01T12:00:00.000Z",
    }


async def test_known_status_makes_no_event() -> None:
    outputs = await resolve([observed(observation("p1"))] * 3)
    assert len(outputs) == 2


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 9)), min_size=1, max_size=12))
async def test_batch_repeated_after_its_state_was_stored_publishes_nothing(words: list[tuple[Status, int]]) -> None:
    records = [observed(observation("p1", status, provider_time=f"2026-06-01T12:00:0{at}Z")) for status, at in words]
    store = MemoryStore()
    before = Overlay(store)
    first = await resolve(records, before)
    store.write(before.changes, 1)
    assert await resolve(records, Overlay(store)) == []
    assert await resolve(records) == first, "and with the state of before it says the same"


@pytest.mark.parametrize("value", [None, b"", b"garbage", b"{}", b"[]", b"\xff", b'{"status": "paid"}'])
async def test_unreadable_observation_is_dead_lettered_alone(value: bytes | None) -> None:
    outputs = await resolve([record(value, {"ce_id": "o"}), observed(observation("p1"))])
    assert [one.topic for one in outputs] == ["lookups.dead", "payments.status", "payments.latest"]
    assert header(outputs[0], "reason") == "unreadable_answer"
    assert outputs[0].value == value


async def test_refused_transition_is_counted_with_both_statuses() -> None:
    numbers = metrics()
    stage = ResolveStage(KAFKA, numbers)
    batch = [observed(observation("p1", "captured")), observed(observation("p1", "pending"))]
    await stage.process(BatchContext(batch, empty(), refuse_publish))
    labels = {"provider": "trustpayments", "previous": "captured", "refused": "pending"}
    assert counted(numbers.refused, **labels) == 1


async def test_late_success_and_unknown_status_are_counted() -> None:
    numbers = metrics()
    stage = ResolveStage(KAFKA, numbers)
    later = "2026-06-01T12:30:00.000Z"
    batch = [
        observed(observation("p1", "failed")),
        observed(observation("p1", "captured", observed_at=later)),
        observed(observation("p2", "unknown")),
    ]
    await stage.process(BatchContext(batch, empty(), refuse_publish))
    assert counted(numbers.late_successes, provider="trustpayments") == 1
    assert counted(numbers.unknown_statuses, provider="trustpayments") == 1


async def test_money_that_came_back_is_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    numbers = metrics()
    back = [payment_histories.seen("cancelled", at, returnable=True) for at in (2, 2, 3)]
    batch = [observed(one) for one in (payment_histories.seen("captured", 1), *back)]
    await ResolveStage(KAFKA, numbers).process(BatchContext(batch, empty(), refuse_publish))
    assert counted(numbers.returned_payments, provider="trustpayments") == 1
    assert counted(numbers.unknown_statuses, provider="trustpayments") == 0, "the provider's word is known"
    assert [one.message for one in caplog.records].count("money_returned") == 1


async def test_more_refunded_than_captured_is_counted_once_and_logged_for_each_refund(
    caplog: pytest.LogCaptureFixture,
) -> None:
    numbers = metrics()
    refunds = [payment_histories.refund(f"r{number}", 800, number, settled=True) for number in (2, 3, 4)]
    batch = [observed(one) for one in (payment_histories.seen("captured", 1), *refunds)]
    await ResolveStage(KAFKA, numbers).process(BatchContext(batch, empty(), refuse_publish))
    assert counted(numbers.over_refunds, provider="trustpayments") == 1
    assert [one.message for one in caplog.records].count("over_refunded") == 2


async def test_required_expectation_holds_a_payment_without_one() -> None:
    stage = ResolveStage(KAFKA, metrics(), {"shop-uk": ReleaseRules(expected_required=True)})
    batch = [observed(observation("p1")), observed(expectation())]
    first, _, _, second, _ = await stage.process(BatchContext(batch, empty(), refuse_publish))
    events = [messages.decode(one.value, PaymentStatus) for one in (first, second)]
    assert [(one.status, one.fulfilment) for one in events] == [("captured", "hold"), ("captured", "release")]


def expectation(
    value: int = 1000,
    order: str = "order-p1",
    currency: str = "GBP",
    said: str = "",
    announced: str = "",
    paid_by: str | None = None,
) -> Observation:
    expected = Expectation(
        order_id=order, amount=Money(value, currency), said=said, announced=announced, paid_by=paid_by
    )
    return observation("p1", None, amount=None, order_id=None, source="payments.expected", expected=expected)


@pytest.mark.parametrize(
    ("expected", "amount", "order", "fulfilment"),
    [
        (expectation(), "match", "expected", "release"),
        (expectation(999), "mismatch", "expected", "hold"),
        (expectation(currency="EUR"), "mismatch", "expected", "hold"),
        (expectation(order="another"), "match", "unexpected", "hold"),
        (expectation(paid_by="p0"), "match", "unexpected", "hold"),
    ],
)
async def test_expectation_decides_fulfilment_whenever_it_comes(
    expected: Observation, amount: str, order: str, fulfilment: str
) -> None:
    paid = observed(observation("p1"))
    together = observed(replace(observation("p1"), expected=expected.expected))
    for batch in ([observed(expected), paid], [paid, observed(expected)], [together]):
        *_, latest = await resolve(batch)
        event = messages.decode(latest.value, PaymentStatus)
        assert (event.checks.amount, event.checks.order, event.fulfilment) == (amount, order, fulfilment)
        assert event.sequence == (2 if batch[0] is paid else 1)


async def test_paid_order_stays_paid_after_an_expectation_without_payer() -> None:
    """interpret knows the order's expectation, but not which payment paid the order."""
    unknowing = observed(replace(observation("p1"), expected=expectation(said="2").expected))
    for batch in (
        [observed(expectation(said="1", paid_by="p0")), unknowing],
        [unknowing, observed(expectation(said="2", paid_by="p0")), unknowing],
    ):
        *_, latest = await resolve(batch)
        assert messages.decode(latest.value, PaymentStatus).fulfilment == "hold"


async def test_attempt_without_money_is_expected_although_another_paid() -> None:
    events = await resolve([observed(observation("p1", "pending")), observed(expectation(paid_by="p0"))])
    assert messages.decode(events[-1].value, PaymentStatus).checks.order == "expected"


async def test_older_expectation_releases_nothing() -> None:
    """interpret may not know the newest expectation yet: it reads the topic separately."""
    stale = observed(replace(observation("p1"), expected=expectation(1000, said="1").expected))
    events = await resolve([observed(expectation(1500, said="2")), stale, stale])
    assert [messages.decode(one.value, PaymentStatus).fulfilment for one in events[::2]] == ["hold"]


@given(
    st.permutations(
        [
            expectation(1, said="1"),
            expectation(2, said="3", announced="1"),
            expectation(3, said="2", announced="1"),
            expectation(4, "another", said="9"),
            expectation(5, "third", said="0", announced="0"),
        ]
    )
)
async def test_newest_expectation_counts_in_any_order(words: list[Observation]) -> None:
    *_, latest = await resolve([observed(one) for one in (*words, observation("p1", "pending"))])
    event = messages.decode(latest.value, PaymentStatus)
    assert (event.checks.amount, event.checks.order) == ("mismatch", "expected"), "the one of 2"


async def test_order_gets_news_of_a_payment_registered_for_it_later() -> None:
    batch = [observation("p1", order_id=None), expectation(order="o1", said="1"), expectation(order="o2", said="2")]
    outputs = await ResolveStage(KAFKA, metrics()).process(
        BatchContext([observed(one) for one in batch], empty(), refuse_publish)
    )
    assert [one.key for one in outputs if one.topic == "payments.orders"] == [b"shop-uk/o1", b"shop-uk/o2"]


async def test_payment_without_order_is_expected_by_its_id() -> None:
    batch = [observed(expectation()), observed(observation("p1", order_id=None))]
    event = messages.decode((await resolve(batch))[0].value, PaymentStatus)
    assert (event.order_id, event.checks.order, event.fulfilment) == (None, "expected", "release")


async def test_unpaid_payment_is_compared_by_the_amount_to_be_paid() -> None:
    batch = [observed(expectation(5)), observed(observation("p1", "authorised", paid=None))]
    event = messages.decode((await resolve(batch))[0].value, PaymentStatus)
    assert (event.checks.amount, event.fulfilment) == ("mismatch", "hold")


async def test_partial_capture_counts_as_requested_not_as_reported() -> None:
    part = Money(400, "GBP")
    capturing = observation("p1", None, amount=None, order_id=None, capturing=part)
    batch = [observed(observation("p1", "authorised", paid=None)), observed(capturing), observed(observation("p1"))]
    event = messages.decode((await resolve(batch))[-1].value, PaymentStatus)
    assert (event.status, event.paid, event.fulfilment) == ("captured", part, "hold")


async def test_mismatch_is_counted_when_it_is_first_found() -> None:
    numbers = metrics()
    stage = ResolveStage(KAFKA, numbers)
    batch = [observed(observation("p1", "authorised")), observed(expectation(5)), observed(observation("p1"))]
    await stage.process(BatchContext(batch, empty(), refuse_publish))
    assert counted(numbers.mismatches, provider="trustpayments", check="amount") == 1
    assert counted(numbers.mismatches, provider="trustpayments", check="order") == 0


async def test_orders_get_news_of_each_status_once() -> None:
    late = observation("p1", observed_at="2026-06-01T12:00:01.000Z")
    batch = [observed(observation("p1", "pending")), observed(late), observed(expectation()), observed(late)]
    outputs = await ResolveStage(KAFKA, metrics()).process(BatchContext(batch, empty(), refuse_publish))
    told = [one for one in outputs if one.topic == "payments.orders"]
    seen = [messages.decode(one.value, PaymentSeen) for one in told]
    assert [(one.status, one.final) for one in seen] == [("pending", False), ("captured", True)]
    assert {one.key for one in told} == {b"shop-uk/order-p1"}
    assert {header(one, "ce_type") for one in told} == {messages.PAYMENT_SEEN}


async def test_both_orders_get_news_of_a_payment_of_another_order() -> None:
    batch = [observed(expectation(order="another")), observed(observation("p1"))]
    outputs = await ResolveStage(KAFKA, metrics()).process(BatchContext(batch, empty(), refuse_publish))
    told = [one.key for one in outputs if one.topic == "payments.orders"]
    assert told == [b"shop-uk/order-p1", b"shop-uk/another"]


async def test_dead_letter_is_counted() -> None:
    output = ResolveStage(KAFKA, metrics()).dead_letter(observed(observation("p1")))
    assert (output.topic, header(output, "reason")) == ("lookups.dead", "internal_error")


def forget(sequence: int, payment: str = "p1") -> Record:
    asked = ForgetRequested(provider="trustpayments", merchant="shop-uk", payment_id=payment, sequence=sequence)
    headers = {"ce_id": "f", "ce_type": messages.FORGET_REQUESTED}
    return record(messages.encode(asked), headers, key=f"shop-uk/{payment}".encode(), topic="observations")


async def test_forgotten_payment_gets_a_tombstone_and_keeps_its_state() -> None:
    state = empty()
    await resolve([observed(observation("p1", "authorised"))], state)
    before = state.get(b"shop-uk/p1")
    (tombstone,) = await resolve([forget(1)], state)
    assert (tombstone.topic, tombstone.key, tombstone.value) == ("payments.latest", b"shop-uk/p1", None)
    assert dict(tombstone.headers)["ce_type"] == b"payment.forgotten.v1"
    assert not {"content-type", "ce_dataschema"} & dict(tombstone.headers).keys()
    assert state.get(b"shop-uk/p1") == before
    _, latest = await resolve([observed(observation("p1", "captured"))], state)
    assert messages.decode(latest.value, PaymentStatus).sequence == 2


async def test_tombstone_of_a_repeated_batch_does_not_follow_a_newer_event() -> None:
    """A batch that is repeated meets the state that it left, and publishes no event again that it finds there."""
    state = empty()
    await resolve([observed(observation("p1", "authorised"))], state)
    batch = [forget(1), observed(observation("p1", "captured"))]
    once = [one for one in await resolve(batch, state) if one.topic == "payments.latest"]
    assert [one.value is None for one in once] == [True, False]
    assert [one for one in await resolve(batch, state) if one.topic == "payments.latest"] == []
    assert await resolve([forget(2), forget(2)], state) == 2 * await resolve([forget(2)], state) != []


async def test_payment_that_was_never_published_gets_no_tombstone() -> None:
    assert await resolve([forget(1, "unknown")]) == []


async def test_unreadable_wish_to_forget_is_dead_lettered() -> None:
    (letter,) = await resolve(
        [record(b"{}", {"ce_id": "f", "ce_type": messages.FORGET_REQUESTED}, topic="observations")]
    )
    assert letter.topic == "lookups.dead"
