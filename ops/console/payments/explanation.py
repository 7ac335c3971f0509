"""One sentence about a payment: what the warehouse may do, why, what happens next, and when.

`cause_of` finds the one cause that decides, among a closed list; `SENTENCES` has the words of each. Both are pure, and
a test shows that there is a sentence for whatever the topics can say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from paynotify.ops.common.amounts import money_text
from paynotify.ops.console.payments.payment_rows import UNFINISHED
from paynotify.ops.console.payments.sentences import SENTENCES, Cause
from paynotify.schemas.messages import Action, PaymentStatus
from paynotify.schemas.money import Money
from paynotify.schemas.reasons import DeadReason, RejectReason
from paynotify.schemas.status import ENDED_WITHOUT_MONEY, TOOK_MONEY
from paynotify.schemas.times import parse_time, rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFacts:
    """What decides about a payment's goods, as the index has it; all but ``now`` may be unknown.

    ``overdue`` is the reason of a standing report that the order is late. ``request`` is the newest request about the
    payment or its order. ``dead`` and ``rejected`` are the reasons of records about the payment without a result, and
    count only if they are newer than the event. ``retry`` is why and until when the newest lookup waits.
    ``poll_schedule_seconds`` are the times after ``final_by`` at which the provider is polled. ``shop_captures``: the
    shop may request captures. ``announcement_required``: only announced orders are released.
    """

    now: datetime
    event: PaymentStatus | None = None
    expected: Money | None = None
    final_by: str | None = None
    overdue: str | None = None
    request: tuple[Action, str, str | None] | None = None
    dead: DeadReason | None = None
    rejected: RejectReason | None = None
    silent_since: str | None = None
    retry: tuple[str, str] | None = None
    poll_schedule_seconds: tuple[float, ...] = ()
    shop_captures: bool = False
    announcement_required: bool = False


class Explanation(NamedTuple):
    """The sentence, the cause behind it, and when the next thing happens, if that is known (RFC 3339)."""

    sentence: str
    cause: Cause
    when: str | None


#: Statuses in which the provider is to say more.
_OPEN: Final = frozenset({None, "pending", "authorised", "suspended"})
#: Goods are released too: "a request to release" would be read as one about them.
_ACTIONS: Final = {"release": "void the authorisation"}
_VERDICTS: Final = {
    None: "The goods wait",
    "hold": "The goods wait",
    "release": "The goods may leave",
    "stop": "No goods leave",
}


def explained(facts: PaymentFacts) -> Explanation:
    """What the warehouse may do, why, and what happens next and when, in one sentence."""
    cause = cause_of(facts)
    why, then = SENTENCES[cause]
    verdict = _VERDICTS[facts.event.fulfilment if facts.event is not None else None]
    when = _when(facts, cause)
    words = _words(facts, when)
    return Explanation(f"{verdict}: {why.format_map(words)}; {then.format_map(words)}.", cause, when)


def cause_of(facts: PaymentFacts) -> Cause:
    """The one cause that decides, of those that hold."""
    event = facts.event
    if event is None:
        return _unreported(facts)
    if event.fulfilment == "release":
        return _secured(facts, event) if event.status == "authorised" else "released"
    if event.fulfilment == "stop":
        return _stopped(event)
    outage = _outage(facts, event.status)
    return outage or _held(facts, event)


def _secured(facts: PaymentFacts, event: PaymentStatus) -> Cause:
    """Who captures the money of goods that may leave before."""
    if event.settles_by is not None:
        return "released_before_capture"
    return "released_before_capture_by_shop" if facts.shop_captures else "released_before_capture_without_time"


def _unreported(facts: PaymentFacts) -> Cause:
    """Why no event is published."""
    if (outage := _outage(facts, None)) is not None:
        return outage
    if (busy := _requested(facts)) is not None:
        return busy
    if facts.request is not None and facts.request[1] == "refused":
        return "request_refused"
    return _awaited(facts, "announced", "announced_without_time", "nothing_known")


def _outage(facts: PaymentFacts, status: str | None) -> Cause | None:
    """What keeps paynotify from knowing more, while the provider may still say more."""
    if status not in _OPEN:
        return None
    if facts.retry is not None:
        return "lookup_waits"
    if facts.dead is not None:
        return "lookup_dead"
    if facts.rejected is not None and status in (None, "pending"):
        return "notification_rejected"
    return None


def _stopped(event: PaymentStatus) -> Cause:
    if event.reason is not None and event.reason.endswith("_after_release"):
        return "withdrawn_after_release"
    if event.status in ENDED_WITHOUT_MONEY:
        return "ended_without_money"
    if event.status == "charged_back":
        return "charged_back"
    return "money_went_back" if event.status in TOOK_MONEY else "withdrawn_after_release"


def _held(facts: PaymentFacts, event: PaymentStatus) -> Cause:
    if event.status == "unknown":
        return "money_returned" if event.reason == "money_returned" else "not_understood"
    if event.checks.amount == "mismatch":
        return _mismatched(facts, event)
    if _is_refunded_in_full(event):
        return "refund_under_way"
    if event.status in TOOK_MONEY:
        return _captured_and_held(facts, event)
    if event.status == "authorised":
        return _authorised(facts, event)
    if event.status == "suspended":
        return "suspended"
    if event.status in ENDED_WITHOUT_MONEY:
        return "ended_without_money"
    return _requested(facts) or _awaited(facts, "pending", "pending_without_time", "pending_without_time")


def _mismatched(facts: PaymentFacts, event: PaymentStatus) -> Cause:
    """What the amount is compared with: by now it may be another than when the event was published."""
    amount = event.paid or event.amount
    if facts.expected is None:
        return "other_amount_announced_before"
    if event.order_role == "part" and amount is not None and amount.currency == facts.expected.currency:
        return "parts_exceed"
    return "announced_again" if amount == facts.expected else "other_amount"


def _is_refunded_in_full(event: PaymentStatus) -> bool:
    """Whether what is under way and what is settled are together all of the money."""
    whole = event.paid or event.amount
    if event.refunding is None or whole is None:
        return event.refunding is not None
    settled = event.refunded.value if event.refunded is not None else 0
    return event.refunding.value + settled >= whole.value


def _captured_and_held(facts: PaymentFacts, event: PaymentStatus) -> Cause:
    """The amount is not a wrong one, and no refund is under way."""
    if event.paid is None or event.paid.value <= 0:
        return "nothing_captured"
    if event.checks.amount == "match":
        return "paid_twice" if event.checks.order == "unexpected" else "refund_unclear"
    if event.paid != event.amount:
        return "other_than_asked"
    is_refunded = event.refunded is not None or event.refunding is not None
    return "refund_unclear" if is_refunded and not facts.announcement_required else "not_announced"


def _authorised(facts: PaymentFacts, event: PaymentStatus) -> Cause:
    if (busy := _requested(facts)) is not None:
        return busy
    settles = parse_time(event.settles_by) if event.settles_by is not None else None
    if facts.overdue == "settlement" or (settles is not None and settles < facts.now):
        return "settlement_late"
    if settles is not None:
        return "settlement_due"
    return "capture_by_shop" if facts.shop_captures else _silent(facts) or "capture_by_provider"


def _requested(facts: PaymentFacts) -> Cause | None:
    """What a request that is not at its end does."""
    if facts.request is None or facts.request[1] not in UNFINISHED:
        return None
    return "request_uncertain" if facts.request[1] == "uncertain" else "request_under_way"


def _awaited(facts: PaymentFacts, in_time: Cause, without_time: Cause, unannounced: Cause) -> Cause:
    """The provider has to say more: before the order's time, after it, or without one."""
    if (silent := _silent(facts)) is not None:
        return silent
    final_by = parse_time(facts.final_by) if facts.final_by is not None else None
    if final_by is None:
        return without_time if facts.expected is not None else unannounced
    if final_by > facts.now:
        return in_time
    return "overdue_polled" if next_poll(facts) is not None else "overdue_not_polled"


def _silent(facts: PaymentFacts) -> Cause | None:
    return "provider_silent" if facts.silent_since is not None else None


def next_poll(facts: PaymentFacts) -> datetime | None:
    """When the provider is polled for the order next, at the earliest; None if never again."""
    final_by = parse_time(facts.final_by) if facts.final_by is not None else None
    if final_by is None:
        return None
    times = (final_by + timedelta(seconds=one) for one in facts.poll_schedule_seconds)
    return next((one for one in times if one > facts.now), None)


def _when(facts: PaymentFacts, cause: Cause) -> str | None:
    if cause in ("settlement_due", "released_before_capture"):
        return facts.event.settles_by if facts.event is not None else None
    if cause in ("announced", "pending"):
        return facts.final_by
    if cause == "lookup_waits":
        return _to_come(facts.retry[1] if facts.retry is not None else None, facts.now)
    poll = next_poll(facts) if cause in ("overdue_polled", "provider_silent") else None
    return rfc3339(poll) if poll is not None else None


def _to_come(text: str | None, now: datetime) -> str | None:
    """The time, if it is not over."""
    moment = parse_time(text) if text else None
    return text if moment is not None and moment > now else None


def _words(facts: PaymentFacts, when: str | None) -> Mapping[str, str]:
    """The words in the sentences' gaps."""
    event, (action, state, reason) = facts.event, facts.request or ("request", "", None)
    return {
        "status": event.status.replace("_", " ") if event is not None else "",
        "reason": f" ({event.reason})" if event is not None and event.reason else "",
        "paid": money_or_nothing(event.paid) if event is not None else "",
        "amount": money_or_nothing(event.paid or event.amount) if event is not None else "",
        "asked": money_or_nothing(event.amount) if event is not None else "",
        "expected": money_or_nothing(facts.expected),
        "refunding": money_or_nothing(event.refunding) if event is not None else "",
        "final_by": moment_text(facts.final_by),
        "settles_by": moment_text(event.settles_by) if event is not None else "",
        "silent_since": moment_text(facts.silent_since),
        "at_when": f" at {moment_text(when)}" if when else "",
        "next_when": f", next at {moment_text(when)}" if when else "",
        "action": _ACTIONS.get(action, action),
        "state": state,
        "why": f" ({reason})" if reason else "",
        "retry": facts.retry[0] if facts.retry is not None else "",
        "dead": facts.dead or "",
        "rejected": facts.rejected or "",
    }


def money_or_nothing(amount: Money | None) -> str:
    """An amount with its decimals, such as ``10.50 GBP``, in a sentence."""
    return "nothing" if amount is None else money_text(amount)


def moment_text(text: str | None) -> str:
    """A time for people, such as ``2026-11-29 20:15 UTC``; empty if it is none."""
    moment = parse_time(text) if text else None
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if moment is not None else ""
