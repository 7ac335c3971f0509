"""Builds a payment's timeline from its records.

Only fields on an allow-list are shown. Bodies, tokens, card data and personal data never leave the topics through this
tool: its output is pasted into tickets and chats.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from paynotify.ops.trace.lookups import lookup_of
from paynotify.ops.trace.search import OrderMessage, PaymentRecords
from paynotify.processors.providers.response_record import answered_lookups
from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.processors.resolve.release import ReleaseRules
from paynotify.processors.resolve.transitions import advance
from paynotify.schemas.cloudevents import HELD_SINCE
from paynotify.schemas.messages import (
    CAUSE,
    CAUSES,
    RECOVERY,
    ExpectedPayment,
    Observation,
    OperationsEvent,
    OperatorAction,
    OverduePayment,
    PaymentRequest,
    PaymentStatus,
    fields_of,
)
from paynotify.schemas.money import Money
from paynotify.schemas.reasons import DEAD_REASONS, REJECT_REASONS
from paynotify.schemas.records import Record
from paynotify.schemas.times import parse_time, rfc3339, rfc3339_of

#: Entry kinds in the order of the flow, which is also the order of entries with the same time.
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
    "case",
    "action",
)

_ID: Final = re.compile(r"[0-9A-Za-z._:-]{1,250}\Z")
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}")
_KNOWN_REASONS: Final = frozenset((*REJECT_REASONS, *DEAD_REASONS))


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One record of the timeline: its time (UTC), kind, description and position; ``details`` are for programs."""

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
        """The payment's key; for an order without a payment, the merchant's id."""
        return f"{self.merchant}/{self.payment_id}" if self.payment_id else self.merchant


def build_timeline(provider: str, merchant: str, payment: str, found: PaymentRecords, rules: ReleaseRules) -> Timeline:
    """The timeline of the records that were found."""
    refusals, note = _refusals(found, rules)
    parts = (_notifications, _lookups, _responses, _results, _order_messages, _for_people)
    entries = [*(entry for part in parts for entry in part(found)), *refusals]
    entries.sort(key=lambda one: (one.at, KINDS.index(one.kind), one.topic, one.partition, one.offset))
    last = found.statuses[-1][1] if found.statuses else None
    since = found.searched_from_seconds
    return Timeline(
        provider=provider,
        merchant=merchant,
        payment_id=payment,
        status=last.status if last else None,
        order_id=(last.order_id if last else None) or found.order_id,
        searched_from=rfc3339_of(since) if since is not None else None,
        notes=(note,) if note else (),
        entries=tuple(entries),
    )


def _notifications(found: PaymentRecords) -> Iterator[TimelineEntry]:
    for record in found.notifications:
        replayed = record.header("replayed-from")
        details = {
            "received_at": _time(record, "ce_time"),
            "method": _plain(record.header("http-method")),
            **_fingerprint(record),
        }
        what = "received again (replay)" if replayed else "received"
        yield _entry(
            record, "notification", what, {**details, **({"replayed_from": _position(replayed)} if replayed else {})}
        )
    for record in found.rejected:
        yield _entry(record, "rejected", f"rejected: {_reason(record)}", {"reason": _reason(record), **_origin(record)})
    for record in found.duplicates:
        first = _plain(record.header("duplicate-of"))
        yield _entry(record, "duplicate", f"repeats {first}", {"duplicate_of": first, **_origin(record)})


def _lookups(found: PaymentRecords) -> Iterator[TimelineEntry]:
    for record in found.lookups:
        delayed = bool(record.header("not-before")) and ".retry." in record.topic
        lookup = lookup_of(record)
        details: dict[str, Any] = {"attempts": _number(record.header("attempts"))}
        if lookup is not None:
            cause = "recovery" if RECOVERY in lookup.arguments else "notification"
            details |= {
                "operation": lookup.operation,
                "reference": lookup.reference,
                cause: _plain(lookup.notification_id),
                "cause": cause_named if (cause_named := lookup.arguments.get(CAUSE)) in CAUSES else None,
            }
        if delayed:
            details |= {"reason": _reason(record), "not_before": _time(record, "not-before")}
        kind = "held back until" if record.header(HELD_SINCE) else "retry after"
        what = f"{kind} {_time(record, 'not-before')}: {_reason(record)}" if delayed else _lookup_text(details)
        yield _entry(record, "retry" if delayed else "lookup", what, details)
    for record in found.dead:
        details = {"reason": _reason(record), "attempts": _number(record.header("attempts")), **_origin(record)}
        yield _entry(record, "dead", f"dead-lettered: {_reason(record)}", details)


def _lookup_text(details: Mapping[str, Any]) -> str:
    attempts, why = details["attempts"], details.get("cause") or details.get("recovery")
    text = f"look up {details.get('operation', '?')}" + (f", attempt {attempts + 1}" if attempts else "")
    return f"{text} ({why})" if why else text


def _responses(found: PaymentRecords) -> Iterator[TimelineEntry]:
    for record in found.responses:
        observed = dict.fromkeys(map(_observation_text, found.observations_of(record)))
        details = {
            "http_status": _number(record.header("http-status")),
            "answers_lookups": len(answered_lookups(record)),
            **_fingerprint(record),
        }
        what = f"HTTP {details['http_status']}: {', '.join(observed) or 'no observation of this payment'}"
        yield _entry(record, "answer", what, details)


def _results(found: PaymentRecords) -> Iterator[TimelineEntry]:
    for record, observation in found.observations:
        yield _entry(record, "observation", _observation_text(observation), _shown(observation))
    for record, event in found.statuses:
        what = f"{event.sequence}. {event.status}, {event.fulfilment}"
        yield _entry(record, "status", what, _shown(event))


def _order_messages(found: PaymentRecords) -> Iterator[TimelineEntry]:
    for record, message in found.order_messages:
        details = {
            name: _SHOP_TEXTS[name](value) if name in _SHOP_TEXTS else value
            for name, value in fields_of(message).items()
            if name not in _HIDDEN_FIELDS and value is not None
        }
        yield _entry(record, _ORDER_MESSAGE_KINDS[type(message)], _order_message_text(message), details)


_ORDER_MESSAGE_KINDS: Final[Mapping[type[Any], str]] = {
    ExpectedPayment: "expected",
    OverduePayment: "overdue",
    PaymentRequest: "request",
}


_HIDDEN_FIELDS: Final = frozenset({"event_id", "merchant", "provider", "order_id"})


def _order_message_text(message: OrderMessage) -> str:
    if isinstance(message, ExpectedPayment):
        deadline = f", final by {_time_text(message.final_by)}" if message.final_by else ""
        return f"expected by the shop: {money_text(message.amount)}{deadline}"
    if isinstance(message, OverduePayment):
        if message.reason == "settlement":
            return f"overdue: {message.status}, its settlement is late"
        if message.state == "raised":
            return f"overdue: not final by {_time_text(message.final_by)}"
        return f"no longer overdue: {message.status or 'no payment'}"
    return f"{message.action} {message.state}" + (f": {_plain(message.reason)}" if message.reason else "")


def _for_people(found: PaymentRecords) -> Iterator[TimelineEntry]:
    """Cases that a person has to know of, and what operators did; neither holds text from outside."""
    for record, case in found.cases:
        yield _entry(record, "case", case.kind, _shown(case))
    for record, action in found.actions:
        why = f": {action.reason}" if action.reason else ""
        yield _entry(record, "action", f"{action.command} by {action.by}, {action.state}{why}", _shown(action))


def _refusals(found: PaymentRecords, rules: ReleaseRules) -> tuple[list[TimelineEntry], str]:
    """The transitions that resolve refused, recomputed with its own pure function; and a note if that is impossible.

    Observations have a shorter retention than events. Without all of them the recomputed state would be wrong, so
    nothing is shown unless the observations lead to every published event.
    """
    state, refused, computed = PaymentState(), [], set()
    for record, observation in found.observations:
        after = advance(state, observation, rules)
        if after.kind == "refused" and state.last is not None:
            what = f"{state.last.status} -> {observation.status} refused"
            details = {"from": state.last.status, "to": observation.status}
            refused.append(_entry(record, "refused", what, details))
        if after.event is not None:
            computed.add(after.event.event_id)
        state = after.state
    published = {event.event_id for _, event in found.statuses}
    if computed >= published:
        return refused, ""
    return [], "Refused transitions cannot be shown: some of the payment's observations are past their retention."


def _shown(message: Observation | PaymentStatus | OperationsEvent | OperatorAction) -> dict[str, Any]:
    """The message's fields that interpret lets through; ids are shown elsewhere in the entry."""
    hidden = ("event_id", "provider", "merchant", "payment_id")
    return {name: value for name, value in fields_of(message).items() if name not in hidden and value is not None}


def _observation_text(observation: Observation) -> str:
    parts: list[str] = [observation.status] if observation.status else []
    if observation.correction is not None:
        parts.append(f"(corrected by {observation.correction.by}: {observation.correction.reason})")
    if (refund := observation.refund) is not None:
        state = "settled" if refund.settled else "ended" if refund.ended else "under way"
        parts.append(f"refund {money_text(refund.amount)} {state}")
    elif (chargeback := observation.chargeback) is not None:
        parts.append(f"chargeback {money_text(chargeback.amount) if chargeback.amount else 'of all'}")
    elif observation.paid is not None:
        parts.append(money_text(observation.paid))
    return " ".join(parts)


def money_text(amount: Money) -> str:
    """The amount in the currency's minor unit."""
    return f"{amount.value} {amount.currency} (minor units)"


def _entry(record: Record, kind: str, what: str, details: dict[str, Any]) -> TimelineEntry:
    return TimelineEntry(
        at=rfc3339_of(record.timestamp_seconds),
        kind=kind,
        what=what,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        id=_plain(record.header("ce_id")),
        details=details,
    )


def _fingerprint(record: Record) -> dict[str, Any]:
    """Properties that distinguish bodies without showing them."""
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
    return _time_text(record.header(name))


def _time_text(text: str) -> str:
    time = parse_time(text)
    return rfc3339(time) if time is not None else ""


def _position(text: str) -> str:
    return "/".join(_plain(part) for part in text.split("/")[:3])


def _reason(record: Record) -> str:
    reason = record.header("reason")
    return reason if reason in _KNOWN_REASONS else "?"


def _plain(text: str) -> str:
    """The text if it has the form of an id; otherwise a question mark, because it may hold anything."""
    return text if not text or _ID.match(text) else "?"


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


#: How to show fields that shops write, because a shop may put anything there.
_SHOP_TEXTS: Final[Mapping[str, Callable[[str], str]]] = {
    "created_at": _time_text,
    "final_by": _time_text,
    "at": _time_text,
    "request_id": _plain,
    "payment_id": _plain,
    "reason": _plain,
}
