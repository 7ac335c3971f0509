"""The state machine of an order: what holds after any history of expectations, payment news and due timers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from paynotify.processors.orders.order_state import OrderState, weight
from paynotify.processors.orders.settlement import awaited_settlement
from paynotify.processors.orders.state_machine import (
    MAX_PAYMENTS,
    OVERDUE_QUEUE,
    ComparePayment,
    Effect,
    Order,
    PollProvider,
    ReportOrder,
    ReportOverdue,
    Transition,
    expectation_registered,
    payment_observed,
    poll_queue,
    timer_fired,
)
from paynotify.processors.state import timer_queue
from paynotify.schemas import messages
from paynotify.schemas.messages import ExpectedPayment, OrderRole, PaymentSeen, TimeReached
from paynotify.schemas.money import Money
from paynotify.schemas.status import FINAL, Status
from paynotify.schemas.times import rfc3339

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
DEADLINE = START + timedelta(hours=1)
SCHEDULE_SECONDS = (60.0, 600.0, 3600.0)
ORDER = Order("shop", "o1", "trustpayments", SCHEDULE_SECONDS)
PRICE = Money(1000, "GBP")

STATUSES: tuple[Status, ...] = ("pending", "authorised", "captured", "declined", "failed", "refunded", "suspended")


def expectation(
    payment_id: str | None = None, value: int = 1000, *, deadline: bool = True, several: bool = False
) -> ExpectedPayment:
    return ExpectedPayment(
        merchant="shop",
        order_id="o1",
        amount=Money(value, "GBP"),
        created_at=rfc3339(START),
        payment_id=payment_id,
        final_by=rfc3339(DEADLINE) if deadline else None,
        several=several,
    )


def news(
    payment_id: str,
    status: Status,
    *,
    sequence: int = 0,
    at: datetime = START,
    settles_by: datetime | None = None,
    role: OrderRole = "whole",
    amount: Money = PRICE,
) -> PaymentSeen:
    return PaymentSeen(
        provider="trustpayments",
        merchant="shop",
        payment_id=payment_id,
        order_id="o1",
        status=status,
        final=status in FINAL,
        amount=amount,
        observed_at=rfc3339(at),
        sequence=sequence,
        settles_by=None if settles_by is None else rfc3339(settles_by),
        order_role=role,
    )


@dataclass
class History:
    """The order's records so far, applied to a state that went through the changelog's bytes after each of them."""

    state: OrderState = field(default_factory=OrderState)
    effects: list[Effect] = field(default_factory=list)
    now: datetime = START

    def apply(self, transition: Transition) -> None:
        state = messages.decode(messages.encode(transition.state), OrderState)
        assert state == transition.state
        self.state = state
        self.effects += transition.effects

    def observe(self, one: PaymentSeen) -> None:
        self.apply(payment_observed(ORDER, self.state, one))

    def fire(self) -> None:
        """Let the order's timer fire at its time, or now if that is later."""
        if self.state.due is None:
            return
        queue, due_milliseconds = self.state.due
        due = timer_queue.moment_of(due_milliseconds)
        self.now = max(self.now, due)
        time = TimeReached(name=ORDER.name, lane=queue, due=rfc3339(due))
        transition = timer_fired(ORDER, self.state, time, rfc3339(self.now))
        assert transition is not None
        self.apply(transition)

    def of(self, kind: type[Effect]) -> list[Effect]:
        return [one for one in self.effects if isinstance(one, kind)]


payment_ids = st.sampled_from(("a", "b", "c"))
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("expect"),
            st.none() | payment_ids,
            st.sampled_from((1000, 7)),
            st.sampled_from("123"),
            st.booleans(),
        ),
        st.tuples(
            st.just("news"),
            payment_ids,
            st.sampled_from(STATUSES),
            st.integers(0, 4),
            st.none() | st.sampled_from((-3600, 1800, 7200, 86400)),
            st.sampled_from(("whole", "whole", "part", "repeat")),
        ),
        st.tuples(st.just("timer")),
        st.tuples(st.just("wait"), st.sampled_from((1, 300, 9000, 90_000))),
    ),
    max_size=25,
)


def after(history: History, step: tuple[object, ...]) -> History:
    match step:
        case ("expect", payment_id, int(value), str(version), bool(deadline)):
            assert payment_id is None or isinstance(payment_id, str)
            shop = expectation(payment_id, value, deadline=deadline)
            history.apply(expectation_registered(ORDER, history.state, shop, version, rfc3339(history.now)))
        case ("news", str(payment_id), status, int(sequence), *more):
            settles_after, role = more or (None, "whole")
            settles_by = None if settles_after is None else START + timedelta(seconds=settles_after)  # type: ignore[arg-type]  # seconds
            one = news(payment_id, status, sequence=sequence, at=history.now, settles_by=settles_by, role=role)  # type: ignore[arg-type]  # a Status and a role
            history.observe(one)
        case ("timer",):
            history.fire()
        case ("wait", int(seconds)):
            history.now += timedelta(seconds=seconds)
    return history


@given(steps)
def test_order_is_reported_once_and_overdue_raised_and_cleared_in_turn(given_steps: list[tuple[object, ...]]) -> None:
    history = History()
    for step in given_steps:
        after(history, step)
    assert len(history.of(ReportOrder)) == history.state.told
    changes = [one.state for one in history.effects if isinstance(one, ReportOverdue)]
    assert changes == (["raised", "cleared"] * len(changes))[: len(changes)]
    assert history.state.overdue == (changes[-1:] == ["raised"])
    if not any(step[0] == "news" and step[4] is not None for step in given_steps):
        assert (len(changes) > 0, len(changes) == 1) == (history.state.raised, history.state.overdue)


@given(steps)
@example(
    [
        ("expect", None, 1000, "1", True),
        ("news", "a", "captured", 1),
        ("news", "a", "refunded", 2),
        ("news", "b", "captured", 1),
    ]
)
def test_payer_never_changes_once_the_order_is_paid(given_steps: list[tuple[object, ...]]) -> None:
    history, payer = History(), None
    for step in given_steps:
        after(history, step)
        assert payer in (None, history.state.paid_by)
        payer = history.state.paid_by


@given(steps)
def test_timer_is_set_only_while_a_payment_is_awaited(given_steps: list[tuple[object, ...]]) -> None:
    history = History()
    for step in given_steps:
        after(history, step)
        state = history.state
        if state.expected is None or state.settled_by is not None:
            assert state.due is None
        elif state.expected.final_by is not None and not state.raised:
            settlement = awaited_settlement(state)
            latest = max(timer_queue.milliseconds(DEADLINE), settlement.late_at if settlement else 0)
            assert state.due == (OVERDUE_QUEUE, latest)
        elif state.due is not None:
            assert (state.due[0], state.raised) == (poll_queue("shop"), True)


@given(steps)
def test_record_read_again_at_once_changes_nothing(given_steps: list[tuple[object, ...]]) -> None:
    history = History()
    for step in given_steps:
        after(history, step)
        if step[0] in ("expect", "news"):
            state, effects = history.state, len(history.effects)
            after(history, step)
            assert history.state == state
            assert len(history.effects) == effects


@given(steps, st.permutations(range(6)))
def test_newest_expectation_counts_in_any_order(given_steps: list[tuple[object, ...]], order: list[int]) -> None:
    history = History()
    for number in order:
        shop = expectation(value=1 + number)
        history.apply(expectation_registered(ORDER, history.state, shop, f"v{number}", rfc3339(START)))
        for step in given_steps:
            if step[0] == "news":
                after(history, step)
    assert (history.state.said, history.state.expected) == ("v5", expectation(value=6))


@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from(STATUSES)), max_size=80))
def test_retained_payments_are_bounded_and_paid_ones_dropped_last(
    given_news: list[tuple[int, Status]],
) -> None:
    state = OrderState()
    for number, status in given_news:
        before = state.payments
        state = payment_observed(ORDER, state, news(f"p{number}", status)).state
        dropped = [weight(payment) for name, payment in before.items() if name not in state.payments]
        assert len(dropped) <= 1
        assert len(state.payments) <= MAX_PAYMENTS
        if dropped:
            retained = [weight(payment) for name, payment in state.payments.items() if name != f"p{number}"]
            assert dropped[0] <= min(retained)


def test_polls_follow_the_schedule_and_name_open_payments_only() -> None:
    history = History()
    after(history, ("expect", "a", 1000, "1", True))
    after(history, ("news", "b", "declined", 1))
    after(history, ("news", "c", "pending", 1))
    while history.state.due is not None:
        history.fire()
    polls = [one for one in history.effects if isinstance(one, PollProvider)]
    assert [(one.poll, one.payment_ids) for one in polls] == [(1 + number, (None, "a", "c")) for number in range(3)]
    for poll, previous, seconds in zip(polls, (0.0, *SCHEDULE_SECONDS), SCHEDULE_SECONDS, strict=False):
        earliest = DEADLINE + timedelta(seconds=seconds)
        latest = earliest + timedelta(seconds=(seconds - previous) / 10)
        assert rfc3339(earliest) <= poll.at <= rfc3339(latest), "jittered by at most a tenth of the spacing"


def test_timer_that_the_order_does_not_have_is_refused() -> None:
    state = expectation_registered(ORDER, OrderState(), expectation(), "1", rfc3339(START)).state
    time = TimeReached(name=ORDER.name, lane=OVERDUE_QUEUE, due=rfc3339(DEADLINE))
    assert timer_fired(ORDER, state, time, rfc3339(DEADLINE)) is not None
    assert timer_fired(ORDER, state, replace(time, due=rfc3339(START)), rfc3339(DEADLINE)) is None
    assert timer_fired(ORDER, state, replace(time, lane=poll_queue("shop")), rfc3339(DEADLINE)) is None
    assert timer_fired(ORDER, OrderState(), time, rfc3339(DEADLINE)) is None


def test_effects_are_in_the_order_of_their_publication() -> None:
    state = expectation_registered(ORDER, OrderState(), expectation("b"), "1", rfc3339(START)).state
    state = replace(state, raised=True, overdue=True)
    _, effects = payment_observed(ORDER, state, news("a", "captured"))
    assert [type(one) for one in effects] == [ComparePayment, ComparePayment, ReportOrder, ReportOverdue]
