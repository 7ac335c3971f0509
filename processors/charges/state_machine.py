"""State machine of a charge request: pure functions from a request and an event to the next request.

Each call that moves money has two phases. In the first (``start``, ``close``) the call was certainly not made. In the
second (``starting``, ``closing``) it may have been made, and only the provider's report of the payment leads on. The
second phase is durable before the call is made, so a crash never turns it back into the first.

======== =================================================== =========================
phase    meaning                                             next step
======== =================================================== =========================
check    the payment it names must be looked up first        ``check`` (a read)
init     no transaction, or one that was lost in a crash     ``init`` (may be repeated)
start    a transaction that certainly was not started        ``start``
starting the start may have been sent                        ``poll`` (a read)
pending  started; the provider itself waits                  ``poll``
close    authorised, certainly not captured or voided        ``close``
closing  the capture or void may have been sent              ``poll``
done     the outcome is known                                none
refused  no money moved                                      none
======== =================================================== =========================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from paynotify.processors.providers.charging import ChargeOpened, ChargeReport, MoneyOutcome, OpenOutcome
from paynotify.processors.providers.outcomes import Failed, RetryLater, Unknown
from paynotify.processors.state import timer_queue
from paynotify.schemas import messages
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import PaymentRequest, RequestedPayment
from paynotify.schemas.money import Money
from paynotify.schemas.reasons import RequestReason
from paynotify.schemas.status import ENDED_WITHOUT_MONEY, Status
from paynotify.schemas.times import parse_time, rfc3339

Phase = Literal["check", "init", "start", "starting", "pending", "close", "closing", "done", "refused"]
NextStep = Literal["check", "init", "start", "close", "poll"]
ProviderReport = OpenOutcome | MoneyOutcome
RequestState = Literal["received", "started", "uncertain", "refused", "done"]

_STEPS: Final[Mapping[Phase, NextStep]] = {
    "check": "check",
    "init": "init",
    "start": "start",
    "starting": "poll",
    "pending": "poll",
    "close": "close",
    "closing": "poll",
}

#: The phase that must be durable before the step's call is made. Reads have none.
INTENDED: Final[Mapping[NextStep, Phase]] = {"init": "init", "start": "starting", "close": "closing"}
#: The phase after a call that certainly did nothing.
_BACK: Final[Mapping[Phase, Phase]] = {"starting": "start", "closing": "close"}

_TAKEN: Final[frozenset[Status]] = frozenset({"captured", "partially_refunded", "refunded", "charged_back"})

_FALLBACK_SECONDS: Final = 60.0
_MIN_WAIT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Timing:
    """The merchant's times: when to poll after a call whose outcome is unknown, how long a call may take, and how long
    a capture or void may still take effect after its timeout."""

    poll_schedule_seconds: Sequence[float]
    call_timeout_seconds: float
    close_settles_seconds: float


class ChargeRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request. The field names are those of the stored state and do not change.

    A `msgspec.Struct`, as each charge makes some twenty of them: copying a frozen dataclass takes fifty times as long.

    - ``asked``: the shop's record; ``told``: the latest event about it
    - ``running``: a call may be in progress; ``waits``: nothing to do before ``due`` (its timer, Unix milliseconds);
      ``held``: only a change of the payment can settle it
    - ``tries``: calls that certainly did nothing; ``looks``: polls without a conclusive report
    - ``called_at``: when the call in question was made; ``doubt``: why its outcome is unknown
    - ``amount``: what to charge or capture; ``authorised``: what the payment to be closed has authorised
    - ``counted``: the amount counts against the limits of ``day``
    - ``cause``: offset of the record that changed it last; a repeat of that record publishes the same event again
    """

    asked: RequestedPayment
    provider: str
    phase: Phase
    received_at: str
    expires_at: str
    day: str
    order_id: str | None = None
    payment_id: str | None = None
    amount: Money | None = None
    authorised: Money | None = None
    running: bool = False
    waits: bool = False
    held: bool = False
    tries: int = 0
    looks: int = 0
    called_at: str = ""
    doubt: RequestReason | None = None
    due: int | None = None
    counted: bool = False
    told: PaymentRequest | None = None
    cause: int | None = None

    @property
    def name(self) -> str:
        """Its key on ``payments.requests`` and its name in the timer queue."""
        return f"{self.asked.merchant}/{self.asked.request_id}"

    @property
    def ended(self) -> bool:
        return self.phase in ("done", "refused")

    @property
    def is_charge(self) -> bool:
        return self.asked.action == "charge"

    @property
    def without_money(self) -> bool:
        """Whether it ended without moving money."""
        return self.phase == "refused" or (self.phase == "done" and self.status in ENDED_WITHOUT_MONEY)

    @property
    def status(self) -> Status | None:
        """The payment's status in the latest event."""
        return self.told.status if self.told is not None else None

    @property
    def uncertain(self) -> bool:
        """Whether its latest event says ``uncertain``."""
        return self.told is not None and self.told.state == "uncertain"


def next_step(request: ChargeRequest) -> NextStep | None:
    """The step to do now; None for a request that has ended, is held, or waits for its timer."""
    return None if request.ended or request.held or request.waits else _STEPS[request.phase]


def expired(request: ChargeRequest, now: datetime) -> bool:
    """Whether it is too late to start. A started request is brought to its end at any time."""
    expires = parse_time(request.expires_at)
    return expires is not None and now >= expires


def too_late(request: ChargeRequest, step: NextStep, now: datetime) -> bool:
    """Whether the request expired before the step, with nothing started that must be brought to its end."""
    begins = step in ("check", "init", "start") or (step == "close" and not request.is_charge and not request.looks)
    return begins and expired(request, now)


def fallback_due(now: datetime, timing: Timing) -> int:
    """When to resume a step in progress if nothing else has continued it by then (Unix milliseconds)."""
    return timer_queue.milliseconds(now + timedelta(seconds=timing.call_timeout_seconds + _FALLBACK_SECONDS))


def with_intention(request: ChargeRequest, step: NextStep, now: datetime, timing: Timing) -> ChargeRequest:
    """The request as it must be persisted before the step's call is made."""
    request = replace(
        request,
        phase=INTENDED[step],
        running=True,
        called_at=rfc3339(now),
        due=request.due if request.due is not None else fallback_due(now, timing),
    )
    begins = step == "start" or (step == "close" and not request.is_charge)
    return with_event(request, "started", now) if begins and not request.uncertain else request


def resumed(request: ChargeRequest, now: datetime) -> ChargeRequest:
    """A request whose process ended during a call: the call may have been made just before ``now``."""
    moved = request.phase in _BACK
    return replace(request, running=False, called_at=rfc3339(now), doubt="no_answer" if moved else None, waits=False)


def timer_fired(request: ChargeRequest) -> ChargeRequest:
    """The request after its timer fired. The timer stays until another replaces it, so that nothing is forgotten."""
    return replace(request, waits=False)


def reported(
    request: ChargeRequest, step: NextStep, report: ProviderReport, now: datetime, timing: Timing
) -> ChargeRequest:
    """The request after the provider's report on the step."""
    request = replace(request, running=False)
    match report:
        case ChargeOpened(payment_id):
            return replace(request, phase="start", payment_id=payment_id, tries=0)
        case ChargeReport(status):
            return _settled(request, step, status, now, timing)
        case Failed(reason) if step != "poll":
            return _given_up(request, step, reason, now)
        case RetryLater(reason) if step != "poll":
            return _retry_later(request, step, reason, now, timing)
        case Unknown(reason):
            # poll at once: as a rule the outcome is known by now
            return replace(request, called_at=rfc3339(now), doubt=reason)
    return _poll_later(request, now, timing)


def observed(request: ChargeRequest, status: Status, now: datetime) -> ChargeRequest:
    """The request after a change of its payment that a notification brought."""
    if request.ended:
        late = request.is_charge and request.without_money and (status in _TAKEN or status == "authorised")
        return with_event(replace(request, phase="done"), "done", now, status=status) if late else request
    if status in _TAKEN or status in ENDED_WITHOUT_MONEY:
        return _done(request, status, now)
    if status == "authorised" and request.phase in ("start", "starting", "pending"):
        return _authorised(request, now)
    return request


def refused(request: ChargeRequest, reason: RequestReason, now: datetime) -> ChargeRequest:
    """The request, ended before any money moved."""
    return with_event(_ended(request, "refused"), "refused", now, reason=reason)


def with_event(
    request: ChargeRequest,
    state: RequestState,
    now: datetime,
    *,
    reason: RequestReason | None = None,
    status: Status | None = None,
) -> ChargeRequest:
    """The request with a new event, unless the event equals the latest one."""
    event = PaymentRequest(
        event_id="",
        request_id=request.asked.request_id,
        merchant=request.asked.merchant,
        provider=request.provider,
        action=request.asked.action,
        state=state,
        reason=reason,
        order_id=request.order_id,
        payment_id=request.payment_id,
        amount=request.amount,
        status=status,
        at=rfc3339(now),
    )
    last = request.told
    if last is not None and replace(last, event_id="", at=event.at) == event:
        return request
    event_id = derived_id("request", messages.encode(event).decode())
    return replace(request, told=replace(event, event_id=event_id))


def _settled(request: ChargeRequest, step: NextStep, status: Status, now: datetime, timing: Timing) -> ChargeRequest:
    """The request after a report of the payment's status."""
    if status in _TAKEN or status in ENDED_WITHOUT_MONEY:
        return _done(request, status, now)
    if status == "authorised":
        return _still_authorised(request, now, timing) if request.phase == "closing" else _authorised(request, now)
    if step == "start" and status == "pending":
        request = replace(request, phase="pending")
    return _poll_later(request, now, timing)


def _authorised(request: ChargeRequest, now: datetime) -> ChargeRequest:
    """The request after the authorisation: capture now, or when the shop requests it."""
    if request.asked.capture == "later":
        return _done(request, "authorised", now)
    return replace(
        request, phase="close", authorised=request.amount, tries=0, looks=0, doubt=None, held=False, waits=False
    )


def _still_authorised(request: ChargeRequest, now: datetime, timing: Timing) -> ChargeRequest:
    """Neither captured nor voided. Once the earlier call cannot take effect any more, it may be repeated."""
    called_at = parse_time(request.called_at)
    over = called_at is None or now >= called_at + timedelta(seconds=timing.close_settles_seconds)
    if over and request.looks <= len(timing.poll_schedule_seconds):
        return replace(request, phase="close", looks=request.looks + 1)
    return _poll_later(request, now, timing)


def _poll_later(request: ChargeRequest, now: datetime, timing: Timing) -> ChargeRequest:
    """The outcome is unknown: poll later. After the last poll the request is held."""
    doubt = request.doubt or (None if request.phase == "pending" else "no_answer")
    if request.looks >= len(timing.poll_schedule_seconds):
        held = replace(request, held=True, waits=False, due=None, doubt=doubt or "no_answer")
        return with_event(held, "uncertain", now, reason=held.doubt)
    called_at = parse_time(request.called_at) or now
    due = max(
        called_at + timedelta(seconds=timing.poll_schedule_seconds[request.looks]),
        now + timedelta(seconds=_MIN_WAIT_SECONDS),
    )
    request = replace(request, waits=True, due=timer_queue.milliseconds(due), looks=request.looks + 1, doubt=doubt)
    return with_event(request, "uncertain", now, reason=doubt) if doubt is not None else request


def _retry_later(
    request: ChargeRequest, step: NextStep, reason: RequestReason, now: datetime, timing: Timing
) -> ChargeRequest:
    """Nothing was done: retry later, until the request expires."""
    schedule = timing.poll_schedule_seconds
    due = now + timedelta(seconds=schedule[min(request.tries, len(schedule) - 1)])
    if expired(request, due):
        return _given_up(request, step, reason, now)
    return replace(
        request,
        phase=_BACK.get(request.phase, request.phase),
        waits=True,
        due=timer_queue.milliseconds(due),
        tries=request.tries + 1,
    )


def _given_up(request: ChargeRequest, step: NextStep, reason: RequestReason, now: datetime) -> ChargeRequest:
    """The step will not be done. An authorised charge stays authorised: the shop may capture or void it."""
    if step == "close" and request.is_charge:
        return with_event(_ended(request, "done"), "done", now, reason=reason, status="authorised")
    if step == "check" and reason == "unknown_payment" and request.is_charge:
        reason = "unknown_reference"
    return refused(request, reason, now)


def _done(request: ChargeRequest, status: Status, now: datetime) -> ChargeRequest:
    return with_event(_ended(request, "done"), "done", now, status=status)


def _ended(request: ChargeRequest, phase: Phase) -> ChargeRequest:
    return replace(request, phase=phase, running=False, waits=False, held=False, due=None, doubt=None)
