"""What the verifier knows: records as they lie on the topics, the providers' books, and what was acknowledged.

Nothing of the product is used here but the names of its topics.
"""

from __future__ import annotations

import json
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from paynotify.schemas import topics
from paynotify.schemas.providers import provider_names

Books: TypeAlias = Mapping[str, Mapping[str, Any]]

_RETRIES: Final = tuple(topic for provider in provider_names() for topic in topics.retry_steps(provider))

#: What the judgement is made of.
READ: Final = (
    *map(topics.notifications, provider_names()),
    *map(topics.lookups, provider_names()),
    *_RETRIES,
    *map(topics.responses, provider_names()),
    topics.REJECTED,
    topics.DUPLICATES,
    topics.ALERTS,
    topics.DEAD,
    topics.STATUS,
    topics.LATEST,
    topics.OPERATIONS,
)

_BOOK_SECONDS: Final = 30.0
_POLL_MILLISECONDS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record. ``at`` is its time on the topic, in Unix seconds."""

    partition: int
    offset: int
    key: str
    value: bytes
    headers: Mapping[str, str]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One attempt to notify us: what makes it recognisable, and the HTTP status it got (none without an answer)."""

    provider: str
    merchant: str
    method: str
    query: str
    sha256: str
    status: int | None


@dataclass(slots=True)
class Evidence:
    """Everything there is at one moment."""

    records: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    books: Books = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)

    def of(self, names: Iterable[str]) -> list[Entry]:
        """The records of several topics."""
        return [entry for name in names for entry in self.records[name]]

    @property
    def put_off(self) -> list[Entry]:
        """Lookups on their way through the retry topics."""
        return self.of(_RETRIES)


class Topics:
    """Reads the topics from their beginning, on and on, without a group."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._prefix = prefix
        self._consumer = KafkaConsumer(
            bootstrap_servers=bootstrap.split(","),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_poll_records=5000,
        )
        known = self._consumer.topics()
        self._places = [
            TopicPartition(prefix + name, number)
            for name in READ
            if prefix + name in known
            for number in sorted(self._consumer.partitions_for_topic(prefix + name) or ())
        ]
        self._consumer.assign(self._places)

    def read(self, into: Evidence) -> None:
        """Add what lies on the topics now and was not read before."""
        ends = self._consumer.end_offsets(self._places)
        while any(self._consumer.position(place) < end for place, end in ends.items()):
            for place, records in self._consumer.poll(timeout_ms=_POLL_MILLISECONDS).items():
                into.records[place.topic.removeprefix(self._prefix)] += map(_entry, records)

    def close(self) -> None:
        self._consumer.close()


def _entry(record: Any) -> Entry:
    return Entry(
        partition=record.partition,
        offset=record.offset,
        key=(record.key or b"").decode("utf-8", "replace"),
        value=record.value or b"",
        headers={name: value.decode("utf-8", "replace") for name, value in record.headers},
        at=record.timestamp / 1000,
    )


class Groups:
    """How far the product's groups are behind, from what they have committed."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._admin = KafkaAdminClient(bootstrap_servers=bootstrap.split(","))
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap.split(","), enable_auto_commit=False)
        self._mine = prefix + "paynotify."

    def places(self) -> dict[tuple[str, str, int], tuple[int, int]]:
        """By group, topic and partition: the offset committed and the end. Only what a group reads at all."""
        groups = [one["group_id"] for one in self._admin.list_groups() if one["group_id"].startswith(self._mine)]
        committed = self._admin.list_group_offsets(groups) if groups else {}
        wanted: dict[tuple[str, TopicPartition], int] = {}
        for group, offsets in committed.items():
            for topic in {place.topic for place in offsets}:
                for number in self._consumer.partitions_for_topic(topic) or ():
                    place = TopicPartition(topic, number)
                    # a partition nothing was committed of may have all of its records to be read
                    wanted[group, place] = max(0, getattr(offsets.get(place), "offset", 0))
        ends = self._consumer.end_offsets(list({place for _, place in wanted})) if wanted else {}
        return {
            (group, place.topic, place.partition): (offset, ends[place]) for (group, place), offset in wanted.items()
        }

    def behind(self) -> dict[tuple[str, str, int], int]:
        """Where records are left to be read, and how many."""
        return {name: end - offset for name, (offset, end) in self.places().items() if end > offset}

    def close(self) -> None:
        self._admin.close()
        self._consumer.close()


def books_of(providers: Mapping[str, str]) -> Books:
    """Every provider's own truth, from the addresses given by name."""
    books = {}
    for name, address in providers.items():
        with urllib.request.urlopen(f"{address}/control/book", timeout=_BOOK_SECONDS) as answer:
            books[name] = json.load(answer)
    return books


def deliveries_of(files: Iterable[Path]) -> list[Delivery]:
    """All attempts to notify us, from the logs of whoever made them."""
    fields = ("provider", "merchant", "method", "query", "sha256", "status")
    lines = (json.loads(line) for file in files for line in file.read_text("utf-8").splitlines() if line)
    return [Delivery(**{name: line[name] for name in fields}) for line in lines]
