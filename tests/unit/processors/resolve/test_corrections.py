"""An operator's correction counts whatever the table says, once; later responses of the provider continue from it."""

from __future__ import annotations

from typing import Final, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paynotify.schemas.messages import Correction, Observation
from paynotify.schemas.status import Status
from tests.fakes.payment_histories import chargeback, correction, events, pounds, refund, run, seen

STATUSES: Final[tuple[Status, ...]] = get_args(Status)
SAID: Final = Correction(by="anna", reason="case 4711")


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("status", STATUSES)
def test_correction_leads_from_every_status_to_every_other(before: Status, status: Status) -> None:
    said = events([seen(before, 1), correction(status, 2)])
    if before == status:
        assert len(said) == 1
        return
    assert (said[1].sequence, said[1].status, said[1].previous_status) == (2, status, before)
    assert (said[1].source, said[1].correction) == ("OPERATOR", SAID)


def test_won_dispute_is_captured_and_stays_so_when_its_record_is_read_again() -> None:
    dispute = [seen("captured", 1), chargeback("c1", 300, 2)]
    steps = [
        *dispute,
        correction("captured", 3),
        chargeback("c1", 300, 4),
        seen("captured", 5),
        chargeback("c2", 50, 6),
    ]
    said = events(steps)
    assert [(event.status, event.charged_back, event.fulfilment) for event in said[1:]] == [
        ("charged_back", pounds(300), "stop"),
        ("captured", None, "release"),
        ("charged_back", pounds(50), "stop"),
    ]
    assert [event.paid for event in said] == [pounds(1000)] * 4


def test_status_charged_back_of_an_earlier_release_is_overridden() -> None:
    bare = seen("charged_back", 2, amount=None, paid=None)
    said = events([seen("captured", 1), bare, correction("captured", 3), bare])
    assert [event.status for event in said] == ["captured", "charged_back", "captured"]


def test_settled_refund_is_overridden_by_captured_and_one_under_way_is_not() -> None:
    steps = [seen("captured", 1), refund("r1", 400, 2, settled=True), refund("r2", 100, 2), correction("captured", 3)]
    state, _ = run(steps)
    assert state.last is not None
    assert (state.last.status, state.last.refunded, state.last.refunding) == ("captured", None, pounds(100))
    said = events([refund("r1", 400, 4, settled=True), refund("r2", 100, 4, settled=True)], state)
    assert [(event.status, event.refunded) for event in said] == [("partially_refunded", pounds(100))]


def test_refunds_stay_where_the_operator_says_that_it_is_refunded() -> None:
    steps = [seen("captured", 1), refund("r1", 400, 2, settled=True), chargeback("c1", None, 3)]
    last = events([*steps, correction("partially_refunded", 4)])[-1]
    assert (last.status, last.refunded, last.charged_back) == ("partially_refunded", pounds(400), None)


def test_lost_dispute_after_all_counts_the_chargeback_again() -> None:
    steps = [seen("captured", 1), chargeback("c1", 300, 2), correction("captured", 3), correction("charged_back", 4)]
    assert events(steps)[-1].charged_back == pounds(300)


def test_newer_response_continues_from_the_correction_and_an_older_one_does_not() -> None:
    state, _ = run([seen("suspended", 1), correction("authorised", 5)])
    assert events([seen("cancelled", 4), seen("captured", 5), seen("suspended", 1)], state) == []
    said = events([seen("cancelled", 6)], state)
    assert [(event.status, event.previous_status, event.correction) for event in said] == [
        ("cancelled", "authorised", None)
    ]


def test_correction_is_named_while_its_status_stands() -> None:
    steps = [seen("suspended", 1), correction("authorised", 2), refund("r1", 1, 3), seen("captured", 4)]
    assert [event.correction for event in events(steps)] == [None, SAID, SAID, None]


def test_correction_takes_back_money_that_was_not_taken() -> None:
    last = events([seen("captured", 1), correction("cancelled", 2)])[-1]
    assert (last.paid, last.fulfilment) == (None, "stop")


def test_correction_names_amounts() -> None:
    steps = [seen("failed", 1), correction("captured", 2, paid=pounds(1000))]
    assert [event.fulfilment for event in events(steps)] == ["stop", "release"]
    steps = [seen("failed", 1), correction("captured", 2)]
    assert [event.fulfilment for event in events(steps)] == ["stop", "hold"], "it is not known what was paid"


def test_second_correction_counts_although_its_authors_clock_is_slow() -> None:
    steps = [seen("failed", 1), correction("captured", 9), correction("cancelled", 5, by="berta")]
    assert [event.status for event in events(steps)] == ["failed", "captured", "cancelled"]


def test_correction_that_changes_nothing_changes_nothing_later() -> None:
    steps = [seen("captured", 1), correction("captured", 2), chargeback("c1", None, 3)]
    state, _ = run(steps)
    assert events(steps, state) == []


def test_correction_is_no_late_success() -> None:
    assert not any(step.late_success for step in run([seen("failed", 1), correction("captured", 2)])[1])


corrections = st.builds(correction, st.sampled_from(STATUSES), st.integers(0, 20))
observations = st.one_of(
    corrections,
    st.builds(seen, st.sampled_from(STATUSES), st.integers(0, 20), returnable=st.booleans(), secured=st.booleans()),
    st.builds(chargeback, st.sampled_from(("c1", "c2")), st.sampled_from((None, 300)), st.integers(0, 20)),
    st.builds(
        lambda name, pence, at, end: refund(name, pence, at, settled=end == "settled", ended=end == "ended"),
        st.sampled_from(("r1", "r2")),
        st.sampled_from((400, 600, 1000)),
        st.integers(0, 20),
        st.sampled_from(("", "settled", "ended")),
    ),
)


@given(st.lists(observations, max_size=10))
@settings(max_examples=400)
def test_history_with_corrections_repeated_after_a_crash_makes_no_event(history: list[Observation]) -> None:
    state, _ = run(history)
    after, steps = run(history, state)
    assert [step.event for step in steps if step.event is not None] == []
    assert after == state


@given(st.lists(observations, max_size=10))
@settings(max_examples=50)
def test_correction_always_leads_to_its_status(history: list[Observation]) -> None:
    state, _ = run(history)
    if state.last is None:
        return
    for status in STATUSES:
        after, _ = run([correction(status, 30)], state)
        assert after.last is not None
        assert after.last.status == status
