"""A payment's status under observations in any order, any number of times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paynotify.processors.resolve.payment_state import Advance, PaymentState
from paynotify.processors.resolve.release import ReleaseRules
from paynotify.processors.resolve.transitions import (
    ALLOWED,
    NEWEST_WINS,
    advance,
    allowed,
)
from paynotify.schemas import messages
from paynotify.schemas.messages import Observation, PaymentStatus, Refund
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status
from tests.fakes.payment_histories import run, seen

STATUSES: Final[tuple[Status, ...]] = get_args(Status)
ENDS: Final = {"declined", "cancelled", "expired", "failed"}


def refund(number: int, value: int, *, settled: bool = True) -> Refund:
    return Refund(refund_id=f"r{number}", amount=Money(value, "GBP"), settled=settled)


refunds = st.builds(refund, st.integers(0, 2), st.sampled_from((300, 400, 1000)), settled=st.booleans())
words = st.one_of(
    st.builds(seen, st.sampled_from(STATUSES), st.integers(0, 20)),
    st.builds(lambda at: seen("charged_back", at, amount=None, paid=None, order_id=None), st.integers(0, 20)),
    st.builds(lambda one, at: seen(None, at, refund=one), refunds, st.integers(0, 20)),
)


def events(steps: Sequence[Advance]) -> list[PaymentStatus]:
    return [step.event for step in steps if step.event is not None]


@given(st.lists(words, max_size=12))
@settings(max_examples=400)
def test_events_have_no_gaps_and_follow_the_table(observations: list[Observation]) -> None:
    _, steps = run(observations)
    previous: PaymentStatus | None = None
    for number, event in enumerate(events(steps), start=1):
        assert event.sequence == number
        assert event.previous_status == (previous.status if previous else None)
        if previous is not None and event.status != previous.status:
            assert event.status in ALLOWED[previous.status]
        previous = event


@given(st.lists(words, max_size=12))
def test_captured_payment_is_only_ever_refunded_or_charged_back(observations: list[Observation]) -> None:
    _, steps = run(observations)
    told = [event.status for event in events(steps)]
    if "captured" in told:
        after = set(told[told.index("captured") :])
        assert after <= {"captured", "partially_refunded", "refunded", "charged_back"}


@given(st.lists(words, max_size=10))
@settings(max_examples=400)
def test_observation_repeated_at_once_changes_nothing(observations: list[Observation]) -> None:
    state = PaymentState()
    for one in observations:
        state = advance(state, one).state
        again = advance(state, one)
        assert again.event is None
        assert again.state == state


@given(st.lists(words))
@settings(max_examples=2000)
def test_batch_repeated_after_a_crash_makes_no_event(observations: list[Observation]) -> None:
    state, _ = run(observations)
    after, steps = run(observations, state)
    assert events(steps) == []
    assert after == state


@given(st.lists(words, max_size=8))
def test_observations_always_give_the_same_bytes(observations: list[Observation]) -> None:
    first, again = run(observations), run(observations)
    assert [messages.encode(one) for one in events(first[1])] == [messages.encode(one) for one in events(again[1])]
    ids = [event.event_id for event in events(first[1])]
    assert len(set(ids)) == len(ids)


@given(st.lists(words, max_size=8))
def test_state_survives_encoding(observations: list[Observation]) -> None:
    state, _ = run(observations)
    assert msgspec.json.decode(msgspec.json.encode(state), type=PaymentState) == state


@given(st.permutations([seen("pending", 1), seen("authorised", 2), seen("cancelled", 3)]))
def test_open_payment_ends_at_the_newest_observation_in_any_order(observations: list[Observation]) -> None:
    state, _ = run(observations)
    assert state.last is not None
    assert state.last.status == "cancelled"


@given(st.permutations([seen("authorised", 1), seen("suspended", 2), seen("authorised", 3), seen("suspended", 4)]))
def test_newest_observation_counts_between_authorised_and_suspended(observations: list[Observation]) -> None:
    state, _ = run(observations)
    assert state.last is not None
    assert state.last.status == "suspended"


def test_refused_observation_is_not_overtaken_by_an_older_one() -> None:
    state, steps = run([seen("declined", 0), seen("cancelled", 2), seen("authorised", 1)])
    assert [step.kind for step in steps] == ["changed", "refused", "refused"]
    assert state.last is not None
    assert state.last.status == "declined"


def test_status_confirmed_later_is_not_undone_by_one_from_between() -> None:
    state, steps = run([seen("authorised", 1), seen("authorised", 5), seen("suspended", 3)])
    assert [step.kind for step in steps] == ["changed", "unchanged", "refused"]
    assert state.last is not None
    assert state.last.status == "authorised"


def test_late_authorisation_does_not_reopen_a_cancelled_payment() -> None:
    _, steps = run([seen("authorised", 1), seen("cancelled", 2), seen("authorised", 1)])
    assert [step.kind for step in steps] == ["changed", "changed", "refused"]


@pytest.mark.parametrize("end", sorted(ENDS))
@pytest.mark.parametrize("success", ["authorised", "captured"])
def test_late_success_is_flagged(end: Status, success: Status) -> None:
    _, steps = run([seen(end, 1), seen(success, 2)])
    assert [(step.kind, step.late_success) for step in steps] == [("changed", False), ("changed", True)]


def test_capture_counts_even_with_an_older_time() -> None:
    _, steps = run([seen("failed", 9), seen("captured", 1)])
    assert steps[-1].event is not None
    assert steps[-1].late_success


@pytest.mark.parametrize(
    ("amounts", "status", "refunded"),
    [((400,), "partially_refunded", 400), ((400, 600), "refunded", 1000), ((1000,), "refunded", 1000)],
)
def test_refunded_status_goes_by_amounts(amounts: tuple[int, ...], status: Status, refunded: int) -> None:
    children = [seen(None, 5, refund=refund(number, value)) for number, value in enumerate(amounts)]
    for order in ([seen("captured"), *children], [*children, seen("captured")]):
        state, _ = run(order)
        assert state.last is not None
        assert state.last.status == status
        assert state.last.refunded == Money(refunded, "GBP")
        assert state.last.fulfilment == ("stop" if status == "refunded" else "release")


def test_refund_counts_once_settled_and_then_for_good() -> None:
    open_child, settled_child = (seen(None, 5, refund=refund(1, 400, settled=settled)) for settled in (False, True))
    _, steps = run([seen("captured"), open_child, settled_child, open_child])
    assert [step.kind for step in steps] == ["changed", "changed", "changed", "unchanged"]
    assert [(event.refunding, event.refunded) for event in events(steps)[1:]] == [
        (Money(400, "GBP"), None),
        (None, Money(400, "GBP")),
    ]


def test_refund_of_an_unknown_payment_waits_for_it() -> None:
    state, steps = run([seen(None, 1, refund=refund(1, 1000))])
    assert (steps[0].event, state.last) == (None, None)
    assert advance(state, seen("captured", 2)).event is not None


@pytest.mark.parametrize(
    ("fields", "fulfilment"),
    [
        ({}, "release"),
        ({"paid": Money(999, "GBP")}, "hold"),
        ({"paid": Money(1000, "EUR")}, "hold"),
        ({"paid": None}, "hold"),
        ({"amount": None}, "hold"),
    ],
)
def test_right_amount_alone_releases_goods(fields: dict[str, Any], fulfilment: str) -> None:
    event = advance(PaymentState(), seen("captured", **fields)).event
    assert event is not None
    assert event.fulfilment == fulfilment


def test_required_expectation_holds_the_goods() -> None:
    event = advance(PaymentState(), seen("captured"), ReleaseRules(expected_required=True)).event
    assert event is not None
    assert event.fulfilment == "hold"


def test_older_observation_does_not_correct_an_amount() -> None:
    _, steps = run([seen("captured", 5), seen("captured", 3, paid=Money(1, "GBP"))])
    assert steps[-1].kind == "unchanged"
    _, steps = run([seen("captured", 5), seen("captured", 6, paid=Money(1, "GBP"))])
    assert steps[-1].event is not None
    assert steps[-1].event.fulfilment == "hold"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_older_observation_fills_in_missing_fields_in_any_order(order: Sequence[int]) -> None:
    """A chargeback names neither amount nor order, and its response may come before that of the capture."""
    both = (seen("captured", 1, order_id="O-1"), seen("charged_back", 2, amount=None, paid=None, order_id=None))
    last = events(run([both[number] for number in order])[1])[-1]
    assert (last.status, last.amount, last.paid, last.order_id) == (
        "charged_back",
        Money(1000, "GBP"),
        Money(1000, "GBP"),
        "O-1",
    )


def test_table_has_every_status() -> None:
    assert set(ALLOWED) == set(STATUSES)
    assert all(wanted in ALLOWED[current] for current, wanted in NEWEST_WINS)
    assert not any(current in wanted for current, wanted in ALLOWED.items())


@pytest.mark.parametrize("current", STATUSES)
def test_first_status_is_always_allowed_and_a_repeated_one_never(current: Status) -> None:
    assert allowed(None, current, newer=False) == "changed"
    assert allowed(current, current, newer=True) == "unchanged"
