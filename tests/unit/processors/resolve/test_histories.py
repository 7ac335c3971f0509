"""Whatever is observed of a payment, in whatever order: what must hold of its events."""

from __future__ import annotations

from typing import Final, get_args

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from paynotify.processors.resolve.payment_state import PaymentState, encoded
from paynotify.processors.resolve.refunds import refund_sums
from paynotify.processors.resolve.retention import payment_state
from paynotify.schemas import messages
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import Observation, PaymentStatus
from paynotify.schemas.status import Status
from tests.fakes.payment_histories import EARLY, chargeback, expected, pounds, refund, run, seen

STATUSES: Final[tuple[Status, ...]] = get_args(Status)

times = st.integers(0, 20)
payments = st.builds(seen, st.sampled_from(STATUSES), times, secured=st.booleans(), returnable=st.booleans())
refunds = st.builds(
    lambda number, pence, at, end: refund(f"r{number}", pence, at, settled=end == "settled", ended=end == "ended"),
    st.integers(0, 3),
    st.sampled_from((300, 400, 700, 1000)),
    times,
    st.sampled_from(("", "settled", "ended")),
)
chargebacks = st.builds(chargeback, st.sampled_from(("c1", "c2")), st.sampled_from((None, 300, 1000)), times)


def expectation(version: int, paid_by: str | None, parts_version: int) -> Observation:
    parts = pounds(500 * parts_version) if parts_version else None
    known = expected(1000 * version, said=str(version), paid_by=paid_by, other_parts=parts, parts_version=parts_version)
    return seen(None, version, expected=known, amount=None, order_id=None)


expectations = st.builds(expectation, st.integers(1, 3), st.sampled_from((None, "p0")), st.integers(0, 3))
observations = st.one_of(payments, refunds, chargebacks)
histories = st.lists(observations, max_size=12)


def steps(history: list[Observation]) -> list[tuple[PaymentState, PaymentStatus]]:
    """Each event with the state after it."""
    return [(step.state, step.event) for step in run(history, rules=EARLY)[1] if step.event is not None]


@given(histories)
@settings(max_examples=400)
def test_release_is_never_said_of_money_that_goes_back(history: list[Observation]) -> None:
    for state, event in steps(history):
        if event.fulfilment != "release":
            continue
        assert event.status in {"authorised", "captured", "partially_refunded"}
        assert not state.chargebacks
        whole = event.paid or event.amount
        assert whole is not None
        assert sum(one.amount.value for one in state.refunds if not one.ended) < whole.value


@given(histories)
@settings(max_examples=150)
def test_events_are_counted_without_gaps(history: list[Observation]) -> None:
    said = [event for _, event in steps(history)]
    assert [event.sequence for event in said] == list(range(1, len(said) + 1))
    assert [event.previous_status for event in said[1:]] == [event.status for event in said[:-1]]


@given(st.lists(st.one_of(observations, expectations), max_size=12))
@settings(max_examples=400)
def test_history_read_again_after_a_crash_changes_nothing(history: list[Observation]) -> None:
    state, _ = run(history, rules=EARLY)
    after, again = run(history, state, EARLY)
    assert [step.event for step in again if step.event is not None] == []
    assert after == state
    assert not any(step.money_returned or step.over_refunded for step in again)


@given(st.lists(st.one_of(observations, expectations), max_size=12))
@settings(max_examples=150)
def test_stored_state_is_read_as_it_was(history: list[Observation]) -> None:
    state, _ = run(history, rules=EARLY)
    assert payment_state(encoded(state)) == state
    assert state.last is None or encoded(state, last=messages.encode(state.last)) == encoded(state)
    assert payment_state(msgspec.json.encode(state)) == state, "as an earlier release stores it"


@given(histories)
@settings(max_examples=150)
def test_event_is_published_as_it_is_encoded_with_an_id_of_its_content(history: list[Observation]) -> None:
    for step in run(history, rules=EARLY)[1]:
        if step.event is not None:
            content = messages.encode(replace(step.event, event_id="")).decode()
            assert step.event.event_id == derived_id("status", content)
            assert step.event_bytes == messages.encode(step.event)


@given(histories)
@settings(max_examples=150)
def test_published_sums_are_those_of_the_refunds(history: list[Observation]) -> None:
    for state, event in steps(history):
        sums = refund_sums(state, event.paid or event.amount, event.customer_amount)
        published = [one.value for one in (event.refunded, event.refunding) if one is not None]
        known = [one.value for one in (sums.settled, sums.under_way) if one is not None]
        assert sum(published) in (sum(known), 0)
        assert sum(published) == sum(known) or event.status in {"declined", "cancelled", "expired", "failed"}
