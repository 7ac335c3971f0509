"""What is done next about a shop's request, and what a provider's word means for it: pure decisions.

A request goes through phases. Each call that moves money has two: in the first (``start``, ``close``) it was certainly
not made, in the second (``starting``, ``closing``) it may have been, and from there only the provider's own word on the
payment leads on. The second is durable before the call is made, so after a crash nobody takes it for the first.

======== =================================================== =========================
phase    meaning                                             next step
======== =================================================== =========================
check    the payment it names must be asked for first        ``check`` (a read)
init     no transaction, or one that nobody remembers        ``init`` (may be repeated)
start    a transaction that certainly was not started        ``start``
starting the start may have been sent                        ``look`` (a read)
pending  started; the provider itself waits for the end      ``look``
close    money reserved, certainly not closed                ``close``
closing  the closing may have been sent                      ``look``
done     its end is known                                    none
refused  it never came to moving money                       none
======== =================================================== =========================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from processors.providers.charging import (
    ChargeDelayed,
    ChargeOpened,
    ChargeRejected,
    ChargeReport,
    ChargeUnknown,
)
from processors.state import timer_queue
from schemas import messages
from schemas.ids import derived_id
from schemas.messages import PaymentRequest, RequestedPayment
from schemas.money import Money
from schemas.reasons import RequestReason
from schemas.status import ENDED_WITHOUT_MONEY, Status
from schemas.times import parse_time, rfc3339

Phase = Literal["check", "init", "start", "starting", "pending", "close", "closing", "done", "refused"]
NextStep = Literal["check", "init", "start", "close", "look"]
ProviderReport = ChargeOpened | ChargeReport | ChargeRejected | ChargeDelayed | ChargeUnknown
RequestState = Literal["received", "started", "uncertain", "refused", "done"]

_STEPS: Final[Mapping[Phase, NextStep]] = {
    "check": "check",
    "init": "init",
    "start": "start",
    "starting": "look",
    "pending": "look",
    "close": "close",
    "closing": "look",
}

#: The phase that must be durable before the step's call is made. Reads have none.
INTENDED: Final[Mapping[NextStep, Phase]] = {"init": "init", "start": "starting", "close": "closing"}
#: Where a call that certainly did nothing leads back to.
_BACK: Final[Mapping[Phase, Phase]] = {"starting": "start", "closing": "close"}

_TAKEN: Final[frozenset[Status]] = frozenset({"captured", "partially_refunded", "refunded", "charged_back"})

_SAFETY_SECONDS: Final = 60.0
_SHORTEST_WAIT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Timing:
    """The merchant's times: the looks after a call whose outcome is not known, how long a call may take, and how long
    a closing that was given up may still take effect."""

    poll_schedule_seconds: Sequence[float]
    call_timeout_seconds: float
    close_settles_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRequest:
    """One request, as remembered.

    ``running`` while a call of it may be under way, ``waits`` while nothing is to be done before ``due`` (its place on
    the agenda, Unix milliseconds), ``held`` when only news of the payment can settle it. ``tries`` counts calls that
    certainly did nothing, ``looks`` those at a truth that told nothing; ``called_at`` is when the call in question was
    made and ``doubt`` why its outcome is not known. ``amount`` is what is to be charged or captured, ``authorised``
    what the payment to be closed holds. ``counted`` while it stands in the limits of ``day``. ``told`` is its newest
    event.
    ``cause`` is the offset of the record that changed it last: when that comes again, the same is told again.
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
        """Its key on ``payments.requests`` and its name on the agenda."""
        return f"{self.asked.merchant}/{self.asked.request_id}"

    @property
    def ended(self) -> bool:
        return self.phase in ("done", "refused")

    @property
    def is_charge(self) -> bool:
        return self.asked.action == "charge"

    @property
    def without_money(self) -> bool:
        """Whether it ended, and its payment moved nothing."""
        return self.phase == "refused" or (self.phase == "done" and self.status in ENDED_WITHOUT_MONEY)

    @property
    def status(self) -> Status | None:
        """What became of the payment, as told."""
        return self.told.status if self.told is not None else None

    @property
    def uncertain(self) -> bool:
        """Whether it was told as such, and nothing newer."""
        return self.told is not None and self.told.state == "uncertain"


def next_step(request: ChargeRequest) -> NextStep | None:
    """What is to be done now; none for a request that has ended, is held, or waits for its time."""
    return None if request.ended or request.held or request.waits else _STEPS[request.phase]


def expired(request: ChargeRequest, now: datetime) -> bool:
    """Whether it is too late to begin. What was begun is brought to its end whenever that is."""
    expires = parse_time(request.expires_at)
    return expires is not None and now >= expires


def too_late(request: ChargeRequest, step: NextStep, now: datetime) -> bool:
    """Whether the request has expired before the step, and nothing was begun that must be ended."""
    begins = step in ("check", "init", "start") or (step == "close" and not request.is_charge and not request.looks)
    return begins and expired(request, now)


def safety(now: datetime, timing: Timing) -> int:
    """When a step under way is looked after, if nothing else led on from it until then (Unix milliseconds)."""
    return timer_queue.milliseconds(now + timedelta(seconds=timing.call_timeout_seconds + _SAFETY_SECONDS))


def intend(request: ChargeRequest, step: NextStep, now: datetime, timing: Timing) -> ChargeRequest:
    """The request as it must be remembered before the step's call is made."""
    request = replace(
        request,
        phase=INTENDED[step],
        running=True,
        called_at=rfc3339(now),
        due=request.due if request.due is not None else safety(now, timing),
    )
    begins = step == "start" or (step == "close" and not request.is_charge)
    return tell(request, "started", now) if begins and not request.uncertain else request


def resumed(request: ChargeRequest, now: datetime) -> ChargeRequest:
    """A request whose call was under way when its process ended: the call may have been made just before ``now``."""
    moved = request.phase in _BACK
    return replace(request, running=False, called_at=rfc3339(now), doubt="no_answer" if moved else None, waits=False)


def woken(request: ChargeRequest) -> ChargeRequest:
    """Its time has come. It stays on the agenda until something else is planned, so that nothing is forgotten."""
    return replace(request, waits=False)


def answered(
    request: ChargeRequest, step: NextStep, word: ProviderReport, now: datetime, timing: Timing
) -> ChargeRequest:
    """What the provider's word on the step means for the request."""
    request = replace(request, running=False)
    match word:
        case ChargeOpened(payment_id):
            return replace(request, phase="start", payment_id=payment_id, tries=0)
        case ChargeReport(status):
            return _settled(request, step, status, now, timing)
        case ChargeRejected(reason) if step != "look":
            return _given_up(request, step, reason, now)
        case ChargeDelayed(reason) if step != "look":
            return _tried(request, step, reason, now, timing)
        case ChargeUnknown(reason):
            # the truth is asked for at once: as a rule it is known by now
            return replace(request, called_at=rfc3339(now), doubt=reason)
    return _look_again(request, now, timing)


def seen(request: ChargeRequest, status: Status, now: datetime) -> ChargeRequest:
    """News of the request's payment, by a notification's lookup; what settles nothing changes nothing."""
    if request.ended:
        late = request.is_charge and request.without_money and (status in _TAKEN or status == "authorised")
        return tell(replace(request, phase="done"), "done", now, status=status) if late else request
    if status in _TAKEN or status in ENDED_WITHOUT_MONEY:
        return _done(request, status, now)
    if status == "authorised" and request.phase in ("start", "starting", "pending"):
        return _authorised(request, now)
    return request


def refused(request: ChargeRequest, reason: RequestReason, now: datetime) -> ChargeRequest:
    """Its end before any money moved."""
    return tell(_ended(request, "refused"), "refused", now, reason=reason)


def tell(
    request: ChargeRequest,
    state: RequestState,
    now: datetime,
    *,
    reason: RequestReason | None = None,
    status: Status | None = None,
) -> ChargeRequest:
    """The request with its newest event, unless that says what was said before."""
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
    return replace(request, told=replace(event, event_id=derived_id("request", messages.encode(event).decode())))


def _settled(request: ChargeRequest, step: NextStep, status: Status, now: datetime, timing: Timing) -> ChargeRequest:
    """The provider's word on the payment itself."""
    if status in _TAKEN or status in ENDED_WITHOUT_MONEY:
        return _done(request, status, now)
    if status == "authorised":
        return _still_open(request, now, timing) if request.phase == "closing" else _authorised(request, now)
    if step == "start" and status == "pending":
        request = replace(request, phase="pending")
    return _look_again(request, now, timing)


def _authorised(request: ChargeRequest, now: datetime) -> ChargeRequest:
    """The money is reserved: captured now, or whenever the shop wants."""
    if request.asked.capture == "later":
        return _done(request, "authorised", now)
    return replace(
        request, phase="close", authorised=request.amount, tries=0, looks=0, doubt=None, held=False, waits=False
    )


def _still_open(request: ChargeRequest, now: datetime, timing: Timing) -> ChargeRequest:
    """Not closed. Once the closing can't take effect any more it may be made again."""
    called_at = parse_time(request.called_at)
    over = called_at is None or now >= called_at + timedelta(seconds=timing.close_settles_seconds)
    if over and request.looks <= len(timing.poll_schedule_seconds):
        return replace(request, phase="close", looks=request.looks + 1)
    return _look_again(request, now, timing)


def _look_again(request: ChargeRequest, now: datetime, timing: Timing) -> ChargeRequest:
    """Not known yet: ask for the truth later; after the last look it is held."""
    doubt = request.doubt or (None if request.phase == "pending" else "no_answer")
    if request.looks >= len(timing.poll_schedule_seconds):
        held = replace(request, held=True, waits=False, due=None, doubt=doubt or "no_answer")
        return tell(held, "uncertain", now, reason=held.doubt)
    called_at = parse_time(request.called_at) or now
    due = max(
        called_at + timedelta(seconds=timing.poll_schedule_seconds[request.looks]),
        now + timedelta(seconds=_SHORTEST_WAIT_SECONDS),
    )
    request = replace(request, waits=True, due=timer_queue.milliseconds(due), looks=request.looks + 1, doubt=doubt)
    return tell(request, "uncertain", now, reason=doubt) if doubt is not None else request


def _tried(
    request: ChargeRequest, step: NextStep, reason: RequestReason, now: datetime, timing: Timing
) -> ChargeRequest:
    """Nothing was done: again later, until the request expires."""
    ladder = timing.poll_schedule_seconds
    due = now + timedelta(seconds=ladder[min(request.tries, len(ladder) - 1)])
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
    """The step will not be done. A charge whose money is reserved stays so: the shop may capture or release it."""
    if step == "close" and request.is_charge:
        return tell(_ended(request, "done"), "done", now, reason=reason, status="authorised")
    if step == "check" and reason == "unknown_payment" and request.is_charge:
        reason = "unknown_reference"
    return refused(request, reason, now)


def _done(request: ChargeRequest, status: Status, now: datetime) -> ChargeRequest:
    return tell(_ended(request, "done"), "done", now, status=status)


def _ended(request: ChargeRequest, phase: Phase) -> ChargeRequest:
    return replace(request, phase=phase, running=False, waits=False, held=False, due=None, doubt=None)
