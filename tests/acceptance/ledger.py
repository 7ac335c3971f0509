"""What lies on the topics, read by an observer of its own, held against the providers' books.

Nothing here believes a counter, a log or a judgement of the system under test: every sum is made anew from the
records themselves.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson
from kafka import KafkaConsumer, TopicPartition

from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.system import Sandbox
from paynotify.schemas import topics
from paynotify.schemas.cloudevents import MASKED_CARD_NUMBERS
from paynotify.schemas.messages import RECOVERY
from paynotify.schemas.providers import provider_names
from tests.fault.judgement import never_started

#: kafka-python's ConsumerRecord: topic, partition, offset, key, value, headers, timestamp.
Record: TypeAlias = Any
Books: TypeAlias = Mapping[str, Mapping[str, Any]]

SETTLE_SECONDS: Final = 60.0
_READ_SECONDS: Final = 30.0

#: Once there was money, only these may follow, and never to the left.
_MONEY: Final = ("captured", "partially_refunded", "refunded", "charged_back")
_RETRIES: Final = tuple(topic for provider in provider_names() for topic in topics.retry_steps(provider))


def header(record: Record, name: str) -> str:
    """The record's header as text; empty where there is none."""
    return next((value.decode() for key, value in record.headers if key == name), "")


class Observer:
    """Reads every topic of a sandbox from its beginning, without a group, and keeps all of it.

    It connects when it is first asked: kafka-python leaves a socket open for each refused connection, so it must
    not be connected while a broker is away.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._prefix = sandbox.prefix
        self._bootstrap = sandbox.direct_bootstrap
        self._consumer: Any = None
        self._places = [
            TopicPartition(name, number)
            for name, (_, partitions, _) in sandbox.configuration.wanted_topics().items()
            for number in range(partitions)
        ]
        self.records: dict[str, list[Record]] = defaultdict(list)

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()

    def _connected(self) -> Any:
        if self._consumer is None:
            self._consumer = KafkaConsumer(
                bootstrap_servers=self._bootstrap,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                max_poll_records=5000,
            )
            self._consumer.assign(self._places)
        return self._consumer

    def read(self) -> None:
        """Read up to what lies on the topics now."""
        consumer = self._connected()
        ends = consumer.end_offsets(self._places)
        deadline = time.monotonic() + _READ_SECONDS
        while any(consumer.position(place) < end for place, end in ends.items()):
            assert time.monotonic() < deadline, "the observer can't read the topics to their end"
            for place, records in consumer.poll(timeout_ms=200).items():
                self.records[place.topic.removeprefix(self._prefix)] += records

    def all_of(self, names: Iterable[str]) -> list[Record]:
        """The records of several topics."""
        return [record for name in names for record in self.records[name]]

    def events(self) -> dict[str, list[dict[str, Any]]]:
        """The distinct events of each payment in the order of their first appearance on ``payments.status``."""
        contents: dict[str, bytes] = {}
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for record in self.records[topics.STATUS]:
            event = orjson.loads(record.value)
            known = contents.setdefault(event["event_id"], record.value)
            assert known == record.value, f"one event id, two contents: {event['event_id']}"
            assert header(record, "ce_id") == event["event_id"]
            assert record.key.decode() == f"{event['merchant']}/{event['payment_id']}"
            if known is record.value:
                found[record.key.decode()].append(event)
        return dict(found)

    def latencies(self, payments: Iterable[str]) -> list[float]:
        """Seconds from the receipt of a notification to the first result it caused, of these payments' ids."""
        wanted = set(payments)
        received = {
            _trace(record): datetime.fromisoformat(header(record, "ce_time")).timestamp()
            for record in self.all_of(map(topics.notifications, provider_names()))
        }
        return [
            record.timestamp / 1000 - received[_trace(record)]
            for record in self.records[topics.STATUS]
            if record.key.decode().partition("/")[2] in wanted
        ]


def _trace(record: Record) -> str:
    return header(record, "traceparent")[3:35]


def books_of(sandbox: Sandbox) -> Books:
    """Every provider's own truth."""
    return {provider: control.book() for provider, control in sandbox.providers.items()}


def truths(books: Books) -> dict[str, dict[str, Any]]:
    """The truth of each payment, by the key it has on the result topics."""
    return {
        f"{truth['merchant']}/{payment_id}": truth
        for book in books.values()
        for payment_id, truth in book["payments"].items()
    }


def differences(books: Books, observer: Observer) -> list[str]:
    """Where the last published status is not the provider's, and what the providers still wait for."""
    published = {name: events[-1]["status"] for name, events in observer.events().items()}
    found = [
        f"{name}: {truth['status']} at the provider, {published.get(name, 'nothing')} published"
        for name, truth in truths(books).items()
        if published.get(name) != truth["status"]
    ]
    for provider, book in books.items():
        waits = {name: book[name] for name in ("waiting", "uncollected", "unanswered", "unsettled") if book.get(name)}
        found += [f"{provider}: {waits}"] if waits else []
    return found


def settle(sandbox: Sandbox, observer: Observer, within_seconds: float = SETTLE_SECONDS) -> Books:
    """Wait until every payment is published as its provider knows it; the books of then."""
    books: Books = {}
    left: list[str] = []

    def settled() -> bool:
        nonlocal books, left
        books = books_of(sandbox)
        observer.read()
        left = differences(books, observer)
        return not left

    assert wait_for(settled, within_seconds=within_seconds, every=0.3), _told("not as the providers know it", left)
    return books


def assert_right(sandbox: Sandbox, observer: Observer, within_seconds: float = SETTLE_SECONDS) -> None:
    """Everything a consumer of the results relies on, and every sum of what came in (G2 to G5, G7).

    What is judged is the reading that was waited for. One of a moment later may have what has no end yet because it has
    only just begun: workers ask by themselves for orders that are overdue, and whatever waits for its retry comes back.
    """
    books = settle(sandbox, observer)
    left: list[str] = []

    def accounted() -> bool:
        nonlocal left
        left = _unaccounted(observer) + _not_latest(observer)
        return not left

    wait_for(accounted, within_seconds=within_seconds, every=0.3)
    strange = left + _unordered(observer) + _broken_rules(books) + _masked(observer)
    assert not strange, _told("not right", strange)
    invented = observer.events().keys() - truths(books).keys() - never_started(books)
    assert not invented, _told("published, but unknown to the provider", sorted(invented))


def _told(what: str, found: list[str]) -> str:
    return f"{len(found)} {what}: " + "; ".join(found[:10])


def _masked(observer: Observer) -> list[str]:
    """Records in which something was taken for a card number: the simulators send none."""
    return [
        f"{topic}/{one.partition}/{one.offset} has a masked card number"
        for topic, records in observer.records.items()
        for one in records
        if any(name == MASKED_CARD_NUMBERS for name, _ in one.headers)
    ]


def _unordered(observer: Observer) -> list[str]:
    """Gaps in sequences, and statuses that went backwards."""
    found = []
    for name, events in observer.events().items():
        if [event["sequence"] for event in events] != list(range(1, len(events) + 1)):
            found.append(f"{name}: sequences {[event['sequence'] for event in events]}")
        statuses = [event["status"] for event in events]
        corrected = [event.get("correction") is not None for event in events]
        if [event["previous_status"] for event in events] != [None, *statuses[:-1]]:
            found.append(f"{name}: previous statuses are not those before: {statuses}")
        found += [
            f"{name}: {a} became {b}"
            for (a, b), by_operator in zip(pairwise(statuses), corrected[1:], strict=True)
            if _regress(a, b) and not by_operator
        ]
    return found


def _regress(before: str, after: str) -> bool:
    if before in _MONEY:
        return after not in _MONEY or _MONEY.index(after) < _MONEY.index(before)
    return before in ("authorised", "suspended") and after == "pending"


def _not_latest(observer: Observer) -> list[str]:
    """Payments whose newest record on ``payments.latest`` is not their newest event."""
    latest = {record.key.decode(): record.value for record in observer.records[topics.LATEST]}
    last = {name: events[-1]["event_id"] for name, events in observer.events().items()}
    told = {name: orjson.loads(value)["event_id"] if value else "a tombstone" for name, value in latest.items()}
    return [f"{name}: payments.latest has another event" for name in last | told if last.get(name) != told.get(name)]


def _broken_rules(books: Books) -> list[str]:
    found = [f"{provider}: {one}" for provider, book in books.items() for one in book["violations"]]
    for rule in ("unanswered", "uncaused"):
        found += [f"nevogate {rule}: {name}" for name in books.get("nevogate", {}).get(rule, ())]
    return found


def _unaccounted(observer: Observer) -> list[str]:
    """Notifications that have not exactly one end, and lookups without any (G2)."""
    observer.read()
    return _notifications_without_one_end(observer) + _lookups_without_end(observer)


def _notifications_without_one_end(observer: Observer) -> list[str]:
    ends: dict[str, set[str]] = defaultdict(set)
    for record in observer.all_of(map(topics.lookups, provider_names())):
        lookup = orjson.loads(record.value)
        if RECOVERY not in lookup["arguments"]:  # no notification caused it
            ends[lookup["notification_id"]].add("lookup")
    for kind in (topics.DUPLICATES, topics.REJECTED, topics.ALERTS):
        for record in observer.records[kind]:
            ends[header(record, "ce_id")].add(kind)
    stored = [header(one, "ce_id") for one in observer.all_of(map(topics.notifications, provider_names()))]
    found = [f"notification {name} was stored {times} times" for name, times in Counter(stored).items() if times > 1]
    found += [f"notification {name} ended as {sorted(ends[name])}" for name in set(stored) if len(ends[name]) != 1]
    return found + [f"{sorted(ends[name])} of no stored notification {name}" for name in ends.keys() - set(stored)]


def _lookups_without_end(observer: Observer) -> list[str]:
    asked = observer.all_of(map(topics.lookups, provider_names()))
    put_off = observer.all_of(_RETRIES)
    responses = observer.all_of(map(topics.responses, provider_names()))
    ended = {one["lookup_id"] for record in responses for one in orjson.loads(header(record, "lookups"))}
    ended |= {header(record, "ce_id") for record in observer.records[topics.DEAD]}
    came_back = {(header(record, "ce_id"), header(record, "attempts")) for record in asked}
    waiting = {
        header(record, "ce_id")
        for record in put_off
        if (header(record, "ce_id"), header(record, "attempts")) not in came_back
    }
    places = {header(record, "ce_id"): _place(record) for record in (*put_off, *asked)}
    return [f"lookup {name} at {place} has no end" for name, place in places.items() if name not in ended | waiting]


def _place(record: Record) -> str:
    stored = datetime.fromtimestamp(record.timestamp / 1000, UTC).isoformat(timespec="milliseconds")
    return f"{record.topic}/{record.partition}/{record.offset}, stored {stored}"


def assert_consumers_applied_once(sandbox: Sandbox, observer: Observer) -> None:
    """The ERP and the warehouse: every event applied once, the money the provider's, goods only for money."""
    books = settle(sandbox, observer)
    erp, warehouse = sandbox.database("erp"), sandbox.database("fulfilment")
    wanted = {event["event_id"] for events in observer.events().values() for event in events}
    for database in (erp, warehouse):
        wait_for(lambda file=database: len(_applied(file)) >= len(wanted), within_seconds=SETTLE_SECONDS)  # type: ignore[misc]  # the default binds the loop's value
        assert _applied(database) == sorted(wanted), f"{database.name} has not applied each event once"
        assert _rows(database, "SELECT * FROM gaps") == _rows(database, "SELECT * FROM unreadable") == []
    booked: Counter[tuple[str, str]] = Counter()
    for merchant, payment, kind, value in _rows(erp, "SELECT merchant, payment_id, kind, value FROM bookings"):
        booked[f"{merchant}/{payment}", kind] += value
    wrong = [
        f"{name}: {kind} {truth[kind]} at the provider, {booked[name, kind]} booked"
        for name, truth in truths(books).items()
        for kind in ("paid", "refunded", "charged_back")
        if booked[name, kind] != truth[kind]
    ]
    assert not wrong, _told("wrong bookings", wrong)
    decisions = [name for (name,) in _rows(warehouse, "SELECT event_id FROM decisions")]
    assert sorted(decisions) == sorted(wanted)
    released = _rows(warehouse, "SELECT merchant, payment_id FROM parcels WHERE released_by IS NOT NULL")
    unpaid = [name for name in map("/".join, released) if not truths(books)[name]["paid"]]
    assert not unpaid, _told("released without money", unpaid)


def _applied(database: Path) -> list[str]:
    return sorted(name for (name,) in _rows(database, "SELECT event_id FROM applied"))


def _rows(database: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(query).fetchall()
