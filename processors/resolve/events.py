"""The event of a payment's state after an observation."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar

from msgspec.structs import replace

from paynotify.processors.resolve import follow_up
from paynotify.processors.resolve.chargebacks import charged_back_amount, open_chargebacks
from paynotify.processors.resolve.checks import amount_is_certain, amounts_match, check, is_paid_by_another, judged_by
from paynotify.processors.resolve.payment_state import Advance, PaymentState
from paynotify.processors.resolve.refunds import RefundSums, refund_sums
from paynotify.processors.resolve.release import ReleaseRules
from paynotify.schemas import messages
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import Checks, Observation, PaymentStatus
from paynotify.schemas.money import Money, total
from paynotify.schemas.status import (
    ENDED_WITHOUT_MONEY,
    FINAL,
    TOOK_MONEY,
    WITHDRAWN,
    Fulfilment,
    Status,
    fulfilment,
)

T = TypeVar("T")

#: The reason of an event that says that captured money came back without a refund.
MONEY_RETURNED: Final = "money_returned"

#: The reasons of events that take back a release, where the provider names none.
_AFTER_RELEASE: Final = {status: f"{status}_after_release" for status in sorted(WITHDRAWN)}
_OWN_REASONS: Final = frozenset({MONEY_RETURNED, *_AFTER_RELEASE.values()})


class _Amounts(NamedTuple):
    """What is known of the payment's own money."""

    amount: Money | None
    paid: Money | None
    customer_amount: Money | None

    @property
    def whole(self) -> Money | None:
        return self.paid or self.amount


def next_event(
    state: PaymentState, observation: Observation, reported: Status, rules: ReleaseRules, *, takes_details: bool
) -> PaymentStatus:
    """The event that says what is known now. ``takes_details``: the observation's fields are newer than those known."""
    last = state.last
    has_status = observation.status is not None
    newest = has_status and takes_details
    amounts = _amounts(state, observation, newest=newest)
    observed_order = observation.order_id if has_status or last is None else None
    order_id = _merged_field(newest, observed_order, last.order_id if last else None)
    sums = refund_sums(state, amounts.whole, amounts.customer_amount)
    status = _status(state, reported, sums, corrected=observation.correction is not None)
    took_money = amounts.paid is not None or reported in TOOK_MONEY or status in TOOK_MONEY
    checks = check(state.expected, order_id, amount=amounts.amount, paid=amounts.paid, role=state.order_role)
    allowed = _fulfilment(state, status, amounts, sums, checks, rules)
    details = observation if newest or last is None else last
    return PaymentStatus(
        event_id="",  # by `concluded`, if it is published
        sequence=last.sequence + 1 if last else 1,
        provider=observation.provider,
        merchant=observation.merchant,
        payment_id=observation.payment_id,
        order_id=order_id,
        status=status,
        previous_status=last.status if last else None,
        final=status in FINAL,
        fulfilment=allowed,
        amount=amounts.amount,
        paid=amounts.paid,
        refunded=sums.settled if took_money else None,
        reason=_reason(state, details.reason, status, allowed),
        provider_status=details.provider_status,
        checks=checks,
        source=observation.source,
        provider_time=observation.provider_time,
        observed_at=observation.observed_at,
        refunding=_refunding(sums, status, took_money=took_money),
        charged_back=charged_back_amount(state, amounts.whole, sums.settled),
        customer_amount=amounts.customer_amount,
        settles_by=follow_up.settles_by(state.follows, observation.payment_id) if status == "authorised" else None,
        correction=state.correction,
        order_role=state.order_role,
    )


def _amounts(state: PaymentState, observation: Observation, *, newest: bool) -> _Amounts:
    """The amounts. An older response fills in what no newer one had: a chargeback has no amount, and may be read before
    the capture."""
    last = state.last
    known = _Amounts(last.amount, last.paid, last.customer_amount) if last else _Amounts(None, None, None)
    if observation.status is None:
        return known
    return _Amounts(
        _merged_field(newest, observation.amount, known.amount),
        _paid(state, observation, known.paid, newest=newest),
        _merged_field(newest, observation.customer_amount, known.customer_amount),
    )


def _paid(state: PaymentState, observation: Observation, known: Money | None, *, newest: bool) -> Money | None:
    """The captured amount. Of a partial capture some providers still report the whole amount; what counts is the part
    that we requested. An operator who says that no money was taken takes back an earlier amount."""
    if observation.correction is not None:
        return observation.paid or (known if observation.status in _MAY_HAVE_TAKEN else None)
    observed = state.capturing or observation.paid if observation.status == "captured" else observation.paid
    return _merged_field(newest, observed, known)


_MAY_HAVE_TAKEN: Final[frozenset[Status]] = TOOK_MONEY | {"unknown"}


def _fulfilment(
    state: PaymentState, status: Status, amounts: _Amounts, sums: RefundSums, checks: Checks, rules: ReleaseRules
) -> Fulfilment:
    judge = judged_by(state.expected, checks, state.order_role)
    judgeable = not sums.unclear and not (rules.expected_required and judge is None)
    # an attempt without money is still expected (`check`), but goods have left for the payment that took it
    secured = rules.authorised and state.secured and not is_paid_by_another(state.expected, state.order_role)
    return fulfilment(
        status,
        amounts_match=judgeable and amounts_match(judge, checks, amount=amounts.amount, paid=amounts.paid),
        secured=judgeable and secured and amount_is_certain(judge, checks, amount=amounts.amount),
        refunding_all=sums.all_under_way,
        withdrawn=was_released(state) and not (state.returned and status == "unknown"),
    )


def concluded(state: PaymentState, event: PaymentStatus) -> Advance:
    """The result: the event is published if it says something new."""
    last = state.last
    if last is not None and _material(event) == _material(last):
        return Advance(state, "unchanged")
    event, event_bytes = _named(event)
    exceeds = _exceeds(event)
    after = replace(
        state,
        last=event,
        released=was_released(state) or event.fulfilment == "release",
        over_refunded=state.over_refunded or exceeds,
    )
    return Advance(
        after,
        "changed",
        event,
        event_bytes,
        late_success=_late_success(last, event),
        money_returned=_says_returned(event) and not (last is not None and _says_returned(last)),
        over_refunded=exceeds and not state.over_refunded,
        refunded_beyond=exceeds and (last is None or not _exceeds(last) or _refunded_more(last, event)),
    )


def _named(event: PaymentStatus) -> tuple[PaymentStatus, bytes]:
    """The event with the id that its content gives it, and its bytes, which would be costly to make a second time."""
    content = messages.encode(event)
    event_id = derived_id("status", content.decode())
    named = content.replace(b'""', f'"{event_id}"'.encode(), 1)  # the id is the first field, and was empty
    return replace(event, event_id=event_id), named


def was_released(state: PaymentState) -> bool:
    """Whether an event has released the goods; earlier releases stored only the newest event."""
    return state.released or (state.last is not None and state.last.fulfilment == "release")


def _status(state: PaymentState, reported: Status, sums: RefundSums, *, corrected: bool) -> Status:
    """The reported status, or the one that refunds and chargebacks lead to."""
    status = _with_refunds(state, reported, sums)
    if open_chargebacks(state):
        status = "charged_back"
    last = state.last.status if state.last else None
    if corrected or last not in _BACKWARDS or status not in _BACKWARDS:
        return status
    # if a newer response raises the captured amount, a refunded payment does not turn back
    return max(last, status, key=_BACKWARDS.index)


#: The order in which captured money goes back.
_BACKWARDS: Final[tuple[Status, ...]] = ("captured", "partially_refunded", "refunded", "charged_back")


def _with_refunds(state: PaymentState, reported: Status, sums: RefundSums) -> Status:
    if state.returned:
        if not sums.all_under_way:
            return reported
        reported = "captured"  # the refund explains it
    if sums.settled is None or reported not in ("captured", "partially_refunded"):
        return reported
    return "refunded" if sums.all_settled else "partially_refunded"


def _refunding(sums: RefundSums, status: Status, *, took_money: bool) -> Money | None:
    """What is under way. Of a payment not captured yet, that is also what the provider calls settled."""
    if took_money:
        return sums.under_way
    if status in ENDED_WITHOUT_MONEY:
        return None
    if sums.settled is None:
        return sums.under_way
    if sums.under_way is None or sums.under_way.currency != sums.settled.currency:
        return sums.under_way or sums.settled
    return total((sums.settled.value, sums.under_way.value), sums.settled.currency)


def _reason(state: PaymentState, reason: str | None, status: Status, allowed: Fulfilment) -> str | None:
    """The provider's reason, or a word of ours for what the provider does not explain."""
    if reason in _OWN_REASONS:
        reason = None  # of the last event; it may not apply any more
    if state.returned and status == "unknown":
        return MONEY_RETURNED
    if allowed == "stop" and status in WITHDRAWN and was_released(state):
        return reason or _AFTER_RELEASE[status]
    return reason


def _material(event: PaymentStatus) -> tuple[object, ...]:
    """The fields whose change is published; a change of times or texts alone is not."""
    return (
        event.status,
        event.order_id,
        event.amount,
        event.paid,
        event.refunded,
        event.fulfilment,
        event.checks,
        event.refunding,
        event.charged_back,
        event.customer_amount,
        event.settles_by,
        event.order_role,
    )


def _late_success(last: PaymentStatus | None, event: PaymentStatus) -> bool:
    if event.correction is not None:
        return False  # an operator's word is no news of the provider
    return last is not None and last.status in ENDED_WITHOUT_MONEY and event.status not in ENDED_WITHOUT_MONEY


def _exceeds(event: PaymentStatus) -> bool:
    """Whether more was refunded than was captured."""
    if event.refunded is None:
        return False
    whole = (event.paid or event.amount, event.customer_amount)
    basis = next((one for one in whole if one is not None and one.currency == event.refunded.currency), None)
    return basis is not None and event.refunded.value > basis.value


def _refunded_more(last: PaymentStatus, event: PaymentStatus) -> bool:
    before, now = last.refunded, event.refunded
    return before is not None and now is not None and now.value > before.value


def _says_returned(event: PaymentStatus) -> bool:
    return event.status == "unknown" and event.reason == MONEY_RETURNED


def _merged_field(newest: bool, observed: T | None, known: T | None) -> T | None:
    """The observed value if it is the newest, else the known one; where one is missing, the other."""
    first, second = (observed, known) if newest else (known, observed)
    return second if first is None else first
