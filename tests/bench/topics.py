"""How many records are on a topic, and topics for the peers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as Place
from kafka import KafkaConsumer, TopicPartition

from paynotify.sandbox.system import Sandbox
from tests.fakes.configurations import create_topics


class Topics:
    """Looks at the ends of a sandbox's topics, as a context manager. Every topic here starts empty at offset 0."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._consumer = KafkaConsumer(bootstrap_servers=sandbox.bootstrap, enable_auto_commit=False)

    def __enter__(self) -> Topics:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._consumer.close()

    def count(self, name: str) -> int:
        """Records ever written to the topic (its name without the prefix)."""
        return sum(self.by_partition(name))

    def by_partition(self, name: str) -> list[int]:
        """The same for each partition."""
        topic = self._sandbox.topic(name)
        places = [TopicPartition(topic, number) for number in range(self._sandbox.plan.partitions)]
        found = self._consumer.end_offsets(places)
        return [found[place] for place in places]


def create_topic(sandbox: Sandbox, name: str) -> str:
    """A topic for a peer, like those of the system; its name on the cluster."""
    topic = sandbox.topic(name)
    create_topics(sandbox.bootstrap, topic, partitions=sandbox.plan.partitions)
    return topic


def records(sandbox: Sandbox, topic: str) -> Sequence[Any]:
    """Every record on the topic (its name on the cluster); aiokafka reads whatever codec a peer compresses with."""
    places = [Place(topic, number) for number in range(sandbox.plan.partitions)]
    return asyncio.run(_records(sandbox.bootstrap, places))


async def _records(bootstrap: str, places: Sequence[Place]) -> list[Any]:
    found: list[Any] = []
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        missing = sum((await consumer.end_offsets(places)).values())
        while len(found) < missing:
            for more in (await consumer.getmany(timeout_ms=1000)).values():
                found += more
    return found
