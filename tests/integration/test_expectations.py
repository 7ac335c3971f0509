"""The view of what the shops expect, on a real Kafka: topics that come late or grow, and a directory that is shared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewPartitions, NewTopic

from paynotify.processors.orders import expectation_cache
from paynotify.processors.orders.expectation_cache import ExpectationCache
from tests.integration.conftest import Installation

pytestmark = pytest.mark.kafka


def write(installation: Installation, order: str, partition: int = 0) -> None:
    value = {
        "merchant": "shop-uk",
        "order_id": order,
        "amount": {"value": 1000, "currency": "GBP"},
        "created_at": "2026-06-01T12:00:00Z",
    }
    producer = KafkaProducer(bootstrap_servers=installation.kafka)
    producer.send(installation.topic("payments.expected"), orjson.dumps(value), partition=partition).get(10)
    producer.close()


async def change(installation: Installation, what: Callable[[Any], Any]) -> None:
    admin = KafkaAdminClient(bootstrap_servers=installation.kafka)
    try:
        await asyncio.to_thread(what, admin)
    finally:
        admin.close()


@asynccontextmanager
async def reading(installation: Installation) -> AsyncIterator[ExpectationCache]:
    settings = {"bootstrap_servers": installation.kafka}
    view = ExpectationCache(settings, installation.topic("payments.expected"), installation.state_directory, 3600)
    view.start()
    yield view
    await view.stop()


async def known(view: ExpectationCache, *orders: str) -> None:
    """Wait until the view knows the orders."""
    async with asyncio.timeout(30):
        await view.ready()
        while not all(view.of("shop-uk", "p", order) for order in orders):
            await asyncio.sleep(0.05)


async def test_topic_that_comes_late_and_grows_is_read_whole(
    bare_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expectation_cache, "_PARTITION_CHECK_SECONDS", 0.2)
    monkeypatch.setattr(expectation_cache, "_RETRY_SECONDS", 0.2)
    topic = bare_installation.topic("payments.expected")
    async with reading(bare_installation) as view:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(view.ready(), 3)
        await change(bare_installation, lambda admin: admin.create_topics([NewTopic(topic, 1, 1)]))
        await asyncio.to_thread(write, bare_installation, "first")
        await known(view, "first")
        await change(bare_installation, lambda admin: admin.create_partitions({topic: NewPartitions(3)}))
        await asyncio.to_thread(write, bare_installation, "second", 2)
        await known(view, "first", "second")


async def test_two_that_share_a_directory_both_read_on(installation: Installation) -> None:
    write(installation, "first")
    async with reading(installation) as one, reading(installation) as other:
        await known(one, "first")
        await known(other, "first")
        await asyncio.to_thread(write, installation, "second", 1)
        await known(one, "second")
        await known(other, "second")
