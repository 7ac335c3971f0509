"""What must be true of a run, by the logs and the providers' books alone (G2 to G7 of docs/reference/guarantees.md).

Nothing here is imported from the product: topics are named and messages read as any other reader would.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import orjson

from tests.simulation.broker import Stored, header
from tests.simulation.nights import problems_of_nights
from tests.simulation.odd_elements import problems_of_odd_elements
from tests.simulation.operations import problems_of_operations
from tests.simulation.plan import STATUSES, Payment, Plan
from tests.simulation.recurring import Transaction
from tests.simulation.requests import problems_of_requests
from tests.simulation.shop import Asked
from tests.simulation.signed_events import problems_of_signed_events
from tests.simulation.smartpay import TRUTHS

#: More of one kind say nothing new.
_MOST_OF_A_KIND: Final = 5

#: What may follow what, for a payment's published status.
_MAY_FOLLOW: Final[Mapping[str, frozenset[str]]] = {
    "pending": frozenset(
        (
            "authorised",
            "suspended",
            "captured",
            "declined",
            "cancelled",
            "expired",
            "failed",
            "partially_refunded",
            "refunded",
            "charged_back",
        )
    ),
    "authorised": frozenset(
        (
            "suspended",
            "captured",
            "declined",
            "cancelled",
            "expired",
            "failed",
            "partially_refunded",
            "refunded",
            "charged_back",
        )
    ),
    "suspended": frozenset(
        (
            "authorised",
            "captured",
            "declined",
            "cancelled",
            "expired",
            "failed",
            "partially_refunded",
            "refunded",
            "charged_back",
        )
    ),
    "captured": frozenset(("partially_refunded", "refunded", "charged_back")),
    "partially_refunded": frozenset(("refunded", "charged_back")),
    "refunded": frozenset(("charged_back",)),
}
_FINAL: Final = frozenset(
    ("captured", "declined", "cancelled", "expired", "failed", "partially_refunded", "refunded", "charged_back")
)
_PROVIDERS: Final = ("omnikassa", "trustpayments", "nevogate", "smartpay")


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the judge may look at.

    ``results`` counts Nevogate's Results by transaction and request id, ``handed_over`` how often OmniKassa gave out a
    payment's result; ``asked`` is what the shops wrote, ``transactions`` what
    Nevogate made of it. ``calm`` tells that nothing went wrong, so that nothing may have been done twice either.
    """

    whole: Callable[[str], list[Stored]]
    plan: Plan
    results: Mapping[tuple[str, str], int]
    asked: Mapping[str, Asked]
    transactions: Mapping[str, Transaction]
    handed_over: Mapping[str, int]
    errors: Mapping[tuple[str, str], int]
    standing: tuple[str, ...]
    failures: tuple[str, ...]
    calm: bool


def problems(evidence: Evidence) -> list[str]:
    """What is wrong, a line for each; the first of each kind."""
    found: list[str] = []
    for rule in (
        _standing,
        _errors,
        _accounted,
        _answered,
        _events,
        _results_of_nevogate,
        _overdue,
        _requests,
        _nights,
        _signed_events,
        _operations,
    ):
        told = list(rule(evidence))
        found += told[:_MOST_OF_A_KIND]
        if len(told) > _MOST_OF_A_KIND:
            found.append(f"... and {len(told) - _MOST_OF_A_KIND} more of these")
    return found


def _standing(evidence: Evidence) -> Iterator[str]:
    for one in evidence.standing:
        yield f"G6 stands still: {one}"
    for one in evidence.failures:
        yield f"G6 a task ended by an exception: {one}"


def _errors(evidence: Evidence) -> Iterator[str]:
    for (unit, kind), count in sorted(evidence.errors.items()):
        if kind in ("unexpected", "dead_lettered", "configuration"):
            yield f"G2 {unit}: {count} times {kind}"


# --- G2 -------------------------------------------------------------------------------------------------------


def _accounted(evidence: Evidence) -> Iterator[str]:
    """Each stored notification ends as one of lookup, duplicate, rejected, alert."""
    ends: dict[str, set[str]] = defaultdict(set)
    for provider in _PROVIDERS:
        for record in _first_lookups(evidence, provider):
            ends[orjson.loads(record.value or b"")["notification_id"]].add("lookup")
    for topic in ("notifications.rejected", "notifications.duplicates", "notifications.alerts"):
        for record in evidence.whole(topic):
            ends[header(record, "ce_id")].add(topic)
    for provider in _PROVIDERS:
        for record in evidence.whole(f"notifications.{provider}"):
            ended = ends.get(header(record, "ce_id"), set())
            if len(ended) != 1:
                yield f"G2 notification {header(record, 'ce_id')} of {provider} ended as {sorted(ended) or 'nothing'}"


def _first_lookups(evidence: Evidence, provider: str) -> Iterator[Stored]:
    """Lookups that come from ``verify``, before any try."""
    for record in evidence.whole(f"lookups.{provider}"):
        if header(record, "ce_source") == f"/verify/{provider}" and not header(record, "attempts"):
            yield record


def _answered(evidence: Evidence) -> Iterator[str]:
    """Each lookup ends as response or dead."""
    ended = {header(record, "ce_id") for record in evidence.whole("lookups.dead")}
    for provider in _PROVIDERS:
        for record in evidence.whole(f"responses.{provider}"):
            ended.update(one["lookup_id"] for one in orjson.loads(header(record, "lookups")))
    for provider in _PROVIDERS:
        asked = {header(record, "ce_id"): record for record in evidence.whole(f"lookups.{provider}")}
        for name in asked.keys() - ended:
            record = asked[name]
            yield f"G2 lookup {name} at {record.topic}/{record.partition}@{record.offset} has no end"


# --- G3, G4, G5, G6 -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of a payment by its provider's books and the shop's word: all that was ever true, and the end."""

    provider: str
    order_id: str
    amount: int
    words: frozenset[str]
    last_word: str
    refunded: int
    checks: Mapping[str, str] | None
    """How it compares with what was to be; none where nothing can be said of that."""
    named: bool = True
    """Whether the provider tells of the shop's order; a signed event does not."""


def _truth(payment: Payment) -> Truth:
    words = {STATUSES.get(word, word) for _, word in payment.changes}
    if words & {"refunded", "partially_refunded", "charged_back"}:
        words.add("captured")
    said = payment.announcement
    checks = {"amount": "unknown", "order": "unexpected"}
    if said is not None:
        checks = {"amount": "match" if said.matches else "mismatch", "order": "expected"}
    last, refunded = payment.last_status or "", payment.refunded
    named = TRUTHS.get(payment.merchant) != "event"
    return Truth(payment.provider, payment.order_id, payment.amount, frozenset(words), last, refunded, checks, named)


def _charged(one: Transaction) -> Truth:
    # what was never started may have been announced by a process that ended before it could start it
    checks = {"amount": "match", "order": "expected"} if one.started else None
    words = frozenset(word for _, word in one.words)
    return Truth("nevogate", one.charge.order_id, one.charge.amount, words, one.word, 0, checks)


def _events(evidence: Evidence) -> Iterator[str]:
    truths = {f"{one.merchant}/{one.payment_id}": _truth(one) for one in evidence.plan.payments if one.changes}
    truths |= {f"{one.merchant}/{one.payment_id}": _charged(one) for one in evidence.transactions.values()}
    events: dict[str, list[dict[str, Any]]] = defaultdict(list)
    contents: dict[str, bytes] = {}
    for record in evidence.whole("payments.status"):
        event = orjson.loads(record.value or b"")
        name = (record.key or b"").decode()
        known = contents.setdefault(event["event_id"], record.value or b"")
        if known != record.value:
            yield f"G5 event {event['event_id']} of {name} has two contents"
        elif event not in events[name]:
            events[name].append(event)
    for name, told in events.items():
        yield from _in_order(name, told)
        yield from _true(name, told, truths.get(name))
    for name, payment in truths.items():
        if name not in events:
            yield f"G6 {name} ({payment.provider}) has no event, it is {payment.last_word}"
    yield from _latest(evidence, events)


def _latest(evidence: Evidence, events: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """``payments.latest`` has each payment's newest event, or a tombstone where that one was to be forgotten."""
    forgotten = _forgotten(evidence)
    latest = {(record.key or b"").decode(): record.value for record in evidence.whole("payments.latest")}
    for name, told in events.items():
        newest = max(told, key=lambda one: int(one["sequence"]))
        value, sequence = latest.get(name), newest["sequence"]
        if (name, sequence) in forgotten:
            if value is not None:
                yield f"G6 {name}: forgotten at sequence {sequence}, and still on payments.latest"
        elif value is None or orjson.loads(value) != newest:
            yield f"G6 {name}: payments.latest is not the newest event, sequence {sequence}"


def _forgotten(evidence: Evidence) -> set[tuple[str, int]]:
    """The payments that an operator wants forgotten, each with the sequence of the event that was its newest then."""
    asked = [
        ((record.key or b"").decode(), orjson.loads(record.value or b""))
        for record in evidence.whole("observations")
        if header(record, "ce_type") == "payment.forget.requested.v1"
    ]
    return {(name, said["sequence"]) for name, said in asked}


def _in_order(name: str, events: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    sequences = [event["sequence"] for event in events]
    if sequences != list(range(1, len(events) + 1)):
        yield f"G4 {name}: sequences {sequences}"
        if len(set(sequences)) < len(sequences):
            yield f"G5 {name}: a sequence has two contents"
    for before, after in pairwise(events):
        if after["sequence"] != before["sequence"] + 1:
            continue
        if after["previous_status"] != before["status"]:
            yield f"G4 {name}: {after['status']} says it follows {after['previous_status']}, not {before['status']}"
        if before["status"] != after["status"] and after["status"] not in _MAY_FOLLOW.get(before["status"], ()):
            yield f"G4 {name}: {before['status']} is followed by {after['status']}"


def _true(name: str, events: Sequence[Mapping[str, Any]], payment: Truth | None) -> Iterator[str]:
    if payment is None:
        yield f"G3 {name}: no provider knows it"
        return
    for event in events:
        amount = event["amount"] or {}
        if event["status"] not in payment.words:
            yield f"G3 {name}: {event['status']} was never true"
        if event["order_id"] not in (payment.order_id, None):
            yield f"G3 {name}: order {event['order_id']} is not {payment.order_id}"
        if event["status"] not in ("charged_back", "refunded") and amount.get("value") != payment.amount:
            yield f"G3 {name}: amount {event['amount']} is not {payment.amount}"
    last = max(events, key=lambda one: int(one["sequence"]))
    if last["status"] != payment.last_word:
        yield f"G6 {name} ({payment.provider}): ends as {last['status']}, it is {payment.last_word}"
    names = (payment.order_id,) if payment.named else (payment.order_id, None)
    if (last["amount"] or {}).get("value") != payment.amount or last["order_id"] not in names:
        yield f"G6 {name}: ends over {last['amount']} for {last['order_id']}, not {payment.amount}, {payment.order_id}"
    yield from _refunds(name, last, payment)
    yield from _compared(name, last, payment)


def _refunds(name: str, last: Mapping[str, Any], payment: Truth) -> Iterator[str]:
    """What went back is the provider's, and nothing is under way for ever."""
    refunded, refunding = ((last.get(one) or {"value": 0})["value"] for one in ("refunded", "refunding"))
    if (refunded, refunding) != (payment.refunded, 0):
        yield f"G6 {name}: {refunded} refunded and {refunding} under way, it is {payment.refunded}"


def _compared(name: str, last: Mapping[str, Any], payment: Truth) -> Iterator[str]:
    """The shop's word has come to each payment it announced."""
    if payment.checks is not None and last["checks"] != payment.checks:
        yield f"G6 {name}: compared as {last['checks']}, it is {payment.checks}"
    paid = last["status"] in ("captured", "partially_refunded")
    releases = paid and (payment.checks or {}).get("amount") != "mismatch"
    if (last["fulfilment"] == "release") != releases:
        yield f"G3 {name}: {last['status']} is to {last['fulfilment']}"


# --- G7 -------------------------------------------------------------------------------------------------------


def _results_of_nevogate(evidence: Evidence) -> Iterator[str]:
    """One Result for each call, and none without one; twice only where something had gone wrong."""
    causes: dict[str, str] = {}
    for record in _first_lookups(evidence, "nevogate"):
        causes[header(record, "ce_id")] = orjson.loads(record.value or b"")["reference"]
    asked = {lookup: count for (_, lookup), count in evidence.results.items()}
    for lookup, transaction in causes.items():
        if not asked.get(lookup):
            yield f"G7 nevogate {transaction}: a call without a Result"
    for (transaction, lookup), count in evidence.results.items():
        if causes.get(lookup) != transaction:
            yield f"G7 nevogate {transaction}: a Result without a call"
        elif evidence.calm and count > 1:
            yield f"G7 nevogate {transaction}: {count} Results for one call, and nothing had gone wrong"


# --- overdue --------------------------------------------------------------------------------------------------


def _overdue(evidence: Evidence) -> Iterator[str]:
    """Raised and cleared in turn; in the end raised where nothing final is known, and nowhere else. An authorised
    payment that settles after the run is not late yet."""
    told: dict[str, list[str]] = defaultdict(list)
    contents: dict[str, bytes] = {}
    for record in evidence.whole("payments.overdue"):
        event = orjson.loads(record.value or b"")
        first = contents.get(event["event_id"])
        if first is None:
            contents[event["event_id"]] = record.value or b""
            told[(record.key or b"").decode()].append(event["state"])
        elif first != record.value:
            yield f"G5 overdue {event['event_id']} has two contents"
    waiting = _waiting_for_settlement(evidence)
    for payment in evidence.plan.payments:
        said = payment.announcement
        states = told.pop(f"{payment.merchant}/{payment.order_id}", [])
        if states != (["raised", "cleared"] * len(states))[: len(states)]:
            yield f"G4 {payment.order_id}: overdue {states}"
        open_still = payment.last_status not in _FINAL and f"{payment.merchant}/{payment.payment_id}" not in waiting
        if said is not None and said.final_by is not None and (states[-1:] == ["raised"]) != open_still:
            yield f"G6 {payment.order_id} is {payment.last_status}, overdue {states or 'never'}"
    for order in told:
        yield f"G3 {order}: overdue, and nobody announced it"


def _waiting_for_settlement(evidence: Evidence) -> set[str]:
    """The payments that are authorised in the end and settle after it."""
    newest: dict[str, tuple[str, str]] = {}
    end = 0.0
    for record in evidence.whole("payments.status"):
        event = orjson.loads(record.value or b"")
        newest[(record.key or b"").decode()] = event["status"], event.get("settles_by") or ""
        end = max(end, record.timestamp)
    return {
        name
        for name, (status, settles_by) in newest.items()
        if status == "authorised" and settles_by and datetime.fromisoformat(settles_by).timestamp() > end
    }


def _requests(evidence: Evidence) -> Iterator[str]:
    yield from problems_of_requests(evidence.whole, evidence.asked, evidence.transactions, calm=evidence.calm)
    unreadable = sum(one.kind == "request" for one in evidence.plan.garbage)
    dead = {
        (header(one, "original-partition"), header(one, "original-offset"))
        for one in evidence.whole("lookups.dead")
        if header(one, "original-topic") == "payments.requested"
    }
    if len(dead) != unreadable:
        yield f"G2 {unreadable} requests can't be read, and {len(dead)} are among the dead"


def _nights(evidence: Evidence) -> Iterator[str]:
    yield from problems_of_nights(evidence.whole, evidence.plan)
    yield from problems_of_odd_elements(evidence.whole, evidence.plan)


def _signed_events(evidence: Evidence) -> Iterator[str]:
    yield from problems_of_signed_events(evidence.whole, evidence.plan)


def _operations(evidence: Evidence) -> Iterator[str]:
    yield from problems_of_operations(evidence.whole)


def kinds(found: Iterable[str]) -> Counter[str]:
    """How many problems of each guarantee."""
    return Counter(one.partition(" ")[0] for one in found if not one.startswith("..."))
