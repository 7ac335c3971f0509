"""Reads the events of an export from ``payments.status``: those of a time window, of some merchants, each once."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from paynotify.ops.common.progress_bar import ProgressBar
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.schemas import topics
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import ConfigurationError, UnreadableError
from paynotify.schemas.messages import PaymentStatus, decode
from paynotify.schemas.times import parse_time

#: How much a worker's clock may be ahead of the one that stamps records.
_SLACK: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportWindow:
    """Which events are wanted: observed from ``since`` up to, not including, ``until``; no ``merchants`` are all."""

    since: datetime | None = None
    until: datetime | None = None
    merchants: Collection[str] = ()

    def matches(self, event: PaymentStatus) -> bool:
        """Whether the event is wanted. One without a readable time is: an accountant must not miss it."""
        if self.merchants and event.merchant not in self.merchants:
            return False
        at = parse_time(event.observed_at)
        return at is None or ((self.since is None or at >= self.since) and (self.until is None or at < self.until))


def wanted_events(
    reader: TopicReader, kafka: KafkaSettings, window: ExportWindow
) -> Iterator[tuple[Any, PaymentStatus]]:
    """The wanted events with their records; repeats too. In order for each payment, and in no order across payments.

    Read to the end of the topic, whatever the window's: an event is stored later than it was observed, after an outage
    by days.

    Raises:
        MissingTopicsError: the topic does not exist.
        ConfigurationError: a record is no event that this release can read.
        ClusterUnavailableError: the topic cannot be read.
    """
    partitions = reader.present(kafka.topic(topics.STATUS))
    since = None if window.since is None else (window.since - _SLACK).timestamp()
    ranges = reader.ranges(partitions, since)
    with ProgressBar("reading events", sum(one.length for one in ranges)) as bar:
        for _, records in reader.read(ranges):
            bar.advance(len(records))
            for record in records:
                event = _event(record)
                if window.matches(event):
                    yield record, event


def _event(record: Any) -> PaymentStatus:
    try:
        return decode(record.value, PaymentStatus)
    except UnreadableError as error:
        raise ConfigurationError(
            f"The record {record.topic}/{record.partition}/{record.offset} is no status event ({error}), so the export "
            "would be incomplete. Run `paynotify audit`, and use the release that the workers run."
        ) from None
