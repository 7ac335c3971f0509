"""The transitions between payment statuses, as a table, and the pure function that applies an observation.

``pending`` → ``authorised`` → ``captured``. A failure may be reported before the success it turns into. Captured money
only goes back by refunds and chargebacks. ``authorised`` and ``suspended`` follow the provider's newest response. Every
other transition is refused, so that no published status is ever taken back (guarantee G4 in docs/guarantees.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from processors.resolve import follow_up
from processors.resolve.checks import newest_expectation
from processors.resolve.events import next_event
from processors.resolve.payment_state import Advance, PaymentState, TransitionKind
from processors.resolve.refunds import merged
from schemas.messages import Observation, PaymentStatus
from schemas.status import ENDED_WITHOUT_MONEY, MONEY_WENT_BACK, Status

_SUCCESSES: Final[frozenset[Status]] = frozenset({"authorised", "captured"})

_MOVES: Final[frozenset[Status]] = frozenset({"authorised", "captured", "suspended", "unknown"})

ALLOWED: Final[Mapping[Status, frozenset[Status]]] = {
    "pending": _MOVES | ENDED_WITHOUT_MONEY | MONEY_WENT_BACK,
    "authorised": (_MOVES - {"authorised"}) | ENDED_WITHOUT_MONEY | MONEY_WENT_BACK,
    "suspended": (_MOVES - {"suspended"}) | ENDED_WITHOUT_MONEY | MONEY_WENT_BACK,
    "unknown": (_MOVES - {"unknown"}) | ENDED_WITHOUT_MONEY | MONEY_WENT_BACK,
    "declined": _SUCCESSES | MONEY_WENT_BACK,
    "cancelled": _SUCCESSES | MONEY_WENT_BACK,
    "expired": _SUCCESSES | MONEY_WENT_BACK,
    "failed": _SUCCESSES | MONEY_WENT_BACK,
    "captured": MONEY_WENT_BACK,
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
_STILL_CAPTURED: Final = MONEY_WENT_BACK


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
    refunds = merged(state.refunds, observation.refund)
    state = replace(
        state,
        refunds=refunds,
        expected=newest_expectation(observation.expected, state.expected),
        follows=follow_up.observed(
            state.follows,
            observation,
            moment=_moment(observation),
            newer=newer,
            settled_refunds=[one.refund_id for one in refunds if one.settled],
        ),
        order_role=observation.order_role if observation.status is not None and newer else state.order_role,
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
    event = next_event(state, observation, reported, expected_required, takes_details=kind == "changed" or newer)
    if last is not None and _material(event) == _material(last):
        return Advance(state, "unchanged")
    late = current in ENDED_WITHOUT_MONEY and event.status not in ENDED_WITHOUT_MONEY
    return Advance(replace(state, last=event), "changed", event, late)


def _moment(observation: Observation) -> tuple[str, str]:
    return observation.provider_time or "", observation.observed_at


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
        event.settles_by,
    )
