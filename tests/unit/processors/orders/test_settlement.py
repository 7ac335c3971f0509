"""An order whose payment is authorised is not overdue before its settlement is late, and always is afterwards."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.orders.settlement import awaited_settlement
from paynotify.processors.orders.state_machine import OVERDUE_QUEUE, PollProvider, ReportOverdue, expectation_registered
from paynotify.processors.state import timer_queue
from paynotify.schemas.messages import OverduePayment, PaymentSeen
from paynotify.schemas.status import Status
from paynotify.schemas.times import rfc3339
from tests.fakes.stages import counted
from tests.unit.processors.orders.test_stage import DUE, Shop, expected, seen
from tests.unit.processors.orders.test_state_machine import DEADLINE, ORDER, START, History, after, expectation, news

#: The gateway settles in the night of the authorisation, and is asked in the morning.
MORNING = DUE + timedelta(hours=19)
GRACE = timedelta(hours=1)


def authorised(settles_by: datetime | None = MORNING, **changes: object) -> PaymentSeen:
    return news("a", "authorised", settles_by=settles_by, **changes)  # type: ignore[arg-type]  # as given


def reports(history: History) -> list[tuple[str, str | None, str]]:
    return [(one.state, one.reason, one.at) for one in history.effects if isinstance(one, ReportOverdue)]


def timer(history: History) -> tuple[str, int] | None:
    return history.state.due


def announced() -> History:
    history = History()
    history.apply(expectation_registered(ORDER, history.state, expectation(), "1", rfc3339(START)))
    return history


def test_order_waits_for_the_settlement_and_an_hour_more() -> None:
    history = announced()
    history.observe(authorised())
    assert timer(history) == (OVERDUE_QUEUE, timer_queue.milliseconds(MORNING + GRACE))
    history.fire()
    assert reports(history) == [("raised", "settlement", rfc3339(MORNING + GRACE))]
    assert timer(history) is None, "resolve looks the payment up"
    assert history.of(PollProvider) == []


def test_order_settled_in_the_night_is_never_overdue() -> None:
    history = announced()
    history.observe(authorised())
    history.observe(news("a", "captured", sequence=2))
    history.fire()
    assert reports(history) == []


def test_order_without_a_time_of_settlement_is_overdue_by_its_deadline() -> None:
    history = announced()
    history.observe(authorised(None))
    history.fire()
    assert reports(history) == [("raised", None, rfc3339(DEADLINE))]
    assert history.state.due is not None


def test_order_is_overdue_by_its_deadline_where_that_is_later() -> None:
    history = announced()
    history.observe(authorised(START - timedelta(days=1)))
    history.fire()
    assert reports(history) == [("raised", "settlement", rfc3339(DEADLINE))]


def test_deferred_settlement_is_waited_for_before_and_after_it_was_late() -> None:
    history, later = announced(), MORNING + timedelta(days=1)
    history.observe(authorised())
    history.observe(authorised(later, sequence=2))
    assert timer(history) == (OVERDUE_QUEUE, timer_queue.milliseconds(later + GRACE))
    history.fire()
    latest, seen_at = later + timedelta(days=6), later + timedelta(hours=3)
    history.observe(authorised(latest, sequence=3, at=seen_at))
    history.fire()
    assert [(state, reason) for state, reason, _ in reports(history)] == [
        ("raised", "settlement"),
        ("cleared", None),
        ("raised", "settlement"),
    ]
    assert reports(history)[1:] == [
        ("cleared", None, rfc3339(seen_at)),
        ("raised", "settlement", rfc3339(latest + GRACE)),
    ]


def test_late_settlement_reported_again_changes_nothing() -> None:
    history = announced()
    history.observe(authorised())
    history.fire()
    for number, hours in enumerate((2, 26, 50)):
        again = authorised(sequence=2 + number, at=MORNING + timedelta(hours=hours))
        history.observe(again)
    assert len(reports(history)) == 1
    assert history.state.due is None


def test_order_found_authorised_by_a_poll_waits_for_its_settlement() -> None:
    history = announced()
    history.fire()
    found_at = DEADLINE + timedelta(minutes=2)
    history.observe(authorised(at=found_at))
    history.fire()
    assert reports(history) == [
        ("raised", None, rfc3339(DEADLINE)),
        ("cleared", None, rfc3339(found_at)),
        ("raised", "settlement", rfc3339(MORNING + GRACE)),
    ]


def test_order_suspended_after_its_deadline_is_overdue_again_under_another_id() -> None:
    """A consumer that applies each event once would drop a report equal to the first one."""
    history = announced()
    history.observe(news("a", "suspended", sequence=1))
    history.fire()
    for sequence in (2, 4):
        history.observe(authorised(sequence=sequence, at=history.now))
        history.now += timedelta(minutes=sequence)
        history.observe(news("a", "suspended", sequence=sequence + 1, at=history.now))
        history.fire()
    raised = [one for one in reports(history) if one[0] == "raised"]
    assert len(set(raised)) == len(raised) == 3
    assert {reason for _, reason, _ in raised} == {None}


moments = st.sampled_from((-3600, 1800, 7200, 86400, 200_000))
statuses = st.sampled_from(("pending", "authorised", "authorised", "suspended", "declined", "captured"))
histories = st.lists(
    st.one_of(
        st.tuples(st.just("expect"), st.none(), st.just(1000), st.sampled_from("12"), st.just(True)),
        st.tuples(st.just("news"), st.sampled_from("ab"), statuses, st.just(0), st.none() | moments, st.just("whole")),
        st.tuples(st.just("timer")),
        st.tuples(st.just("wait"), st.sampled_from((60, 4000, 90_000))),
    ),
    max_size=25,
)


@given(histories)
def test_order_is_never_raised_while_a_settlement_is_not_late(steps: list[tuple[object, ...]]) -> None:
    history = announced()
    for step in steps:
        before = len(reports(history))
        after(history, step)
        settlement = awaited_settlement(history.state)
        raised = [one for one in reports(history)[before:] if one[0] == "raised"]
        if raised and settlement is not None:
            assert settlement.late_at <= timer_queue.milliseconds(history.now)
        for _, reason, _ in raised:
            assert (reason == "settlement") == (settlement is not None)


@given(histories)
def test_order_that_never_ends_is_raised_in_the_end(steps: list[tuple[object, ...]]) -> None:
    history = announced()
    for step in steps:
        after(history, step)
    for _ in range(len(ORDER.poll_schedule_seconds) + 2):
        history.fire()
    state = history.state
    assert state.due is None
    if state.settled_by is None:
        assert any(one[0] == "raised" for one in reports(history))
        # an order that was settled, and is open again, is raised again only for a settlement
        assert state.overdue or awaited_settlement(state) is None


@given(histories)
def test_reports_of_an_order_all_differ(steps: list[tuple[object, ...]]) -> None:
    history = announced()
    for step in steps:
        after(history, ("wait", 1))
        after(history, step)
    told = [one for one in history.effects if isinstance(one, ReportOverdue)]
    assert len(set(told)) == len(told)
    assert all(one.state != other.state for one, other in pairwise(told))


async def test_settlement_is_counted_and_published_apart_from_a_missing_payment() -> None:
    shop = Shop()
    await shop.told(expected("o1"), expected("o2"))
    await shop.told(seen("p1", "authorised", "o1", settles_by=rfc3339(MORNING)))
    await shop.reach(MORNING + GRACE - timedelta(milliseconds=1))
    assert [(one.order_id, one.reason) for one in shop.of("payments.overdue", OverduePayment)] == [("o2", None)]
    await shop.reach(MORNING + GRACE)
    late = shop.of("payments.overdue", OverduePayment)[-1]
    assert (late.order_id, late.payment_id, late.status, late.reason) == ("o1", "p1", "authorised", "settlement")
    for outcome in ("overdue", "settlement_late"):
        assert counted(shop.metrics.expected, provider="trustpayments", outcome=outcome) == 1


records = st.lists(
    st.one_of(
        st.just(None),
        st.builds(
            lambda payment, status, days, sequence: (payment, status, days, sequence),
            st.sampled_from("ab"),
            st.sampled_from(("pending", "authorised", "suspended", "captured")),
            st.integers(0, 3),
            st.integers(0, 3),
        ),
    ),
    max_size=8,
)


@given(records)
async def test_batch_repeated_after_a_crash_moves_the_deadline_alike(
    steps: list[tuple[str, Status, int, int] | None],
) -> None:
    one = expected()
    log = [
        one
        if step is None
        else seen(step[0], step[1], settles_by=rfc3339(MORNING + timedelta(days=step[2])), sequence=step[3])
        for step in steps
    ]
    calm, crashed = Shop(), Shop()
    for record in log:
        await calm.told(record)
        await crashed.told(record)
        await crashed.told(record)
    end = MORNING + timedelta(days=9)
    assert await calm.reach(end) == await crashed.reach(end)
    assert calm.overdue == crashed.overdue
