"""The transitions between payment statuses, as a table, and the pure function that applies an observation.

``pending`` → ``authorised`` → ``captured``. A failure may be reported before the success it turns into. Captured money
only goes back by refunds and chargebacks. ``authorised`` and ``suspended`` follow the provider's newest response. Every
other transition is refused, so that no published status is ever taken back (guarantee G4 in docs/guarantees.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeVar

from schemas import messages
from schemas.ids import derived_id
from schemas.messages import Checks, Expectation, Observation, PaymentStatus, Refund
from schemas.money import Money
from schemas.status import ENDED_WITHOUT_MONEY, FINAL, Status, fulfilment

T = TypeVar("T")

_SUCCESSES: Final[frozenset[Status]] = frozenset({"authorised", "captured"})
_REFUNDS: Final[frozenset[Status]] = frozenset({"partially_refunded", "refunded", "charged_back"})

_MOVES: Final[frozenset[Status]] = frozenset({"authorised", "captured", "suspended", "unknown"})

ALLOWED: Final[Mapping[Status, frozenset[Status]]] = {
    "pending": _MOVES | ENDED_WITHOUT_MONEY | _REFUNDS,
    "authorised": (_MOVES - {"authorised"}) | ENDED_WITHOUT_MONEY | _REFUNDS,
    "suspended": (_MOVES - {"suspended"}) | ENDED_WITHOUT_MONEY | _REFUNDS,
    "unknown": (_MOVES - {"unknown"}) | ENDED_WITHOUT_MONEY | _REFUNDS,
    "declined": _SUCCESSES | _REFUNDS,
    "cancelled": _SUCCESSES | _REFUNDS,
    "expired": _SUCCESSES | _REFUNDS,
    "failed": _SUCCESSES | _REFUNDS,
    "captured": _REFUNDS,
    "partially_refunded": frozenset({"refunded", "charged_back"}),
    "refunded": frozenset({"charged_back"}),
    "charged_back": frozenset(),
}

_OPEN: Final[frozenset[Status]] = frozenset({"authorised", "suspended", "unknown"})

#: Transitions that later ones can undo, directly or by a detour. Only a newer response of the provider may cause them:
#: a late response, or one processed again after a crash, would otherwise turn the payment back.
NEWEST_WINS: Final[frozenset[tuple[Status, Status]]] = frozenset(
    (current, wanted)
    for current in _OPEN | ENDED_WITHOUT_MONEY
    for wanted in ALLOWED[current] & (_OPEN | ENDED_WITHOUT_MONEY)
)

#: A provider still reports the payment as captured after money went back; that does not turn the payment back.
_STILL_CAPTURED: Final = _REFUNDS

TransitionKind = Literal["changed", "unchanged", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentState:
    """The persisted state of one payment, as encoded in the changelog.

    ``last`` is its newest event; ``refunds`` are all observed ones, also those observed before the payment itself.
    ``newest`` is the time of the newest observation of its status, by the provider's clock and then by ours. It may be
    later than the last event's: an observation that is refused or changes nothing makes no event, and a refund has a
    time of its own. ``expected`` is what the shop expects, ``capturing`` the part that we asked to be captured.
    """

    last: PaymentStatus | None = None
    refunds: tuple[Refund, ...] = ()
    newest: tuple[str, str] = ("", "")
    expected: Expectation | None = None
    capturing: Money | None = None


@dataclass(frozen=True, slots=True)
class Advance:
    """The result of one observation: the new state, the kind of transition, and the event to publish if any.

    ``late_success`` says that the payment succeeded after a failure had been published.
    """

    state: PaymentState
    kind: TransitionKind
    event: PaymentStatus | None = None
    late_success: bool = False


def allowed(current: Status | None, wanted: Status, *, newer: bool) -> TransitionKind:
    """Whether ``wanted`` may follow ``current``. ``newer`` says that it was observed later than all statuses before."""
    if current is None:
        return "changed"
    if wanted == current or (wanted == "captured" and current in _STILL_CAPTURED):
        return "unchanged"
    if wanted not in ALLOWED[current]:
        return "refused"
    if (current, wanted) in NEWEST_WINS and not newer:
        return "refused"
    return "changed"


def advance(state: PaymentState, observation: Observation, *, expected_required: bool = False) -> Advance:
    """Apply one observation to a payment's state. The same state and observation always give the same event and id."""
    last = state.last
    # strictly later: of two observations of the same moment the first counts, however they are repeated
    newer = last is None or _moment(observation) > state.newest
    state = replace(
        state,
        refunds=_merged(state.refunds, observation.refund),
        expected=_newest(observation.expected, state.expected),
        capturing=observation.capturing or state.capturing,
        # of a refused observation too: neither an older one nor the same one repeated may change the status later
        newest=state.newest if observation.status is None else max(state.newest, _moment(observation)),
    )
    if observation.status is None and last is None:
        return Advance(state, "unchanged")  # stored until the payment itself is observed
    current = last.status if last else None
    kind: TransitionKind = "unchanged"
    reported = current
    if observation.status is not None:
        kind = allowed(current, observation.status, newer=newer)
        if kind == "refused":
            return Advance(state, "refused")
        if kind == "changed":
            reported = observation.status
    assert reported is not None
    event = _event(state, observation, reported, expected_required, takes_details=kind == "changed" or newer)
    if last is not None and _material(event) == _material(last):
        return Advance(state, "unchanged")
    late = current in ENDED_WITHOUT_MONEY and event.status not in ENDED_WITHOUT_MONEY
    return Advance(replace(state, last=event), "changed", event, late)


def _event(
    state: PaymentState, observation: Observation, reported: Status, expected_required: bool, *, takes_details: bool
) -> PaymentStatus:
    last = state.last
    has_status = observation.status is not None
    newest = has_status and takes_details
    # an older response fills in what no newer one had: a chargeback has no amount, and may be read before the capture
    amount = _merged_field(newest, observation.amount if has_status else None, last.amount if last else None)
    paid = _merged_field(newest, _paid(state, observation) if has_status else None, last.paid if last else None)
    observed_order = observation.order_id if has_status or last is None else None
    order_id = _merged_field(newest, observed_order, last.order_id if last else None)
    refunded = _refunded(state.refunds)
    status = _with_refunds(reported, paid, refunded)
    details = observation if newest or last is None else last
    checks = check(state.expected, order_id, amount=amount, paid=paid)
    matches = paid is not None and (checks == _AS_EXPECTED if state.expected else paid == amount)
    if expected_required and state.expected is None:
        matches = False
    event = PaymentStatus(
        event_id="",
        sequence=last.sequence + 1 if last else 1,
        provider=observation.provider,
        merchant=observation.merchant,
        payment_id=observation.payment_id,
        order_id=order_id,
        status=status,
        previous_status=last.status if last else None,
        final=status in FINAL,
        fulfilment=fulfilment(status, amounts_match=matches),
        amount=amount,
        paid=paid,
        refunded=refunded if status in _REFUNDS else None,
        reason=details.reason,
        provider_status=details.provider_status,
        checks=checks,
        source=observation.source,
        provider_time=observation.provider_time,
        observed_at=observation.observed_at,
    )
    return replace(event, event_id=derived_id("status", messages.encode(event).decode()))


def check(expected: Expectation | None, order_id: str | None, *, amount: Money | None, paid: Money | None) -> Checks:
    """Compare a payment with the expectation: by the amount paid, or before that by the amount to be paid.

    A payment that the shop registered by the provider's id belongs to its order even if the provider names no order. A
    payment for an order that another payment has paid is unexpected.
    """
    if expected is None:
        return Checks(amount="unknown", order="unexpected")
    compared = paid or amount
    paid_twice = paid is not None and expected.paid_by is not None
    ours = order_id in (None, expected.order_id) and not paid_twice
    return Checks(
        amount="unknown" if compared is None else "match" if compared == expected.amount else "mismatch",
        order="expected" if ours else "unexpected",
    )


_AS_EXPECTED: Final = Checks(amount="match", order="expected")


def _newest(one: Expectation | None, other: Expectation | None) -> Expectation | None:
    """The newer expectation, whichever is read last: a response may be interpreted by a process that does not know the
    newest one yet, nor that the order was paid by another payment, nor what its other parts are."""
    if one is None or other is None:
        return one or other
    newest, older = (one, other) if (one.announced, one.said) >= (other.announced, other.said) else (other, one)
    if newest.order_id != older.order_id:
        return newest
    paid_by = None if newest.several else newest.paid_by or older.paid_by
    other_parts = older.other_parts if newest.other_parts is None else newest.other_parts
    return replace(newest, paid_by=paid_by, other_parts=other_parts)


def _paid(state: PaymentState, observation: Observation) -> Money | None:
    """The captured amount. Of a partial capture some providers still report the whole amount; what counts is the part
    that we requested."""
    return state.capturing or observation.paid if observation.status == "captured" else observation.paid


def _moment(observation: Observation) -> tuple[str, str]:
    return observation.provider_time or "", observation.observed_at


def _merged_field(newest: bool, observed: T | None, known: T | None) -> T | None:
    """The observed value if it is the newest, else the known one; where one is missing, the other."""
    first, second = (observed, known) if newest else (known, observed)
    return second if first is None else first


def _merged(refunds: tuple[Refund, ...], seen: Refund | None) -> tuple[Refund, ...]:
    """The refunds with ``seen`` added or settled. A settled refund never changes again, whatever is repeated."""
    if seen is None:
        return refunds
    known = next((one for one in refunds if one.refund_id == seen.refund_id), None)
    if known is not None and (known.settled or not seen.settled):
        return refunds
    return (*(one for one in refunds if one.refund_id != seen.refund_id), seen)


def _refunded(refunds: tuple[Refund, ...]) -> Money | None:
    settled = [one.amount for one in refunds if one.settled]
    if not settled:
        return None
    return Money(sum(one.value for one in settled), settled[0].currency)


def _with_refunds(reported: Status, paid: Money | None, refunded: Money | None) -> Status:
    """The reported status, or a refunded one if captured money went back in part or in whole."""
    if refunded is None or reported not in ("captured", "partially_refunded"):
        return reported
    if paid is None or refunded.currency != paid.currency or refunded.value < paid.value:
        return "partially_refunded"
    return "refunded"


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
    )
