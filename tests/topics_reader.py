"""An observer that trusts nothing of the system under test: it reads whole topics with another client."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import orjson
from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

#: kafka-python's ConsumerRecord: topic, partition, offset, key, value, headers.
Record: TypeAlias = Any


def whole(kafka: str, *topics: str) -> list[Record]:
    """Every record that lies on the topics now, partition by partition in order."""
    consumer = KafkaConsumer(
        bootstrap_servers=kafka, auto_offset_reset="earliest", max_poll_records=5000, enable_auto_commit=False
    )
    try:
        places = [TopicPartition(topic, number) for topic in topics for number in _partitions(consumer, topic)]
        ends = consumer.end_offsets(places)
        begins = consumer.beginning_offsets(places)
        missing = {place for place in places if ends[place] > begins[place]}
        consumer.assign(sorted(missing))
        found: list[Record] = []
        while missing:
            for place, records in consumer.poll(timeout_ms=1000).items():
                found.extend(record for record in records if record.offset < ends[place])
            # not only where records came: what ends a transaction has an offset too
            missing = {place for place in missing if consumer.position(place) < ends[place]}
        return found
    finally:
        consumer.close()


def _partitions(consumer: Any, topic: str) -> Sequence[int]:
    known: set[int] | None = consumer.partitions_for_topic(topic)
    assert known, f"no such topic: {topic}"
    return sorted(known)


def counts(kafka: str, *topics: str) -> dict[str, int]:
    """How many offsets each topic has used so far."""
    consumer = KafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    try:
        places = [TopicPartition(topic, number) for topic in topics for number in _partitions(consumer, topic)]
        found: dict[str, int] = dict.fromkeys(topics, 0)
        for place, end in consumer.end_offsets(places).items():
            found[place.topic] += end
        return found
    finally:
        consumer.close()


def lag(kafka: str, group: str, *topics: str) -> int:
    """Records of the topics not yet committed by the group; asserts that there are records at all."""
    client = KafkaAdminClient(bootstrap_servers=kafka)
    consumer = KafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    try:
        places = [TopicPartition(topic, number) for topic in topics for number in _partitions(consumer, topic)]
        committed = client.list_group_offsets({group: places}).get(group, {})
        ends = consumer.end_offsets(places)
        assert any(ends.values()), f"nothing lies on {topics}"
        return sum(end - max(0, getattr(committed.get(place), "offset", 0)) for place, end in ends.items())
    finally:
        client.close()
        consumer.close()


#: A record to write: key, value and headers.
ToWrite: TypeAlias = tuple[bytes | None, bytes | None, dict[str, str]]
Records: TypeAlias = Iterable[ToWrite]


def send(kafka: str, topic: str, records: Records) -> int:
    """Write records; returns their number once the broker has all of them."""
    return asyncio.run(send_all(kafka, {topic: records}))


async def send_all(kafka: str, by_topic: Mapping[str, Records], codec: str | None = None) -> int:
    """Write the records of every topic with the batches compressed by ``codec``."""
    # aiokafka, because kafka-python compresses with libraries that are not installed
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, compression_type=codec, linger_ms=20, acks="all", max_request_size=2_000_000
    )
    await producer.start()
    try:
        sent = [
            await producer.send(topic, value, key, headers=[(name, text.encode()) for name, text in headers.items()])
            for topic, records in by_topic.items()
            for key, value, headers in records
        ]
        await asyncio.gather(*sent)
        return len(sent)
    finally:
        await producer.stop()


def header(record: Record, name: str) -> str:
    """The record's header as text; empty where there is none."""
    return next((value.decode() for key, value in record.headers if key == name), "")


def payments(records: Iterable[Record]) -> dict[str, list[dict[str, Any]]]:
    """The events of each payment by its key, each event once, in the order of their first appearance.

    Asserts what every consumer relies on: an id stands for one and the same content.
    """
    contents: dict[str, bytes] = {}
    events: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        event = orjson.loads(record.value)
        known = contents.setdefault(event["event_id"], record.value)
        assert known == record.value, f"one event id, two contents: {event['event_id']}"
        assert header(record, "ce_id") == event["event_id"]
        if known is record.value:
            events[record.key.decode()].append(event)
    return dict(events)
