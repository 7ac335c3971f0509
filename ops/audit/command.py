"""``paynotify audit``: is everything accounted for? From the topics themselves, not from counters (G2, G4, G5)."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import orjson
from kafka import TopicPartition
from kafka.errors import RetriableError

from ops.audit.ledger import AuditDifference, End, Fate, Ledger, identity
from ops.audit.results import Results
from ops.common.progress_bar import Bar
from ops.common.times import FORMS, window
from ops.common.topic_reader import Place, Span, TopicReader
from ops.replay import REPLAYED_FROM
from schemas import topics
from schemas.configuration.model import Configuration, load
from schemas.errors import MissingTopicsError
from schemas.messages import RECOVERY
from schemas.times import rfc3339
from service.cluster import admin, inspect_topics, missing

_SHOWN: Final = 100
#: A record's timestamp is its producer's; it may lie this much off the receipt time the window is about.
_SLACK: Final = timedelta(minutes=5)
_SETTLE_TIMES: Final = 3
_SETTLE_SECONDS: Final = 0.5
_COORDINATOR_SECONDS: Final = 15.0

_HELP: Final = f"""
Reads every topic from --since on and adds up, for each provider and by distinct id:

  notifications  stored = lookup + duplicate + rejected + alert + in work
  lookups        asked  = answered + dead + waiting (on a retry topic) + in work

Lookups of recovery (an overdue payment, `paynotify reconcile --mend`) have no notification and count only as lookups.

"in work" is what lies behind a stage's committed offset; those offsets are read before the topics' ends, so a running
system adds up too. A notification or lookup belongs to the window by the time the notification was received. After a
replay the later end counts. Then the results: sequences without gaps, one content per event id, and payments.latest
equal to the last event of payments.status. A start before what the topics keep is moved to where they are complete.

Memory grows with the window: about 200 bytes for a notification with its lookup, 430 for a payment with one event.

Times: {FORMS}.

examples:
  paynotify audit --since 24h
  paynotify audit --since 2026-11-23T00:00:00Z --until 2026-11-24T00:00:00Z --json

exit code: 0 everything is accounted for, 1 differences (the first {_SHOWN} are shown), 2 wrong use,
3 no Kafka broker could be used
"""


class _Asked(msgspec.Struct):
    notification_id: str
    arguments: dict[str, str] = {}


class _Answered(msgspec.Struct):
    lookup_id: str
    received_at: str


_LOOKUP: Final = msgspec.json.Decoder(_Asked)
_ANSWERED: Final = msgspec.json.Decoder(list[_Answered])

Handler = Callable[[Place, list[Any]], None]


@dataclass(slots=True)
class AuditReport:
    """What the audit found."""

    since: str
    until: str
    providers: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    results: dict[str, int] = field(default_factory=dict)
    other_dead: int = 0
    records: int = 0
    seconds: float = 0.0
    total: int = 0
    differences: list[AuditDifference] = field(default_factory=list)

    def note(self, found: Iterable[AuditDifference]) -> None:
        """Count all of them, keep the first."""
        for one in found:
            self.total += 1
            if len(self.differences) < _SHOWN:
                self.differences.append(one)


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``paynotify audit``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _HELP
    parser.add_argument("--config", metavar="FILE", help="the configuration (or PAYNOTIFY_CONFIG)")
    parser.add_argument("--since", required=True, metavar="TIME", help="notifications received then or later")
    parser.add_argument("--until", metavar="TIME", help="and before then")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Audit. Exit code 0: everything is accounted for, 1: differences.

    Raises:
        ConfigurationError: wrong use, no cluster, a topic that is not there.
    """
    configuration = load(arguments.config)
    since, until = window(arguments.since, arguments.until)
    assert since is not None
    report = audit(configuration, since, until)
    if arguments.json:
        print(orjson.dumps(asdict(report)).decode())
    else:
        _print(report)
    return 1 if report.total else 0


def audit(configuration: Configuration, since: datetime, until: datetime | None = None) -> AuditReport:
    """Read everything and compare."""
    kept = [
        topic.retention_seconds
        for topic, _, _ in configuration.wanted_topics().values()
        if topic.retention_seconds is not None and not topic.compacted
    ]
    since = max(since, datetime.now(UTC) - timedelta(seconds=min(kept)))
    started = time.monotonic()
    report = AuditReport(rfc3339(since), rfc3339(until) if until else "")
    # what a stage has committed was published before (G6): read in this order, no record is missed
    committed = _committed(configuration)
    with TopicReader(configuration) as reader:
        _Audit(configuration, reader, committed, since, report).carry_out()
    report.seconds = time.monotonic() - started
    return report


def _committed(configuration: Configuration) -> dict[Place, int]:
    kafka = configuration.kafka
    with admin(configuration) as client:
        present = inspect_topics(configuration, client)
        for name in missing(configuration, present):
            raise MissingTopicsError(f"The topic {name} does not exist. Create it with `paynotify topics apply`.")
        groups: dict[str, list[Any]] = {}
        for provider in topics.PROVIDERS:
            retries = [topics.retry(provider, step) for step in range(1, topics.RETRY_STEPS + 1)]
            for stage, names in (
                ("verify", [topics.notifications(provider)]),
                ("fetch", [topics.lookups(provider), *retries]),
            ):
                groups[f"{kafka.topic_prefix}paynotify.{stage}.{provider}"] = [
                    TopicPartition(topic, number)
                    for topic in map(kafka.topic, names)
                    for number in range(present[topic].partitions)
                ]
        offsets = _group_offsets(client, groups)
    return {
        Place(*place): max(0, one.offset)
        for group in groups
        for place, one in offsets.get(group, {}).items()
        if one is not None
    }


def _group_offsets(client: Any, groups: Mapping[str, list[Any]]) -> Any:
    """Patient for a while: a group's coordinator may just move, and new brokers make its topic when first asked."""
    until = time.monotonic() + _COORDINATOR_SECONDS
    while True:
        try:
            return client.list_group_offsets(groups)
        except RetriableError:
            if time.monotonic() > until:
                raise
            time.sleep(_SETTLE_SECONDS)


class _Audit:
    def __init__(
        self,
        configuration: Configuration,
        reader: TopicReader,
        committed: Mapping[Place, int],
        since: datetime,
        report: AuditReport,
    ) -> None:
        self._reader = reader
        self._committed = committed
        self._since = since
        self._from = report.since.encode()
        self._until = report.until.encode() or b"~"
        self._report = report
        self._topic = configuration.kafka.topic
        self._ledgers = {provider: Ledger(provider) for provider in topics.PROVIDERS}
        self._results = Results(frozenset())

    def carry_out(self) -> None:
        """All topics but ``payments.latest`` in one go, then that one, which is compared with the rest."""
        handlers = self._handlers()
        status, latest = self._topic(topics.STATUS), self._topic(topics.LATEST)
        spans = self._spans(status, since=self._since - _SLACK)
        self._results = Results(frozenset(span.place for span in spans if span.start == span.begin))
        flow = self._spans(*handlers, since=self._since - _SLACK)
        newest = self._spans(latest, since=self._since - 2 * _SLACK)
        with Bar("auditing", sum(span.length for span in (*flow, *spans, *newest))) as bar:
            for place, records in self._read(flow, bar):
                handlers[place.topic](place, records)
            for place, records in self._read(spans, bar):
                self._report.note(self._results.status(place, records))
            for _, records in self._read(newest, bar):
                self._results.latest(records)
        self._settle(spans, newest)
        self._add_up()

    def _spans(self, *names: str, since: datetime) -> list[Span]:
        return self._reader.spans(self._reader.places(*names), since.timestamp())

    def _read(self, spans: Iterable[Span], bar: Bar | None = None) -> Iterator[tuple[Place, list[Any]]]:
        for place, records in self._reader.read(spans):
            self._report.records += len(records)
            if bar is not None:
                bar.advance(len(records))
            yield place, records

    def _settle(self, status: list[Span], latest: list[Span]) -> None:
        """A running resolve writes both topics while they are read, so the newest events are looked at again."""
        for _ in range(_SETTLE_TIMES):
            if not self._results.unequal():
                return
            time.sleep(_SETTLE_SECONDS)
            status, latest = self._grown(status), self._grown(latest)
            for place, records in self._read(status):
                self._report.note(self._results.status(place, records))
            for _, records in self._read(latest):
                self._results.latest(records)

    def _grown(self, spans: list[Span]) -> list[Span]:
        now = {span.place: span.end for span in self._reader.spans([span.place for span in spans])}
        return [replace(span, start=span.end, end=now[span.place]) for span in spans]

    def _add_up(self) -> None:
        for provider, ledger in self._ledgers.items():
            self._report.providers[provider] = asdict(ledger.sums())
            self._report.note(ledger.differences())
        self._report.results = asdict(self._results.sums)
        self._report.note(self._results.differences())

    # --- one topic's records -------------------------------------------------------------------------------

    def _handlers(self) -> dict[str, Handler]:
        handlers: dict[str, Handler] = {
            self._topic(topics.REJECTED): self._ended(Fate.REJECTED),
            self._topic(topics.DUPLICATES): self._ended(Fate.DUPLICATE),
            self._topic(topics.ALERTS): self._alerts,
            self._topic(topics.DEAD): self._dead,
        }
        for provider, ledger in self._ledgers.items():
            handlers[self._topic(topics.notifications(provider))] = self._notifications(ledger)
            handlers[self._topic(topics.lookups(provider))] = self._lookups(ledger, End.OPEN)
            for step in range(1, topics.RETRY_STEPS + 1):
                handlers[self._topic(topics.retry(provider, step))] = self._lookups(ledger, End.WAITING)
            handlers[self._topic(topics.responses(provider))] = self._responses(ledger)
        return handlers

    def _inside(self, headers: Mapping[str, bytes], record: Any) -> bool:
        """Whether the record's notification was received in the window; each record carries that time."""
        received = headers.get("ce_time") or rfc3339(datetime.fromtimestamp(record.timestamp / 1000, UTC)).encode()
        return self._from <= received < self._until

    def _notifications(self, ledger: Ledger) -> Handler:
        def handle(place: Place, records: list[Any]) -> None:
            open_from = self._committed.get(place, 0)
            for record in records:
                headers = dict(record.headers)
                if self._inside(headers, record):
                    flags: int = Fate.STORED
                    if record.offset >= open_from:
                        flags |= Fate.OPEN
                    if REPLAYED_FROM in headers:
                        flags |= Fate.REPLAYED
                    ledger.notification(_name(headers, place, record), flags)

        return handle

    def _lookups(self, ledger: Ledger, pending: int) -> Handler:
        def handle(place: Place, records: list[Any]) -> None:
            open_from = self._committed.get(place, 0)
            for record in records:
                headers = dict(record.headers)
                if self._inside(headers, record):
                    flags = End.ASKED | pending if record.offset >= open_from else End.ASKED
                    ledger.lookup(_name(headers, place, record), flags)
                    cause = _caused_by(record)
                    if cause is not None:
                        ledger.notification(cause, Fate.LOOKUP)

        return handle

    def _responses(self, ledger: Ledger) -> Handler:
        def handle(place: Place, records: list[Any]) -> None:
            start, end = self._from.decode(), self._until.decode()
            for record in records:
                for one in _answered(record):
                    if start <= one.received_at < end:
                        ledger.lookup(identity(one.lookup_id.encode()), End.ANSWERED)

        return handle

    def _ended(self, flag: int) -> Handler:
        def handle(place: Place, records: list[Any]) -> None:
            for record in records:
                headers = dict(record.headers)
                if self._inside(headers, record):
                    ledger = self._ledger(headers.get("original-topic", b"").decode("utf-8", "replace"))
                    if ledger is None:
                        self._stray(place, record)
                    else:
                        ledger.notification(_original_name(headers), flag)

        return handle

    def _alerts(self, place: Place, records: list[Any]) -> None:
        for record in records:
            headers = dict(record.headers)
            if self._inside(headers, record):
                provider = headers.get("ce_source", b"").decode("utf-8", "replace").partition("/notifications/")[2]
                ledger = self._ledgers.get(provider.partition("/")[0])
                if ledger is None:
                    self._stray(place, record)
                else:
                    ledger.notification(_name(headers, place, record), Fate.ALERT)

    def _dead(self, place: Place, records: list[Any]) -> None:
        for record in records:
            headers = dict(record.headers)
            original = headers.get("original-topic", b"").decode("utf-8", "replace")
            name = original.removeprefix(self._topic(""))
            if not name.startswith("lookups.") or name.endswith(".known"):
                self._report.other_dead += 1  # such as an answer nobody could read: its lookup was answered
            elif self._inside(headers, record):
                ledger = self._ledger(original)
                if ledger is None:
                    self._stray(place, record)
                else:
                    # an answer that was not conclusive, and no tries left: asked again only to be buried
                    never_on_its_topic = End.ASKED if "again-of" in headers else 0
                    ledger.lookup(_original_name(headers), End.DEAD | never_on_its_topic)

    def _ledger(self, original_topic: str) -> Ledger | None:
        words = original_topic.removeprefix(self._topic("")).split(".")
        return self._ledgers.get(words[1]) if len(words) > 1 else None

    def _stray(self, place: Place, record: Any) -> None:
        where = f"{place.topic}/{place.partition}/{record.offset}"
        self._report.note(
            [AuditDifference(scope="topics", what="names no topic of ours as its origin", name="a record", where=where)]
        )


def _name(headers: Mapping[str, bytes], place: Place, record: Any) -> bytes:
    """The record's id; one without an id is known by its place."""
    return identity(headers.get("ce_id") or f"{place.topic}/{place.partition}/{record.offset}".encode())


def _original_name(headers: Mapping[str, bytes]) -> bytes:
    """As `_name`, of the record that ended."""
    parts = (headers.get(f"original-{part}", b"") for part in ("topic", "partition", "offset"))
    return identity(headers.get("ce_id") or b"/".join(parts))


def _caused_by(record: Any) -> bytes | None:
    """The notification behind a lookup, none behind one of recovery; what can't be read is reported under its place."""
    try:
        lookup = _LOOKUP.decode(record.value or b"")
        return None if RECOVERY in lookup.arguments else identity(lookup.notification_id.encode())
    except msgspec.MsgspecError:
        return identity(f"{record.topic}/{record.partition}/{record.offset}".encode())


def _answered(record: Any) -> list[_Answered]:
    value = next((value for name, value in record.headers if name == "lookups"), b"[]")
    try:
        return _ANSWERED.decode(value)
    except msgspec.MsgspecError:
        return []


def _print(report: AuditReport) -> None:
    print(f"received from {report.since} to {report.until or 'now'}")
    for provider, sums in report.providers.items():
        stored, asked = sums["notifications"], sums["lookups"]
        print(f"\n{provider}")
        print(f"  {_equation(stored, 'stored')}")
        print(f"  {_equation(asked, 'asked')}")
    results = report.results
    print(
        f"\nresults: {results['events']} events of {results['payments']} payments, {results['repeats']} identical "
        f"repeats, {report.other_dead} dead answers"
    )
    rate = report.records / report.seconds if report.seconds else 0.0
    print(f"{report.records} records read in {report.seconds:.1f} s ({rate:,.0f}/s)")
    if not report.total:
        print("everything is accounted for")
        return
    print(f"{report.total} differences" + (f", the first {_SHOWN}:" if report.total > _SHOWN else ":"), file=sys.stderr)
    for one in report.differences:
        print(f"  {one}", file=sys.stderr)


def _equation(sums: Mapping[str, int], whole: str) -> str:
    parts = " + ".join(f"{count} {name.replace('_', ' ')}" for name, count in sums.items() if name != whole)
    return f"{sums[whole]} {whole} = {parts}"
