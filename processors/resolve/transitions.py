"""The transitions between payment statuses, as a table, and the pure function that applies an observation.

``pending`` → ``authorised`` → ``captured``. A failure may be reported before the success it turns into. Captured money
only goes back by refunds and chargebacks. ``authorised`` and ``suspended`` follow the provider's newest response. Every
other transition is refused, so that no published status is ever taken back (G4 in docs/reference/guarantees.md), except
by an operator's correction. Captured money of a bank's debit may be taken back without a refund: that is ``unknown``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from paynotify.processors.resolve import follow_up
from paynotify.processors.resolve.chargebacks import with_chargeback
from paynotify.processors.resolve.checks import newest_expectation
from paynotify.processors.resolve.corrections import corrected, predates_correction
from paynotify.processors.resolve.events import concluded, next_event
from paynotify.processors.resolve.payment_state import Advance, PaymentState, TransitionKind, reported_status
from paynotify.processors.resolve.refunds import with_refund
from paynotify.processors.resolve.release import CAPTURED_ONLY, ReleaseRules
from paynotify.schemas.messages import Observation
from paynotify.schemas.status import ENDED_WITHOUT_MONEY, MONEY_WENT_BACK, TOOK_MONEY, Status

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

#: Money was captured, and at least a part of it did not go back.
_HELD: Final[frozenset[Status]] = frozenset({"captured", "partially_refunded"})

#: What a provider reports of a payment whose captured money its bank has taken back.
_RETURNED: Final[frozenset[Status]] = ENDED_WITHOUT_MONEY | {"pending", "suspended"}


def allowed(current: Status | None, wanted: Status, *, newer: bool) -> TransitionKind:
    """Whether ``wanted`` may follow ``current``. ``newer`` says that it was observed later than all statuses before."""
    if current is None:
        return "changed"
    # a provider still reports the payment as captured after money went back; that does not turn the payment back
    if wanted == current or (wanted == "captured" and current in MONEY_WENT_BACK):
        return "unchanged"
    if wanted not in ALLOWED[current]:
        return "refused"
    if (current, wanted) in NEWEST_WINS and not newer:
        return "refused"
    return "changed"


def takes_money_back(state: PaymentState, wanted: Status) -> bool:
    """Whether the status says that money is not captured that was published as captured, and did not all go back.

    A word that is unknown says nothing about money.
    """
    published = state.last.status if state.last is not None else None
    return published in _HELD and wanted not in TOOK_MONEY and wanted != "unknown"


def advance(state: PaymentState, observation: Observation, rules: ReleaseRules = CAPTURED_ONLY) -> Advance:
    """Apply one observation to a payment's state. The same state and observation always give the same event and id."""
    if observation.moneyless and state.last is None and not (observation.expected or state.expected):
        return Advance(state, "moneyless")  # no payment: an event of it would make one
    if observation.correction is not None:
        return corrected(state, observation, rules)
    moment = _moment(observation)
    if _is_about_others(observation):
        observation = replace(observation, status=None)
    # strictly later: of two observations of the same moment the first counts, however they are repeated
    newer = state.last is None or moment > state.newest
    predates = predates_correction(state, observation)
    if predates:
        newer = False
    state = _with_facts(state, observation, moment, newer=newer)
    if predates:
        observation = replace(observation, status=None)
    kind: TransitionKind = "unchanged"
    if observation.status is not None:
        kind, after = _move(state, observation, newer=newer)
        # of a refused observation too: neither an older one nor the same one repeated may change the status later
        newest = max(state.newest, moment)
        if kind == "refused":
            taken_back = newer and takes_money_back(state, observation.status)
            return Advance(replace(state, newest=newest), "refused", money_taken_back=taken_back)
        state = _with_status(state, observation, newest, after if kind == "changed" else None, newer=newer)
    reported = reported_status(state)
    if reported is None:
        return Advance(state, "unchanged")  # stored until the payment itself is observed
    event = next_event(state, observation, reported, rules, takes_details=kind == "changed" or newer)
    return concluded(state, event)


def _with_facts(state: PaymentState, observation: Observation, moment: tuple[str, str], *, newer: bool) -> PaymentState:
    """The state with what an observation says beside the status."""
    state = with_refund(with_chargeback(state, observation.chargeback), observation.refund, moment)
    expected = newest_expectation(observation.expected, state.expected)
    capturing = observation.capturing or state.capturing
    follows = follow_up.observed(
        state.follows,
        observation,
        moment=moment,
        newer=newer,
        settled_refunds=[one.refund_id for one in state.refunds if one.settled],
    )
    if (expected, capturing, follows) == (state.expected, state.capturing, state.follows):
        return state  # of most observations: a copy of the state costs more than all the rest of this function
    return replace(state, expected=expected, capturing=capturing, follows=follows)


def _is_about_others(observation: Observation) -> bool:
    """Whether the status is that of a chargeback, which is stored by its id."""
    return observation.chargeback is not None and observation.status == "charged_back"


def _move(state: PaymentState, observation: Observation, *, newer: bool) -> tuple[TransitionKind, Status]:
    """The kind of the reported status's transition, and the status it leads to."""
    wanted, reported = observation.status, reported_status(state)
    assert wanted is not None
    if state.returned and wanted not in MONEY_WENT_BACK:
        # an older response, or one processed again, that still has the payment as captured is from before
        return ("changed" if wanted == "captured" and newer else "unchanged"), wanted
    if reported == "captured" and observation.returnable and newer and wanted in _RETURNED:
        return "changed", "unknown"
    if reported in _RETURNED and observation.returnable and not newer and wanted == "captured":
        # the capture is read late: by the newer response its money was taken back since
        return "changed", "unknown"
    return allowed(reported, wanted, newer=newer), wanted


def _with_status(
    state: PaymentState, observation: Observation, newest: tuple[str, str], after: Status | None, *, newer: bool
) -> PaymentState:
    """The state with what an observation of the status says. ``after`` is the status it leads to, None if it stays."""
    role = observation.order_role
    changes = after is not None
    return replace(
        state,
        newest=newest,
        order_role=state.order_role if role == "whole" else role,
        secured=observation.secured if changes or newer else state.secured,
        reported=after if changes else state.reported,
        returned=after != observation.status if changes else state.returned,
        correction=None if changes else state.correction,
    )


def _moment(observation: Observation) -> tuple[str, str]:
    return observation.provider_time or "", observation.observed_at
