"""Records reach a stage in time on a real Kafka, whatever the consumer's other partitions do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from aiokafka import AIOKafkaProducer

from paynotify.processors.runtime.partition_loops import LoopSettings
from paynotify.processors.runtime.runner import StageRunner
from paynotify.processors.runtime.stage import BatchContext, StageSpec
from paynotify.processors.transport import patches
from paynotify.processors.transport.brokers_clock import BrokersClock
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.worker import DeadLetterLimit
from paynotify.schemas.records import Output, Record
from tests.fakes import configurations
from tests.fakes.stages import metrics

pytestmark = pytest.mark.kafka

#: As long as a slow provider takes; aiokafka makes room for other partitions' fetches after a tenth of a second.
BATCH_SECONDS: Final = 0.25
RECORDS: Final = 200
PAUSE_SECONDS: Final = 0.02
BATCH_RECORDS: Final = 100


class SlowStage:
    """Takes as long for each batch, and notes how long each record had waited for it."""

    name, provider = "slow", "toy"

    def __init__(self) -> None:
        self.waited: list[float] = []

    async def process(self, context: BatchContext) -> Sequence[Output]:
        self.waited += [time.time() - one.timestamp_seconds for one in context.records]
        await asyncio.sleep(BATCH_SECONDS)
        return []

    def dead_letter(self, record: Record) -> Output:
        raise AssertionError(record)

    async def processed(self, records: int) -> None:
        """Returns when so many records are."""
        while len(self.waited) < records:
            await asyncio.sleep(0.1)


@asynccontextmanager
async def running(
    kafka: str, topic_prefix: str, directory: Path, stage: SlowStage
) -> AsyncIterator[tuple[StageRunner, Callable[[bytes], Awaitable[object]]]]:
    """A runner of the stage with its records so far processed, and what writes a record for it to one partition."""
    patches.install(faust=True)
    source = f"{topic_prefix}source"
    configurations.create_topics(kafka, source, partitions=2)
    configuration = load(configurations.write(directory, configurations.document(kafka, topic_prefix, directory)))
    specs = (StageSpec(stage, (source,), BATCH_RECORDS),)
    settings = LoopSettings(0.005, DeadLetterLimit())
    runner = StageRunner("slow.toy", specs, configuration, metrics(), directory, settings, BrokersClock())
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    await runner.start()
    try:
        async with asyncio.timeout(60):
            await producer.send_and_wait(source, b"first", partition=0)
            await stage.processed(1)
            yield runner, partial(producer.send_and_wait, source, partition=0)
    finally:
        await runner.stop()
        await producer.stop()


async def test_busy_partition_never_waits_for_an_idle_one(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    stage = SlowStage()
    async with running(kafka, topic_prefix, tmp_path, stage) as (_, write):
        stage.waited.clear()
        for _ in range(RECORDS):
            await write(b"value")
            await asyncio.sleep(PAUSE_SECONDS)
        await stage.processed(RECORDS)
    assert max(stage.waited) < 4 * BATCH_SECONDS


async def test_stream_that_ends_after_a_rebalance_costs_no_other_one(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    stage = SlowStage()
    async with running(kafka, topic_prefix, tmp_path, stage) as (runner, write):
        conductor, generation = runner.app.topics, runner.app.consumer_generation_id
        conductor._resubscribe_sleep_lock_seconds = 0.0
        conductor._subscription_done = None
        conductor._flag_changes()  # as the end of a stream does
        await conductor.maybe_wait_for_subscriptions()
        # the group would rebalance before the partition is read again
        await write(b"second")
        await stage.processed(2)
        assert runner.app.consumer_generation_id == generation
