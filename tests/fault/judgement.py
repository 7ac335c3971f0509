"""The verifier's rules, each a pure function from the evidence to what is wrong with it, by name.

A rule names every single case, so that a figure above 0 can be looked into. Written from the documents of the
interfaces, not from the product.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from paynotify.schemas import topics
from paynotify.schemas.providers import provider_names
from tests.fault.evidence import Books, Delivery, Entry, Evidence

#: Once there was money, only these may follow, and never to the left.
_MONEY: Final = ("captured", "partially_refunded", "refunded", "charged_back")

#: What went back to the customer, what is under way, and what the bank took back.
_AMOUNTS: Final = ("refunded", "refunding", "charged_back")

#: An expectation that comes after the payment corrects one answer.
_CORRECTIONS: Final = 1


def _stored_as(entry: Entry, provider: str) -> Delivery:
    return Delivery(
        provider=provider,
        merchant=entry.headers.get("ce_source", "").rpartition("/")[2],
        method=entry.headers.get("http-method", "POST"),
        query=entry.headers.get("http-query", ""),
        sha256=hashlib.sha256(entry.value).hexdigest(),
        status=200,
    )


def accepted(evidence: Evidence) -> int:
    """How many notifications were acknowledged with 200."""
    return sum(one.status == 200 for one in evidence.deliveries)


def lost(evidence: Evidence) -> list[str]:
    """Acknowledged, and not on the topic as often as acknowledged. A repeat of the same bytes needs a record too."""
    told = Counter(one for one in evidence.deliveries if one.status == 200)
    stored = Counter(
        _stored_as(entry, provider)
        for provider in provider_names()
        for entry in evidence.records[topics.notifications(provider)]
    )
    return [f"{one.provider}/{one.merchant} {one.query or one.sha256[:12]}" for one in (told - stored).elements()]


def truths(books: Books) -> dict[str, Mapping[str, Any]]:
    """What each provider knows of each payment, by the payment's key."""
    return {f"{truth['merchant']}/{name}": truth for book in books.values() for name, truth in book["payments"].items()}


def events(evidence: Evidence) -> dict[str, list[dict[str, Any]]]:
    """The distinct events of each payment in the order of their first appearance."""
    seen: set[str] = set()
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in evidence.records[topics.STATUS]:
        event = json.loads(entry.value)
        content = f"{event['event_id']} {hashlib.sha256(entry.value).hexdigest()}"
        if content not in seen:
            seen.add(content)
            found[entry.key].append(event)
    return found


def wrong_or_missing(evidence: Evidence) -> list[str]:
    """Payments whose last published status or amounts are not the provider's, or that were never published."""
    last = {name: found[-1] for name, found in events(evidence).items()}
    found = []
    for name, truth in truths(evidence.books).items():
        event = last.get(name)
        if event is None or event["status"] != truth["status"]:
            published = event["status"] if event else "nothing"
            found.append(f"{name}: {truth['status']} at the provider, {published} published")
            continue
        amounts = {kind: (event.get(kind) or {"value": 0})["value"] for kind in _AMOUNTS}
        found += [
            f"{name}: {kind} {truth.get(kind, 0)} at the provider, {amount} published"
            for kind, amount in amounts.items()
            if amount != truth.get(kind, 0)
        ]
    return found


def never_started(books: Books) -> set[str]:
    """Recurring charges that the gateway opened and was never asked to start, or was asked in vain, by payment's key.

    Whoever asks it about one is told that it is pending.
    """
    book = books.get("nevogate", {})
    return {f"{book['money'][name]['merchant']}/{name}" for name in book.get("orphans", ())}


def invented(evidence: Evidence) -> list[str]:
    """Payments that no provider knows."""
    return sorted(events(evidence).keys() - truths(evidence.books).keys() - never_started(evidence.books))


def beyond_allowed(evidence: Evidence) -> list[str]:
    """Events that say nothing new, that tell of a status the provider never had, or that are more than it had."""
    known = truths(evidence.books)
    opened = never_started(evidence.books)
    found = []
    for name, told in events(evidence).items():
        history = list(known[name]["history"]) if name in known else ["pending"] if name in opened else []
        found += [f"{name}: sequence {b['sequence']} has no news" for a, b in pairwise(told) if _news(a) == _news(b)]
        statuses = [event["status"] for event in told]
        changes = [b for a, b in pairwise([None, *statuses]) if a != b]
        if not _part_of(changes, history):
            found.append(f"{name}: published {changes}, at the provider {history}")
        most = len(history) + (known[name].get("steps", 0) if name in known else 0) + _CORRECTIONS
        found += [f"{name}: one event too many"] * max(0, len(told) - most)
    return found


def _news(event: Mapping[str, Any]) -> str:
    fields = ("status", "order_id", "amount", "paid", "refunded", "fulfilment", "checks")
    where_they_apply = ("refunding", "charged_back", "customer_amount", "settles_by", "order_role")
    return json.dumps([*(event[name] for name in fields), *map(event.get, where_they_apply)], sort_keys=True)


def _part_of(changes: list[str], history: list[str]) -> bool:
    """Whether the changes are some of the history, in its order."""
    rest = iter(history)
    return all(change in rest for change in changes)


def regressions(evidence: Evidence) -> list[str]:
    """Statuses that went backwards from one event to the next."""
    return [
        f"{name}: {a['status']} became {b['status']}"
        for name, told in events(evidence).items()
        for a, b in pairwise(told)
        if _regress(a["status"], b["status"])
    ]


def _regress(before: str, after: str) -> bool:
    if before in _MONEY:
        return after not in _MONEY or _MONEY.index(after) < _MONEY.index(before)
    return before in ("authorised", "suspended") and after == "pending"


def gaps(evidence: Evidence) -> list[str]:
    """Payments whose sequences are not 1, 2, 3 in the order of the topic, or whose events do not follow each other."""
    found = []
    for name, told in events(evidence).items():
        sequences = [event["sequence"] for event in told]
        if sequences != list(range(1, len(told) + 1)):
            found.append(f"{name}: sequences {sequences}")
        elif [event["previous_status"] for event in told] != [None, *(event["status"] for event in told[:-1])]:
            found.append(f"{name}: previous statuses are not those before")
    return found


def two_contents(evidence: Evidence) -> list[str]:
    """Event ids that stand for more than one content, or that differ between header and value."""
    contents: dict[str, set[bytes]] = defaultdict(set)
    found = []
    for entry in evidence.of((topics.STATUS, topics.LATEST)):
        if not entry.value:
            continue  # a tombstone; `not_latest` finds one that nobody asked for
        event_id = json.loads(entry.value)["event_id"]
        contents[event_id].add(entry.value)
        if entry.headers.get("ce_id") != event_id:
            found.append(f"{event_id}: its header names {entry.headers.get('ce_id')}")
    return found + [f"{name}: {len(values)} contents" for name, values in contents.items() if len(values) > 1]


def not_latest(evidence: Evidence) -> list[str]:
    """Payments whose newest record on the compacted topic is not their newest event."""
    newest = {
        entry.key: json.loads(entry.value)["event_id"] if entry.value else "a tombstone"
        for entry in evidence.records[topics.LATEST]
    }
    last = {name: told[-1]["event_id"] for name, told in events(evidence).items()}
    return [name for name in sorted(newest | last) if newest.get(name) != last.get(name)]


def unaccounted(evidence: Evidence) -> list[str]:
    """Notifications that have not exactly one end, and lookups that have none."""
    return _notifications_without_one_end(evidence) + _lookups_without_end(evidence)


def _notifications_without_one_end(evidence: Evidence) -> list[str]:
    ends: dict[str, set[str]] = defaultdict(set)
    for entry in evidence.of(map(topics.lookups, provider_names())):
        ends[json.loads(entry.value)["notification_id"]].add("lookup")
    for kind in (topics.DUPLICATES, topics.REJECTED, topics.ALERTS):
        for entry in evidence.records[kind]:
            ends[entry.headers.get("ce_id", "")].add(kind)
    stored = [entry.headers.get("ce_id", "") for entry in evidence.of(map(topics.notifications, provider_names()))]
    return [
        f"notification {name} ended as {sorted(ends[name])}" for name in sorted(set(stored)) if len(ends[name]) != 1
    ]


def _lookups_without_end(evidence: Evidence) -> list[str]:
    asked = evidence.of(map(topics.lookups, provider_names()))
    ended = {
        one["lookup_id"]
        for entry in evidence.of(map(topics.responses, provider_names()))
        for one in json.loads(entry.headers["lookups"])
    }
    ended |= {entry.headers.get("ce_id", "") for entry in evidence.records[topics.DEAD]}
    every = {entry.headers.get("ce_id", "") for entry in (*asked, *evidence.put_off)}
    return [f"lookup {name} has no end" for name in sorted(every - ended)]


def asked_twice(evidence: Evidence) -> list[str]:
    """Payments and refunds that were looked up more than once because of one settlement: a run has one morning."""
    looks: dict[str, set[str]] = defaultdict(set)
    for entry in evidence.of(map(topics.lookups, provider_names())):
        arguments = json.loads(entry.value).get("arguments", {})
        if arguments.get("cause") == "settlement due":
            for reference in arguments.get("references", "").split():
                looks[reference].add(entry.headers.get("ce_id", ""))
    return [f"{reference}: {len(names)} lookups" for reference, names in sorted(looks.items()) if len(names) > 1]


def refused_with_another(evidence: Evidence) -> list[str]:
    """Payments of which a lookup was refused, though only a value that is no payment is refused by the gateway."""
    known = truths(evidence.books)
    return [
        entry.key
        for entry in evidence.records[topics.DEAD]
        if entry.headers.get("reason") == "refused" and entry.key in known
    ]


def unanswered(evidence: Evidence) -> list[str]:
    """Nevogate calls without a ``Result`` after them."""
    return list(evidence.books.get("nevogate", {}).get("unanswered", ()))


def uncaused(evidence: Evidence) -> list[str]:
    """Nevogate transactions with more ``Result`` calls than there were calls."""
    return list(evidence.books.get("nevogate", {}).get("uncaused", ()))


#: No process breaks the bank's limit; while a webshop's partition changes hands, two of them do. The bank refuses
#: what is too much and is asked again, so this is stated.
_PACE: Final = "calls per second"


def over_the_pace(evidence: Evidence) -> int:
    """How many calls the bank refused because there were too many in a second."""
    return sum(one["rule"] == _PACE for book in evidence.books.values() for one in book["violations"])


def rules_broken(evidence: Evidence) -> list[str]:
    """Breaches that a provider saw of its own rules, but for the bank's pace."""
    return [
        f"{provider}: {one['rule']} ({one['about']}) at {one['at']}"
        for provider, book in evidence.books.items()
        for one in book["violations"]
        if one["rule"] != _PACE
    ]


def left_behind(evidence: Evidence) -> list[str]:
    """What a provider still waits for."""
    return [
        f"{provider}: {book[name]} {name}"
        for provider, book in evidence.books.items()
        for name in ("waiting", "uncollected")
        if book.get(name)
    ]


def moved_twice(evidence: Evidence) -> list[str]:
    """Orders of recurring charges for which the gateway moved money more than once."""
    moved: Counter[str] = Counter()
    for one in evidence.books.get("nevogate", {}).get("money", {}).values():
        moved[f"{one['merchant']}/{one['order_id']}"] += one["moved"]
    return [f"{name}: {times} times" for name, times in sorted(moved.items()) if times > 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """The OmniKassa window: pages the bank handed out and forgot, against those that were kept.

    ``seconds`` is how long each page that was kept was nowhere else than on its way: from the bank's answer to the
    brokers' receipt.
    """

    handed_out: int
    not_stored: tuple[str, ...]
    orders_on_them: int
    not_healed: tuple[str, ...]
    seconds: tuple[float, ...]


def pages(evidence: Evidence) -> Pages:
    """What became of every page that had orders on it."""
    handed_out = evidence.books.get("omnikassa", {}).get("pages", ())
    kept: dict[str, float] = {}
    for entry in evidence.records[topics.responses("omnikassa")]:
        signature = _signature(entry.value)
        if signature:
            kept.setdefault(signature, entry.at)
    missing = [page for page in handed_out if page["signature"] not in kept]
    told = events(evidence)
    known = truths(evidence.books)
    on_them = [f"{page['merchant']}/{payment}" for page in missing for payment in page["payments"]]
    wrong = [name for name in on_them if not told.get(name) or told[name][-1]["status"] != known[name]["status"]]
    return Pages(
        handed_out=len(handed_out),
        not_stored=tuple(page["signature"][:12] for page in missing),
        orders_on_them=len(on_them),
        not_healed=tuple(sorted(set(wrong))),
        seconds=tuple(
            sorted(max(0.0, kept[one["signature"]] - one["at"]) for one in handed_out if one["signature"] in kept)
        ),
    )


def _signature(body: bytes) -> str:
    try:
        page = json.loads(body)
    except ValueError:
        return ""
    return str(page.get("signature", "")) if isinstance(page, dict) else ""


def cases_without_one_event(evidence: Evidence) -> list[str]:
    """Pages and queries with odd elements, and refunds beyond what was captured, that are not one event on
    ``operations``, by its id, or of which one id has two contents."""
    contents: dict[str, bytes] = {}
    told: dict[tuple[str, str], set[str]] = defaultdict(set)
    found = []
    for entry in evidence.records[topics.OPERATIONS]:
        event = json.loads(entry.value)
        if contents.setdefault(event["event_id"], entry.value) != entry.value:
            found.append(f"{event['event_id']}: two contents")
        told[event["kind"], event["cause"]].add(event["event_id"])
    due = {("odd_elements", entry.headers.get("ce_id", "")) for entry in evidence.records[topics.DEAD] if _odd(entry)}
    due |= {("over_refunded", one["event_id"]) for told_of in events(evidence).values() for one in _over(told_of)}
    found += [f"{kind} at {cause}: no event" for kind, cause in sorted(due - told.keys())]
    noticed = {(kind, cause) for kind, cause in told if kind in ("odd_elements", "over_refunded")}
    found += [f"{kind} at {cause}: an event without a case" for kind, cause in sorted(noticed - due)]
    return found + [f"{kind} at {cause}: {len(ids)} ids" for (kind, cause), ids in told.items() if len(ids) > 1]


def _odd(entry: Entry) -> bool:
    """Whether the dead letter is of a response with odd elements, or of a lookup of a value that was refused."""
    asked = entry.headers.get("original-topic", "").endswith(topics.lookups("trustpayments"))
    return bool(entry.headers.get("elements")) or (asked and entry.headers.get("reason") == "refused")


def _over(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events that say for the first time that so much more was refunded than captured."""
    found, most = [], 0
    for event in told:
        captured, refunded = ((event.get(name) or {"value": 0})["value"] for name in ("paid", "refunded"))
        if refunded > max(captured, most):
            found.append(event)
        most = max(most, refunded)
    return found


#: Every figure that must be 0, by its name in the report.
RULES: Final[Mapping[str, Callable[[Evidence], list[str]]]] = {
    "lost": lost,
    "wrong_or_missing_final_status": wrong_or_missing,
    "payments_no_provider_knows": invented,
    "events_beyond_the_allowed": beyond_allowed,
    "status_regressions": regressions,
    "sequence_gaps": gaps,
    "one_id_two_contents": two_contents,
    "latest_is_not_the_last": not_latest,
    "notifications_or_lookups_without_one_end": unaccounted,
    "settlements_asked_for_twice": asked_twice,
    "lookups_refused_with_another": refused_with_another,
    "nevogate_calls_without_result": unanswered,
    "nevogate_results_without_cause": uncaused,
    "provider_rules_broken": rules_broken,
    "left_at_the_provider": left_behind,
    "money_moved_twice": moved_twice,
    "cases_without_one_operations_event": cases_without_one_event,
    "omnikassa_orders_lost_in_the_window": lambda evidence: list(pages(evidence).not_healed),
}

#: Those that may still become 0 while the system catches up.
CATCHING_UP: Final = (
    "wrong_or_missing_final_status",
    "latest_is_not_the_last",
    "notifications_or_lookups_without_one_end",
    "nevogate_calls_without_result",
    "left_at_the_provider",
    "cases_without_one_operations_event",
    "omnikassa_orders_lost_in_the_window",
)
