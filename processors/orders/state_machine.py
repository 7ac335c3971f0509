"""The state machine of an order, as pure functions: each takes the order's state and returns the next one with effects.

An order begins with the shop's expectation or a change of a payment. Three kinds of records change it:

============ ======================================== =====================================================
record       function                                 effects
============ ======================================== =====================================================
expectation  `expectation_registered`                 the payments are compared with it
payment      `payment_observed`                       the payment is compared; the order is reported once as
                                                      observed, and as no longer overdue once it is settled
due timer    `timer_fired`                            the order is reported as missed and overdue, then the
                                                      provider is polled by the schedule
============ ======================================== =====================================================

An order is not overdue while it waits for the settlement of an authorised payment that is not late yet. The settlement
is not polled for: resolve looks up an authorised payment until it is settled.

The order's timer is part of the state (`OrderState.due`); the stage sets and cancels it when that field changes.
Nothing here reads a clock, so a batch processed again after a crash has the same effects.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from paynotify.processors.limits.jitter import fraction
from paynotify.processors.orders import parts
from paynotify.processors.orders.order_state import OrderState, weight
from paynotify.processors.orders.settlement import awaited_settlement
from paynotify.processors.state import timer_queue
from paynotify.schemas.messages import Expectation, ExpectedPayment, PaymentSeen, TimeReached
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status

#: The queue in which all orders wait until they are overdue. It is part of the timers' keys in the state.
OVERDUE_QUEUE: Final = "raise"

MAX_PAYMENTS: Final = 20
#: An order may have more parts than attempts: two years of monthly instalments.
MAX_PARTS: Final = 60
_JITTER_SHARE: Final = 0.1


def poll_queue(merchant: str) -> str:
    """The queue of a merchant's polls, limited by a quota of its own. It is part of the timers' keys in the state."""
    return f"look/{merchant}"


class Order(msgspec.Struct, frozen=True, gc=False):
    """What never changes about an order. ``poll_schedule_seconds`` are the times of the polls after its deadline."""

    merchant: str
    order_id: str
    provider: str
    poll_schedule_seconds: tuple[float, ...]

    @property
    def name(self) -> str:
        """The key of its records, and the name of its timer."""
        return f"{self.merchant}/{self.order_id}"


class ComparePayment(msgspec.Struct, frozen=True, gc=False):
    """Let resolve compare the payment with the expectation."""

    payment_id: str
    expectation: Expectation
    at: str


class ReportOrder(msgspec.Struct, frozen=True, gc=False):
    """Report, once per order, whether the provider reported one of its payments before the order was overdue."""

    observed: bool
    sold_at: str
    at: str


class ReportOverdue(msgspec.Struct, frozen=True, gc=False):
    """Report that the order is overdue (``raised``), or not any more (``cleared``)."""

    state: Literal["raised", "cleared"]
    expected: ExpectedPayment
    payment_id: str | None
    status: Status | None
    at: str
    reason: Literal["settlement"] | None = None


class PollProvider(msgspec.Struct, frozen=True, gc=False):
    """Poll the provider for the order (None) and for each of its open payments, as far as recovery rules allow it."""

    poll: int
    payment_ids: tuple[str | None, ...]
    at: str


Effect = ComparePayment | ReportOrder | ReportOverdue | PollProvider


class Transition(NamedTuple):
    """The order's next state, and the effects to publish, in order."""

    state: OrderState
    effects: tuple[Effect, ...] = ()


def expectation_registered(
    order: Order, state: OrderState, expected: ExpectedPayment, version: str, at: str
) -> Transition:
    """The shop registered what it expects. Of two expectations the one with the greater version counts, in whatever
    order they are read."""
    after = _with_payment_id(state, expected.payment_id, version)
    if state.expected is None or version > state.said:
        after = replace(after, expected=expected, said=version, parts_version=state.parts_version + 1)
    elif after.announced == state.announced:
        return Transition(state)
    after = _with_payer(after)
    compared = _compared(after, after.payment_ids, at)
    after, reported = _reported(after, at, observed=True) if after.payments else Transition(after)
    after, cleared = _with_timer(order, after, at)
    return Transition(after, (*compared, *reported, *cleared))


def payment_observed(order: Order, state: OrderState, payment: PaymentSeen) -> Transition:
    """A payment of the order has a new state. One older than the known state was read again and changes nothing."""
    known = state.payments.get(payment.payment_id)
    # the same state again was compared with what was known then: it has no effect now
    if known == payment or (known is not None and 0 < payment.sequence < known.sequence):
        return Transition(state)
    after = _with_payment(state, payment)
    if after.expected is None:
        return Transition(after)
    after, at = _with_payer(after), payment.observed_at
    to_compare = [payment.payment_id] if _knows_otherwise(after, payment) else []
    to_compare += _affected(state, after, payment.payment_id)
    compared = _compared(after, to_compare, at)
    after, reported = _reported(after, at, observed=True)
    after, cleared = _with_timer(order, after, at)
    return Transition(after, (*compared, *reported, *cleared))


def timer_fired(order: Order, state: OrderState, time: TimeReached, published_at: str) -> Transition | None:
    """The order's timer is due, and its record was published at that time; None if the order has no such timer."""
    if state.due != (time.lane, timer_queue.parse_milliseconds(time.due)) or state.expected is None:
        return None
    now = max(time.due, published_at)
    # of the polls that became due while no worker ran only the last is made
    state = replace(state, looks=max(state.looks, _polls_until(order, state.expected, now) - 1))
    effects: tuple[Effect, ...]
    if time.lane == OVERDUE_QUEUE:
        state, reported = _reported(state, time.due, observed=False)
        # an order that is overdue again has the same deadline as before: the report must differ, or it is a repeat
        at = now if state.raised_at else time.due
        state = replace(state, overdue=True, raised=True, raised_at=timer_queue.parse_milliseconds(now))
        effects = (*reported, _overdue(state, "raised", at))
    else:
        state = replace(state, looks=state.looks + 1)
        effects = (PollProvider(state.looks, (None, *state.open_ids()), now),)
    return Transition(replace(state, due=_next_poll(order, state)), effects)


def _with_payment_id(state: OrderState, payment_id: str | None, version: str) -> OrderState:
    """Remember the newest ids that the shop named: an order that needed two attempts may have been paid by both."""
    if payment_id is None:
        return state
    versions = {**state.announced, payment_id: max(version, state.announced.get(payment_id, ""))}
    newest = sorted(versions, key=versions.__getitem__)[-MAX_PAYMENTS:]
    return replace(state, announced={one: versions[one] for one in newest})


def _with_payment(state: OrderState, payment: PaymentSeen) -> OrderState:
    """Remember the payment as the newest; of too many, the first of the least weight is dropped."""
    others = {name: one for name, one in state.payments.items() if name != payment.payment_id}
    if len(others) >= (MAX_PARTS if payment.order_role == "part" else MAX_PAYMENTS):
        del others[min(others, key=lambda name: weight(others[name]))]
    return replace(state, payments={**others, payment.payment_id: payment}, parts_version=state.parts_version + 1)


def _with_payer(state: OrderState) -> OrderState:
    """The first payment that took the expected amount pays the order; any later one is a payment too many."""
    assert state.expected is not None
    if state.expected.several or state.paid_by is not None or (payer := state.payer) is None:
        return state
    return replace(state, paid_by=payer.payment_id, paid_in_parts=payer.order_role == "part")


def _with_timer(order: Order, state: OrderState, at: str) -> Transition:
    """Keep a timer while a payment is awaited, and none once the order is settled."""
    expected = state.expected
    assert expected is not None
    if state.settled_by is not None:
        return _no_longer_overdue(replace(state, due=None), at)
    if expected.final_by is None:
        return Transition(replace(state, due=None))
    final_by, settlement = timer_queue.parse_milliseconds(expected.final_by), awaited_settlement(state)
    if settlement is not None and (not state.overdue or settlement.late_at > state.raised_at):
        waiting = replace(state, raised=False, due=(OVERDUE_QUEUE, max(final_by, settlement.late_at)))
        return _no_longer_overdue(waiting, at)
    if not state.raised:
        return Transition(replace(state, due=(OVERDUE_QUEUE, final_by)))
    if settlement is not None or state.due is None:
        return Transition(replace(state, due=_next_poll(order, state)))
    return Transition(state)


def _no_longer_overdue(state: OrderState, at: str) -> Transition:
    if not state.overdue:
        return Transition(state)
    state = replace(state, overdue=False)
    return Transition(state, (_overdue(state, "cleared", at),))


def _affected(before: OrderState, after: OrderState, payment_id: str) -> list[str]:
    """The order's other payments of which something else is expected now: open ones too, before they take money, and
    parts that took money, as their sum decides. Ended ones are compared if they turn into late successes."""
    candidates = dict.fromkeys(
        (*after.open_ids(), *(name for name, one in after.payments.items() if parts.has_taken_money(one)))
    )
    return [one for one in candidates if one != payment_id and _expectation(before, one) != _expectation(after, one)]


def _knows_otherwise(state: OrderState, payment: PaymentSeen) -> bool:
    """Whether the payment was compared with something else than what is expected of it."""
    known = None if payment.expected is None else replace(payment.expected, parts_version=0)
    return known != _expectation(state, payment.payment_id)


def _compared(state: OrderState, payment_ids: Iterable[str], at: str) -> tuple[ComparePayment, ...]:
    return tuple(ComparePayment(one, _versioned(state, _expectation(state, one)), at) for one in payment_ids)


def _versioned(state: OrderState, expected: Expectation) -> Expectation:
    """With the version of the other parts, so that resolve recognises an older sum that is read again."""
    return expected if expected.other_parts is None else replace(expected, parts_version=state.parts_version)


def _expectation(state: OrderState, payment_id: str) -> Expectation:
    """What is expected of one payment of the order."""
    expected, payment = state.expected, state.payments.get(payment_id)
    assert expected is not None
    role = payment.order_role if payment is not None else "whole"
    may_pay_too = expected.several or role == "repeat" or (role == "part" and state.paid_in_parts)
    return Expectation(
        order_id=expected.order_id,
        amount=expected.amount,
        said=state.said,
        announced=state.announced.get(payment_id, ""),
        paid_by=None if may_pay_too or state.paid_by == payment_id else state.paid_by,
        other_parts=_other_parts(state, payment_id) if role == "part" else None,
        several=expected.several,
    )


def _other_parts(state: OrderState, payment_id: str) -> Money:
    """What a part is added to: the other parts, and the payment that has paid the order in one, if one has."""
    expected = state.expected
    assert expected is not None
    others = parts.others(state.payments.values(), payment_id, expected.amount.currency)
    paid_in_one = state.paid_by is not None and not state.paid_in_parts and not expected.several
    return replace(others, value=others.value + expected.amount.value) if paid_in_one else others


def _reported(state: OrderState, at: str, *, observed: bool) -> Transition:
    """Report the order as observed or missed, unless it was reported before."""
    if state.told:
        return Transition(state)
    assert state.expected is not None
    report = ReportOrder(observed or bool(state.payments), state.expected.created_at, at)
    return Transition(replace(state, told=True), (report,))


def _overdue(state: OrderState, change: Literal["raised", "cleared"], at: str) -> ReportOverdue:
    assert state.expected is not None
    settlement = awaited_settlement(state)
    waiting_for = settlement.payment if settlement is not None else next(reversed(state.payments.values()), None)
    payment = state.settled_by or waiting_for
    payment_id = payment.payment_id if payment else next(reversed(state.announced), None)
    reason: Literal["settlement"] | None = "settlement" if change == "raised" and settlement is not None else None
    return ReportOverdue(change, state.expected, payment_id, payment.status if payment else None, at, reason)


def _polls_until(order: Order, expected: ExpectedPayment, at: str) -> int:
    """How many polls of the schedule were due at that time."""
    if expected.final_by is None:
        return 0
    final_by, now = map(timer_queue.parse_milliseconds, (expected.final_by, at))
    passed_seconds = (now - final_by) / 1000
    return sum(one <= passed_seconds for one in order.poll_schedule_seconds)


def _next_poll(order: Order, state: OrderState) -> tuple[str, int] | None:
    """The timer of the schedule's next poll, with some jitter; None after the last poll, and while only a settlement
    is awaited."""
    expected, polls, schedule = state.expected, state.looks, order.poll_schedule_seconds
    if polls >= len(schedule) or expected is None or expected.final_by is None:
        return None
    if awaited_settlement(state) is not None:
        return None
    spacing_seconds = schedule[polls] - (schedule[polls - 1] if polls else 0.0)
    jitter_seconds = fraction(f"{order.name}/{polls}") * _JITTER_SHARE * spacing_seconds
    delay_milliseconds = round((schedule[polls] + jitter_seconds) * 1000)
    return poll_queue(order.merchant), timer_queue.parse_milliseconds(expected.final_by) + delay_milliseconds
