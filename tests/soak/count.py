"""What became of everything that was accepted, counted from the topics, the providers' books and the log of answers.

It shares nothing with the product but the topics' names, and keeps only a digest of each record: it is meant for
hours of notifications.
"""

from __future__ import annotations

import hashlib
import json
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition

from paynotify.schemas import topics
from paynotify.schemas.providers import provider_names

_NOTIFICATIONS: Final = tuple(map(topics.notifications, provider_names()))
_ENDS: Final = (topics.REJECTED, topics.DEAD)
_POLL_MILLISECONDS: Final = 500
_LOOK_SECONDS: Final = 5.0
_BOOK_SECONDS: Final = 120.0
_MONEY: Final = ("captured", "partially_refunded", "refunded", "charged_back")


@dataclass(slots=True)
class Count:
    """What was found. All of ``wrong`` must be empty."""

    accepted: int
    payments: int
    events: int
    repeats: int
    rejected: int
    dead: int
    seconds: float
    wrong: dict[str, list[str]] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        return not any(self.wrong.values())


class Accountant:
    """Reads on and on, and judges when asked."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._prefix = prefix
        self._consumer = KafkaConsumer(
            bootstrap_servers=bootstrap.split(","),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_poll_records=5000,
            fetch_max_bytes=16 * 1024 * 1024,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        self._places = [
            TopicPartition(prefix + name, number)
            for name in (*_NOTIFICATIONS, *_ENDS, topics.STATUS)
            for number in sorted(self._consumer.partitions_for_topic(prefix + name) or ())
        ]
        self._consumer.assign(self._places)
        self._stored: Counter[tuple[str, ...]] = Counter()
        self._ended: Counter[str] = Counter()
        self._last: dict[str, tuple[int, str, bytes]] = {}
        self._events = self._repeats = 0
        self._backwards: list[str] = []

    def read(self) -> None:
        """What lies on the topics now and was not read before."""
        ends = self._consumer.end_offsets(self._places)
        while any(self._consumer.position(place) < end for place, end in ends.items()):
            for place, records in self._consumer.poll(timeout_ms=_POLL_MILLISECONDS).items():
                name = place.topic.removeprefix(self._prefix)
                for record in records:
                    self._take(name, record)

    def _take(self, name: str, record: Any) -> None:
        if name == topics.STATUS:
            self._event(record.key.decode(), record.value)
        elif name in _ENDS:
            self._ended[name] += 1
        else:
            headers = {key: value.decode() for key, value in record.headers}
            merchant = headers["ce_source"].rpartition("/")[2]
            self._stored[merchant, headers.get("http-query", ""), _digest(record.value)] += 1

    def _event(self, key: str, value: bytes) -> None:
        event = json.loads(value)
        sequence, status = event["sequence"], event["status"]
        digest = hashlib.sha256(value).digest()[:8]
        last = self._last.get(key)
        if last is not None and sequence == last[0] and digest == last[2]:
            self._repeats += 1
            return
        if sequence != (last[0] if last else 0) + 1 or event["previous_status"] != (last[1] if last else None):
            self._backwards.append(f"{key}: {sequence} ({status}) after {last[:2] if last else None}")
        if last is not None and last[1] in _MONEY and status not in _MONEY:
            self._backwards.append(f"{key}: {status} after {last[1]}")
        self._events += 1
        self._last[key] = (sequence, status, digest)

    def judge(self, providers: Mapping[str, str], logs: Sequence[Path], within_seconds: float) -> Count:
        """Wait until every payment has its provider's status, at most so long, and say what is wrong then."""
        began = time.monotonic()
        while True:
            # in this order: what is accepted or paid meanwhile may be on the topics, but need not be
            accepted = _accepted(logs)
            truths = _truths(providers)
            self.read()
            unlike = [
                f"{name}: {status} at the provider, {self._published(name)} published"
                for name, status in truths.items()
                if self._published(name) != status
            ]
            seconds = time.monotonic() - began
            if not unlike or seconds > within_seconds:
                break
            time.sleep(_LOOK_SECONDS)
        lost = [" ".join(one) for one in (accepted - self._stored).elements()]
        return Count(
            accepted=accepted.total(),
            payments=len(truths),
            events=self._events,
            repeats=self._repeats,
            rejected=self._ended[topics.REJECTED],
            dead=self._ended[topics.DEAD],
            seconds=round(seconds, 1),
            wrong={
                "accepted and not stored": lost,
                "without the provider's final status": unlike,
                "gaps, or statuses that went backwards": self._backwards,
            },
        )

    def _published(self, payment: str) -> str | None:
        return self._last[payment][1] if payment in self._last else None

    def close(self) -> None:
        self._consumer.close()


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


def _truths(providers: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for address in providers.values():
        with urllib.request.urlopen(f"{address}/control/book", timeout=_BOOK_SECONDS) as answer:
            for name, truth in json.load(answer)["payments"].items():
                found[f"{truth['merchant']}/{name}"] = truth["status"]
    return found


def _accepted(logs: Sequence[Path]) -> Counter[tuple[str, ...]]:
    found: Counter[tuple[str, ...]] = Counter()
    for path in logs:
        with path.open(encoding="utf-8") as file:
            for line in file:
                one = json.loads(line)
                if one["status"] == 200:
                    found[one["merchant"], one["query"], one["sha256"][:16]] += 1
    return found
