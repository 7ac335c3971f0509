"""Which status may follow which: the line of the design as data, and the pure step that applies it (G4).

``pending`` → ``authorised`` → ``captured``; a failure may be reported before the success it turns into; captured
money only goes back by refunds and chargebacks; ``authorised`` and ``suspended`` follow the provider's newest word.
Everything else is refused.
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

#: Moves that can be undone, at once or on a way round. Only a newer word of the provider may make them: a late answer,
#: or the same one again after a crash, would otherwise turn the payment back.
NEWEST_WINS: Final[frozenset[tuple[Status, Status]]] = frozenset(
    (current, wanted)
    for current in _OPEN | ENDED_WITHOUT_MONEY
    for wanted in ALLOWED[current] & (_OPEN | ENDED_WITHOUT_MONEY)
)

#: The provider goes on reporting the payment as captured after money went back; that is no step backwards.
_STILL_CAPTURED: Final = _REFUNDS

TransitionKind = Literal["changed", "unchanged", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentState:
    """What is remembered of one payment: its newest event and the refunds seen, also those that came too early.

    ``newest`` is the time of the newest word on its status, by the provider's clock and then by ours. It is not the
    last event's: a word that is refused or repeats what is known makes no event, and a refund has a time of its own.
    ``expected`` is what the shop said of it, ``capturing`` the part that we asked the provider to capture.
    """

    last: PaymentStatus | None = None
    refunds: tuple[Refund, ...] = ()
    newest: tuple[str, str] = ("", "")
    expected: Expectation | None = None
    capturing: Money | None = None


@dataclass(frozen=True, slots=True)
class Advance:
    """The result of one observation: the new state, the event to publish if any, and why not otherwise."""

    state: PaymentState
    verdict: TransitionKind
    event: PaymentStatus | None = None
    late_success: bool = False


def allowed(current: Status | None, wanted: Status, *, newer: bool) -> TransitionKind:
    """Whether ``wanted`` may follow ``current``; ``newer`` tells if the provider's time moved on."""
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
    """Apply one observation to a payment's state. Pure: the same two always give the same event and id."""
    last = state.last
    # strictly: of two words of the same moment the first stays, in whatever order they are repeated
    newer = last is None or _moment(observation) > state.newest
    state = replace(
        state,
        refunds=_merged(state.refunds, observation.refund),
        expected=_newest(observation.expected, state.expected),
        capturing=observation.capturing or state.capturing,
        # a refused word counts too: an older one must not undo it later, nor itself when it is repeated
        newest=state.newest if observation.status is None else max(state.newest, _moment(observation)),
    )
    if observation.status is None and last is None:
        return Advance(state, "unchanged")  # what comes before its payment is kept until the payment is known
    current = last.status if last else None
    verdict: TransitionKind = "unchanged"
    reported = current
    if observation.status is not None:
        verdict = allowed(current, observation.status, newer=newer)
        if verdict == "refused":
            return Advance(state, "refused")
        if verdict == "changed":
            reported = observation.status
    assert reported is not None
    event = _event(state, observation, reported, expected_required, takes_details=verdict == "changed" or newer)
    if last is not None and _material(event) == _material(last):
        return Advance(state, "unchanged")
    late = current in ENDED_WITHOUT_MONEY and event.status not in ENDED_WITHOUT_MONEY
    return Advance(replace(state, last=event), "changed", event, late)


def _event(
    state: PaymentState, observation: Observation, reported: Status, expected_required: bool, *, takes_details: bool
) -> PaymentStatus:
    last = state.last
    speaks = observation.status is not None
    newest = speaks and takes_details
    # an older word tells what no newer one did: a chargeback names no amount, and may be read before the capture is
    amount = _told(newest, observation.amount if speaks else None, last.amount if last else None)
    paid = _told(newest, _paid(state, observation) if speaks else None, last.paid if last else None)
    order_id = _told(newest, observation.order_id if speaks or last is None else None, last.order_id if last else None)
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
    """How a payment compares with what the shop expected of it: by what was paid, before that by what is to be paid.

    A payment that the shop announced by the provider's id is its order's even where the provider names no order. Nobody
    expects money for an order that another payment has paid.
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
    """The shop's newest word, whichever comes last: an answer may be read by a process that doesn't know it yet, nor
    that the order was paid by another payment."""
    if one is None or other is None:
        return one or other
    newest = one if (one.announced, one.said) >= (other.announced, other.said) else other
    if newest.paid_by is None and one.order_id == other.order_id:
        return replace(newest, paid_by=one.paid_by or other.paid_by)
    return newest


def _paid(state: PaymentState, observation: Observation) -> Money | None:
    """What was captured. Of a part, some providers go on telling the whole amount; the part was our own request."""
    return state.capturing or observation.paid if observation.status == "captured" else observation.paid


def _moment(observation: Observation) -> tuple[str, str]:
    return observation.provider_time or "", observation.observed_at


def _told(newest: bool, said: T | None, known: T | None) -> T | None:
    """What the newest word says, or else what is known; an older word counts only where nothing is known."""
    first, second = (said, known) if newest else (known, said)
    return second if first is None else first


def _merged(refunds: tuple[Refund, ...], seen: Refund | None) -> tuple[Refund, ...]:
    """The refunds with ``seen`` added, or settled; what was settled once stays as it was, whatever is repeated."""
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
    """Captured money that went back, in part or whole, by amounts."""
    if refunded is None or reported not in ("captured", "partially_refunded"):
        return reported
    if paid is None or refunded.currency != paid.currency or refunded.value < paid.value:
        return "partially_refunded"
    return "refunded"


def _material(event: PaymentStatus) -> tuple[object, ...]:
    """What makes an event worth publishing; times and wording alone don't."""
    return (
        event.status,
        event.order_id,
        event.amount,
        event.paid,
        event.refunded,
        event.fulfilment,
        event.checks,
    )
