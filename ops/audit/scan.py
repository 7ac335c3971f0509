"""Reads the topics for the audit and feeds every record to the ledgers and the result checks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from paynotify.ops.audit.ledger import AuditDifference, AuditLedger, LookupFlags, NotificationFlags, identity
from paynotify.ops.audit.report import AuditReport
from paynotify.ops.audit.results import ResultChecks
from paynotify.ops.common.progress_bar import ProgressBar
from paynotify.ops.common.topic_reader import OffsetRange, TopicPartition, TopicReader
from paynotify.schemas import topics
from paynotify.schemas.cloudevents import REPLAYED_FROM
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.messages import RECOVERY
from paynotify.schemas.providers import provider_names
from paynotify.schemas.times import rfc3339_of

#: A record's timestamp comes from its producer and may differ this much from the time of receipt.
_TIMESTAMP_SLACK: Final = timedelta(minutes=5)
_MAX_REREADS: Final = 3
_REREAD_SECONDS: Final = 0.5


class _LookupFields(msgspec.Struct):
    notification_id: str
    arguments: dict[str, str] = {}


class _AnsweredLookup(msgspec.Struct):
    lookup_id: str
    received_at: str


_LOOKUP: Final = msgspec.json.Decoder(_LookupFields)
_ANSWERED: Final = msgspec.json.Decoder(list[_AnsweredLookup])

Handler = Callable[[TopicPartition, list[Any]], None]


class AuditScan:
    """One audit: reads the topics through ``reader`` and adds its findings to ``report``.

    ``committed`` holds the committed offsets of the verify and fetch stages.
    """

    def __init__(
        self,
        configuration: Configuration,
        reader: TopicReader,
        committed: Mapping[TopicPartition, int],
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
        self._ledgers = {provider: AuditLedger(provider) for provider in provider_names()}
        self._results = ResultChecks(frozenset())

    def run(self) -> None:
        """Read the flow's topics, then ``payments.status``, then ``payments.latest``, which is compared with it."""
        handlers = self._handlers()
        status, latest = self._topic(topics.STATUS), self._topic(topics.LATEST)
        events = self._ranges(status, since=self._since - _TIMESTAMP_SLACK)
        self._results = ResultChecks(frozenset(one.partition for one in events if one.start == one.log_start))
        flow = self._ranges(*handlers, since=self._since - _TIMESTAMP_SLACK)
        newest = self._ranges(latest, since=self._since - 2 * _TIMESTAMP_SLACK)
        with ProgressBar("auditing", sum(one.length for one in (*flow, *events, *newest))) as bar:
            for partition, records in self._read(flow, bar):
                handlers[partition.topic](partition, records)
            for partition, records in self._read(events, bar):
                self._report.add(self._results.status(partition, records))
            for _, records in self._read(newest, bar):
                self._results.latest(records)
        self._reread(events, newest)
        self._add_up()

    def _ranges(self, *names: str, since: datetime) -> list[OffsetRange]:
        return self._reader.ranges(self._reader.partitions(*names), since.timestamp())

    def _read(
        self, ranges: Iterable[OffsetRange], bar: ProgressBar | None = None
    ) -> Iterator[tuple[TopicPartition, list[Any]]]:
        for partition, records in self._reader.read(ranges):
            self._report.records += len(records)
            if bar is not None:
                bar.advance(len(records))
            yield partition, records

    def _reread(self, status: list[OffsetRange], latest: list[OffsetRange]) -> None:
        """Read what was written meanwhile: a running resolve stage writes to both topics during the audit."""
        for _ in range(_MAX_REREADS):
            if not self._results.unequal():
                return
            time.sleep(_REREAD_SECONDS)
            status, latest = self._grown(status), self._grown(latest)
            for partition, records in self._read(status):
                self._report.add(self._results.status(partition, records))
            for _, records in self._read(latest):
                self._results.latest(records)

    def _grown(self, ranges: list[OffsetRange]) -> list[OffsetRange]:
        """What the partitions hold beyond the end of the ranges."""
        ends = {one.partition: one.end for one in self._reader.ranges([one.partition for one in ranges])}
        return [replace(one, start=one.end, end=ends[one.partition]) for one in ranges]

    def _add_up(self) -> None:
        for provider, ledger in self._ledgers.items():
            self._report.providers[provider] = asdict(ledger.sums())
            self._report.add(ledger.differences())
        self._report.results = asdict(self._results.sums)
        self._report.add(self._results.differences())

    # --- handlers, one for each topic ----------------------------------------------------------------------

    def _handlers(self) -> dict[str, Handler]:
        handlers: dict[str, Handler] = {
            self._topic(topics.REJECTED): self._final(NotificationFlags.REJECTED),
            self._topic(topics.DUPLICATES): self._final(NotificationFlags.DUPLICATE),
            self._topic(topics.ALERTS): self._alerts,
            self._topic(topics.DEAD): self._dead,
        }
        for provider, ledger in self._ledgers.items():
            handlers[self._topic(topics.notifications(provider))] = self._notifications(ledger)
            for name in topics.unverified_steps(provider):
                handlers[self._topic(name)] = self._notifications(ledger)
            handlers[self._topic(topics.lookups(provider))] = self._lookups(ledger, LookupFlags.OPEN)
            for name in topics.retry_steps(provider):
                handlers[self._topic(name)] = self._lookups(ledger, LookupFlags.WAITING)
            handlers[self._topic(topics.responses(provider))] = self._responses(ledger)
        return handlers

    def _inside(self, headers: Mapping[str, bytes], record: Any) -> bool:
        """Whether the notification behind the record was received in the window; each record carries that time."""
        received = headers.get("ce_time") or rfc3339_of(record.timestamp / 1000).encode()
        return self._from <= received < self._until

    def _notifications(self, ledger: AuditLedger) -> Handler:
        def handle(partition: TopicPartition, records: list[Any]) -> None:
            open_from = self._committed.get(partition, 0)
            for record in records:
                headers = dict(record.headers)
                if self._inside(headers, record):
                    flags: int = NotificationFlags.STORED
                    if record.offset >= open_from:
                        flags |= NotificationFlags.OPEN
                    if REPLAYED_FROM in headers:
                        flags |= NotificationFlags.REPLAYED
                    ledger.notification(_record_identity(headers, partition, record), flags)

        return handle

    def _lookups(self, ledger: AuditLedger, pending: int) -> Handler:
        def handle(partition: TopicPartition, records: list[Any]) -> None:
            open_from = self._committed.get(partition, 0)
            for record in records:
                headers = dict(record.headers)
                if self._inside(headers, record):
                    flags = LookupFlags.ASKED | pending if record.offset >= open_from else LookupFlags.ASKED
                    ledger.lookup(_record_identity(headers, partition, record), flags)
                    cause = _caused_by(record)
                    if cause is not None:
                        ledger.notification(cause, NotificationFlags.LOOKUP)

        return handle

    def _responses(self, ledger: AuditLedger) -> Handler:
        def handle(partition: TopicPartition, records: list[Any]) -> None:
            start, end = self._from.decode(), self._until.decode()
            for record in records:
                for one in _answered_lookups(record):
                    if start <= one.received_at < end:
                        ledger.lookup(identity(one.lookup_id.encode()), LookupFlags.ANSWERED)

        return handle

    def _final(self, flag: int) -> Handler:
        def handle(partition: TopicPartition, records: list[Any]) -> None:
            for record in records:
                headers = dict(record.headers)
                if self._inside(headers, record):
                    ledger = self._ledger(headers.get("original-topic", b"").decode("utf-8", "replace"))
                    if ledger is None:
                        self._report_unknown_origin(partition, record)
                    else:
                        ledger.notification(_original_identity(headers), flag)

        return handle

    def _alerts(self, partition: TopicPartition, records: list[Any]) -> None:
        for record in records:
            headers = dict(record.headers)
            if self._inside(headers, record):
                provider = headers.get("ce_source", b"").decode("utf-8", "replace").partition("/notifications/")[2]
                ledger = self._ledgers.get(provider.partition("/")[0])
                if ledger is None:
                    self._report_unknown_origin(partition, record)
                else:
                    ledger.notification(_record_identity(headers, partition, record), NotificationFlags.ALERT)

    def _dead(self, partition: TopicPartition, records: list[Any]) -> None:
        for record in records:
            headers = dict(record.headers)
            original = headers.get("original-topic", b"").decode("utf-8", "replace")
            name = original.removeprefix(self._topic(""))
            if not name.startswith("lookups.") or name.endswith(".known"):
                self._report.other_dead += 1  # such as an unreadable response: its lookup got a response
            elif self._inside(headers, record):
                ledger = self._ledger(original)
                if ledger is None:
                    self._report_unknown_origin(partition, record)
                else:
                    # an inconclusive response after the last attempt: this lookup was created to be dead-lettered
                    never_published = LookupFlags.ASKED if "again-of" in headers else 0
                    ledger.lookup(_original_identity(headers), LookupFlags.DEAD | never_published)

    def _ledger(self, original_topic: str) -> AuditLedger | None:
        parts = original_topic.removeprefix(self._topic("")).split(".")
        return self._ledgers.get(parts[1]) if len(parts) > 1 else None

    def _report_unknown_origin(self, partition: TopicPartition, record: Any) -> None:
        where = f"{partition.topic}/{partition.partition}/{record.offset}"
        self._report.add(
            [
                AuditDifference(
                    scope="topics",
                    what="names an original topic that is not one of paynotify's",
                    name="a record",
                    where=where,
                )
            ]
        )


def _record_identity(headers: Mapping[str, bytes], partition: TopicPartition, record: Any) -> bytes:
    """A digest of the record's id, or of its position if it has none."""
    return identity(headers.get("ce_id") or f"{partition.topic}/{partition.partition}/{record.offset}".encode())


def _original_identity(headers: Mapping[str, bytes]) -> bytes:
    """As `_record_identity`, for the original of a rejected or dead-lettered record."""
    parts = (headers.get(f"original-{part}", b"") for part in ("topic", "partition", "offset"))
    return identity(headers.get("ce_id") or b"/".join(parts))


def _caused_by(record: Any) -> bytes | None:
    """The notification that caused a lookup; None for recovery. An unreadable lookup is identified by its position."""
    try:
        lookup = _LOOKUP.decode(record.value or b"")
        return None if RECOVERY in lookup.arguments else identity(lookup.notification_id.encode())
    except msgspec.MsgspecError:
        return identity(f"{record.topic}/{record.partition}/{record.offset}".encode())


def _answered_lookups(record: Any) -> list[_AnsweredLookup]:
    value = next((value for name, value in record.headers if name == "lookups"), b"[]")
    try:
        return _ANSWERED.decode(value)
    except msgspec.MsgspecError:
        return []
