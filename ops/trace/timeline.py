"""A payment's records told in order. What is told is an allow-list: no bodies, tokens, card or personal data (G8)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from ops.trace.search import OrderNews, PaymentRecords, answered, lookup_in
from processors.resolve.transitions import PaymentState, advance
from schemas.messages import (
    RECOVERY,
    ExpectedPayment,
    Observation,
    OverduePayment,
    PaymentRequest,
    PaymentStatus,
)
from schemas.money import Money
from schemas.reasons import DEAD_REASONS, REJECT_REASONS
from schemas.records import Record
from schemas.times import parse_time, rfc3339

#: In the order of the flow; what bears the same millisecond is told in this order.
KINDS: Final = (
    "expected",
    "request",
    "notification",
    "rejected",
    "duplicate",
    "lookup",
    "retry",
    "answer",
    "dead",
    "observation",
    "status",
    "refused",
    "overdue",
)

_ID: Final = re.compile(r"[0-9A-Za-z._:-]{1,250}\Z")
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}")
_REASONS: Final = frozenset((*REJECT_REASONS, *DEAD_REASONS))


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One thing that happened: what, when (of the record, UTC), and where it lies."""

    at: str
    kind: str
    what: str
    topic: str
    partition: int
    offset: int
    id: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Everything known about one payment."""

    provider: str
    merchant: str
    payment_id: str
    status: str | None
    order_id: str | None
    searched_from: str | None
    notes: tuple[str, ...]
    entries: tuple[TimelineEntry, ...]

    @property
    def name(self) -> str:
        """The payment's key; of an order without any payment only the merchant's."""
        return f"{self.merchant}/{self.payment_id}" if self.payment_id else self.merchant


def tell(provider: str, merchant: str, payment: str, found: PaymentRecords, *, expected_required: bool) -> Timeline:
    """The story of the records found."""
    refusals, note = _refusals(found, expected_required)
    told = (_calls, _questions, _answers, _results, _news)
    entries = [*(entry for kind in told for entry in kind(found)), *refusals]
    entries.sort(key=lambda one: (one.at, KINDS.index(one.kind), one.topic, one.partition, one.offset))
    last = found.statuses[-1][1] if found.statuses else None
    since = found.searched_from_seconds
    return Timeline(
        provider=provider,
        merchant=merchant,
        payment_id=payment,
        status=last.status if last else None,
        order_id=(last.order_id if last else None) or found.order_id,
        searched_from=rfc3339(datetime.fromtimestamp(since, UTC)) if since is not None else None,
        notes=(note,) if note else (),
        entries=tuple(entries),
    )


def _calls(found: PaymentRecords) -> Iterator[TimelineEntry]:
    for record in found.notifications:
        replayed = record.header("replayed-from")
        details = {
            "received_at": _time(record, "ce_time"),
            "method": _plain(record.header("http-method")),
            **_fingerprint(record),
        }
        what = "received again by replay" if replayed else "received"
        yield _entry(
            record, "notification", what, {**details, **({"replayed_from": _place(replayed)} if replayed else {})}
        )
    for record in found.rejected:
        yield _entry(record, "rejected", f"rejected: {_reason(record)}", {"reason": _reason(record), **_origin(record)})
    for record in found.duplicates:
        first = _plain(record.header("duplicate-of"))
        yield _entry(record, "duplicate", f"repeats {first}", {"duplicate_of": first, **_origin(record)})


def _questions(found: PaymentRecords) -> Iterator[TimelineEntry]:
    for record in found.lookups:
        waits = bool(record.header("not-before")) and ".retry." in record.topic
        lookup = lookup_in(record)
        details: dict[str, Any] = {"attempts": _number(record.header("attempts"))}
        if lookup is not None:
            cause = "recovery" if RECOVERY in lookup.arguments else "notification"
            details |= {
                "operation": lookup.operation,
                "reference": lookup.reference,
                cause: _plain(lookup.notification_id),
            }
        if waits:
            details |= {"reason": _reason(record), "not_before": _time(record, "not-before")}
        what = f"waits until {_time(record, 'not-before')}: {_reason(record)}" if waits else _asks(details)
        yield _entry(record, "retry" if waits else "lookup", what, details)
    for record in found.dead:
        details = {"reason": _reason(record), "attempts": _number(record.header("attempts")), **_origin(record)}
        yield _entry(record, "dead", f"dead: {_reason(record)}", details)


def _asks(details: Mapping[str, Any]) -> str:
    tries, recovery = details["attempts"], details.get("recovery")
    said = f"asks for {details.get('operation', '?')}" + (f", try {tries + 1}" if tries else "")
    return f"{said} ({recovery})" if recovery else said


def _answers(found: PaymentRecords) -> Iterator[TimelineEntry]:
    for record in found.responses:
        words = dict.fromkeys(map(_words, found.said_by(record)))
        details = {
            "http_status": _number(record.header("http-status")),
            "answers_lookups": len(answered(record)),
            **_fingerprint(record),
        }
        what = f"HTTP {details['http_status']}: {', '.join(words) or 'nothing of this payment'}"
        yield _entry(record, "answer", what, details)


def _results(found: PaymentRecords) -> Iterator[TimelineEntry]:
    for record, observation in found.observations:
        yield _entry(record, "observation", _words(observation), _shown(observation))
    for record, event in found.statuses:
        what = f"{event.sequence}. {event.status}, {event.fulfilment}"
        yield _entry(record, "status", what, _shown(event))


def _news(found: PaymentRecords) -> Iterator[TimelineEntry]:
    for record, news in found.news:
        details = {
            name: _NEWS_TEXTS[name](value) if name in _NEWS_TEXTS else value
            for name, value in asdict(news).items()
            if name not in _NEWS_HIDDEN and value is not None
        }
        yield _entry(record, _NEWS_KINDS[type(news)], _said(news), details)


_NEWS_KINDS: Final[Mapping[type[Any], str]] = {
    ExpectedPayment: "expected",
    OverduePayment: "overdue",
    PaymentRequest: "request",
}


_NEWS_HIDDEN: Final = frozenset({"event_id", "merchant", "provider", "order_id"})


def _said(news: OrderNews) -> str:
    if isinstance(news, ExpectedPayment):
        by = f", final by {_moment(news.final_by)}" if news.final_by else ""
        return f"the shop expects {money(news.amount)}{by}"
    if isinstance(news, OverduePayment):
        raised = f"overdue: not final by {_moment(news.final_by)}"
        return raised if news.state == "raised" else f"no more overdue: {news.status or 'no payment'}"
    return f"{news.action} {news.state}" + (f": {_plain(news.reason)}" if news.reason else "")


def _refusals(found: PaymentRecords, expected_required: bool) -> tuple[list[TimelineEntry], str]:
    """What resolve has refused, told by the same pure step it uses; nothing if the observations don't lead to the
    very events that were published (they are kept for a shorter time)."""
    state, refused, made = PaymentState(), [], set()
    for record, observation in found.observations:
        after = advance(state, observation, expected_required=expected_required)
        if after.verdict == "refused" and state.last is not None:
            what = f"{state.last.status} -> {observation.status} refused"
            details = {"from": state.last.status, "to": observation.status}
            refused.append(_entry(record, "refused", what, details))
        if after.event is not None:
            made.add(after.event.event_id)
        state = after.state
    published = {event.event_id for _, event in found.statuses}
    if made >= published:
        return refused, ""
    return [], "Refused transitions can't be told: the observations kept don't lead to all of the events published."


def _shown(message: Observation | PaymentStatus) -> dict[str, Any]:
    """Both kinds hold only what interpret lets through; ids and places are told beside."""
    hidden = ("event_id", "provider", "merchant", "payment_id")
    return {name: value for name, value in asdict(message).items() if name not in hidden and value is not None}


def _words(observation: Observation) -> str:
    parts: list[str] = [observation.status] if observation.status else []
    if observation.refund is not None:
        parts.append(f"refund {money(observation.refund.amount)} {'settled' if observation.refund.settled else 'open'}")
    elif observation.paid is not None:
        parts.append(money(observation.paid))
    return " ".join(parts)


def money(amount: Money) -> str:
    """An amount in the currency's minor unit."""
    return f"{amount.value} {amount.currency} (minor units)"


def _entry(record: Record, kind: str, what: str, details: dict[str, Any]) -> TimelineEntry:
    return TimelineEntry(
        at=rfc3339(datetime.fromtimestamp(record.timestamp_seconds, UTC)),
        kind=kind,
        what=what,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        id=_plain(record.header("ce_id")),
        details=details,
    )


def _fingerprint(record: Record) -> dict[str, Any]:
    """What tells a body from another without showing it."""
    value = record.value or b""
    media_type = _MEDIA_TYPE.match(record.header("content-type").lower())
    return {
        "content_type": media_type[0] if media_type else None,
        "bytes": len(value),
        "sha256": hashlib.sha256(value).hexdigest(),
    }


def _origin(record: Record) -> dict[str, Any]:
    partition, offset = (_number(record.header(f"original-{part}")) for part in ("partition", "offset"))
    return {"original": f"{_plain(record.header('original-topic'))}/{partition}/{offset}"}


def _time(record: Record, name: str) -> str:
    return _moment(record.header(name))


def _moment(text: str) -> str:
    moment = parse_time(text)
    return rfc3339(moment) if moment is not None else ""


def _place(text: str) -> str:
    return "/".join(_plain(part) for part in text.split("/")[:3])


def _reason(record: Record) -> str:
    reason = record.header("reason")
    return reason if reason in _REASONS else "?"


def _plain(text: str) -> str:
    """Ids and names of ours; whatever else stands there came from outside."""
    return text if not text or _ID.match(text) else "?"


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


#: Texts that shops wrote, and what may be told of them.
_NEWS_TEXTS: Final[Mapping[str, Callable[[str], str]]] = {
    "created_at": _moment,
    "final_by": _moment,
    "at": _moment,
    "request_id": _plain,
    "payment_id": _plain,
    "reason": _plain,
}
