"""Reads every topic independently of the system: counts, last statuses and latencies from the records themselves."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson
from kafka import KafkaConsumer, TopicPartition

from paynotify.schemas import messages, topics
from paynotify.schemas.providers import provider_names

#: The rows of the live table in the order of the flow, each with its topics.
STAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "received": tuple(topics.notifications(provider) for provider in provider_names()),
    "duplicate": (topics.DUPLICATES,),
    "rejected": (topics.REJECTED,),
    "lookups": tuple(topics.lookups(provider) for provider in provider_names()),
    "waiting": tuple(topics.retry(provider, step) for provider in provider_names() for step in range(1, 6)),
    "dead": (topics.DEAD,),
    "responses": tuple(topics.responses(provider) for provider in provider_names()),
    "observations": (topics.OBSERVATIONS,),
    "results": (topics.STATUS,),
    "overdue": (topics.OVERDUE,),
}


@dataclass(slots=True)
class ObservedPayment:
    """What was observed of one payment on the result topic."""

    events: dict[str, bytes] = field(default_factory=dict)
    sequences: list[int] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)


class Observer:
    """Reads all topics from the beginning. It commits no offsets and uses no counter of the system."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._bootstrap, self._prefix = bootstrap, prefix
        self._consumer: Any = None
        self.counts: Counter[str] = Counter()
        self.received: dict[str, set[str]] = defaultdict(set)
        self.duplicates: dict[str, set[str]] = defaultdict(set)
        self.rejected: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.looked_up: dict[str, set[str]] = defaultdict(set)
        self.lookups: dict[str, set[str]] = defaultdict(set)
        self.settlement_lookups: dict[str, set[str]] = defaultdict(set)
        self.dead: Counter[tuple[str, str]] = Counter()
        self.payments: dict[str, ObservedPayment] = defaultdict(ObservedPayment)
        self.latencies: dict[str, list[float]] = defaultdict(list)
        self.overdue: dict[str, list[str]] = defaultdict(list)
        self._overdue_ids: set[str] = set()
        self.repeats = 0
        self.contradictions: list[str] = []
        self._received_seconds: dict[str, float] = {}
        self._waiting_for_receipt: list[tuple[str, str, float]] = []

    def start(self) -> None:
        """Assign all partitions of all topics, which must exist already."""
        self._consumer = KafkaConsumer(
            bootstrap_servers=self._bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        names = [self._prefix + name for stage in STAGES.values() for name in stage]
        self._consumer.assign(
            [TopicPartition(name, part) for name in names for part in self._consumer.partitions_for_topic(name) or ()]
        )

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()

    def read(self, timeout_seconds: float = 0.2) -> int:
        """Read the available records; returns their number."""
        batches = self._consumer.poll(timeout_ms=int(timeout_seconds * 1000), max_records=5000)
        for place, records in batches.items():
            name = place.topic.removeprefix(self._prefix)
            self.counts[name] += sum(not _is_timer(record) for record in records)
            for record in records:
                self.add(name, record)
        return sum(map(len, batches.values()))

    def stage_counts(self) -> dict[str, int]:
        """Records so far by stage."""
        return {stage: sum(self.counts[name] for name in names) for stage, names in STAGES.items()}

    def add(self, name: str, record: Any) -> None:
        """Add one record of the topic ``name`` (without prefix)."""
        headers = {key: value.decode("utf-8", "replace") for key, value in record.headers}
        kind, _, provider = name.partition(".")
        if name == topics.STATUS:
            self._result(record, headers)
        elif name == topics.REJECTED:
            self.rejected[_provider_of(headers), headers.get("reason", "?")].add(headers["ce_id"])
        elif name == topics.OVERDUE:
            if headers["ce_id"] not in self._overdue_ids:
                self._overdue_ids.add(headers["ce_id"])
                self.overdue[record.key.decode()].append(orjson.loads(record.value)["state"])
        elif name == topics.DUPLICATES:
            self.duplicates[_provider_of(headers)].add(headers["ce_id"])
        elif name == topics.DEAD:
            self.dead[_provider_of(headers), headers.get("reason", "?")] += 1
        elif kind == "lookups" and provider in provider_names():
            lookup = orjson.loads(record.value)
            self.lookups[provider].add(headers["ce_id"])  # a delayed lookup comes back here
            self.looked_up[provider].add(lookup["notification_id"])
            if lookup["arguments"].get(messages.CAUSE) == messages.SETTLEMENT_DUE:
                self.settlement_lookups[provider].add(headers["ce_id"])
        elif kind == "notifications":
            self.received[provider].add(headers["ce_id"])
            received = datetime.fromisoformat(headers["ce_time"]).timestamp()
            self._received_seconds[_trace(headers)] = received

    def _result(self, record: Any, headers: Mapping[str, str]) -> None:
        event = orjson.loads(record.value)
        payment = self.payments[f"{event['merchant']}/{event['payment_id']}"]
        event_id, sequence = event["event_id"], event["sequence"]
        if event_id in payment.events:
            self.repeats += 1
            if payment.events[event_id] != record.value:
                self.contradictions.append(f"{event['payment_id']}: event {event_id} was published with two contents")
            return
        if sequence != len(payment.sequences) + 1:
            self.contradictions.append(f"{event['payment_id']}: sequence {sequence} after {payment.sequences}")
        payment.events[event_id] = record.value
        payment.sequences.append(sequence)
        payment.last = event
        self._waiting_for_receipt.append((event["provider"], _trace(headers), record.timestamp / 1000))

    def measured(self) -> dict[str, list[float]]:
        """The seconds from the receipt of a notification to each of its results, by provider, sorted."""
        waiting, self._waiting_for_receipt = self._waiting_for_receipt, []
        for provider, trace, published in waiting:
            received = self._received_seconds.get(trace)
            if received is None:
                self._waiting_for_receipt.append((provider, trace, published))
            else:
                self.latencies[provider].append(max(0.0, published - received))
        return {provider: sorted(values) for provider, values in self.latencies.items()}

    def unaccounted(self) -> Iterator[str]:
        """Stored notifications that did not become exactly one of lookup, duplicate and rejected."""
        for provider, received in self.received.items():
            rejected = set[str]().union(*(ids for (name, _), ids in self.rejected.items() if name == provider))
            ends = Counter((*rejected, *self.duplicates[provider], *self.looked_up[provider]))
            for notification in received:
                if ends[notification] != 1:
                    yield f"{provider} notification {notification} ended {ends[notification]} times"

    def events(self) -> Iterator[str]:
        """The id of each distinct result event."""
        for payment in self.payments.values():
            yield from payment.events


def quantile(values: list[float], share: float) -> float:
    """The value that a ``share`` of the sorted values does not exceed; 0 if there are none."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def _is_timer(record: Any) -> bool:
    """Whether the record only says that a timer of the topic's stage is due."""
    return ("ce_type", messages.TIME_REACHED.encode()) in record.headers


def _provider_of(headers: Mapping[str, str]) -> str:
    return next((one for one in provider_names() if one in headers.get("original-topic", "")), "?")


def _trace(headers: Mapping[str, str]) -> str:
    return headers.get("traceparent", "")[3:35]
