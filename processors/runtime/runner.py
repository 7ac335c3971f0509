"""The stage runner: the stages of one consumer group, in a Faust app of its own.

A group runs one stage for one provider, or for all providers, with the stages that feed it. Each has its own group, so
that a rebalance, a stall or an outage in one never stops another, and stages can be distributed over processes in any
way without a group changing its members' topics. All runners of one process share its event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from paynotify.processors.metrics import Metrics
from paynotify.processors.runtime.faust_app import REQUEST_SECONDS, AppMembership, AppProducer, create_app
from paynotify.processors.runtime.partition_loops import LoopSettings, PartitionLoops
from paynotify.processors.runtime.stage import StageSpec
from paynotify.processors.state.changelog import Changelog
from paynotify.processors.state.rocksdb_store import RocksDBStore
from paynotify.processors.transport.brokers_clock import BrokersClock
from paynotify.processors.transport.publisher import OutputPublisher
from paynotify.schemas import topics
from paynotify.schemas.configuration.model import Configuration
from paynotify.service.kafka_client import client_settings
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.runner")


class StageRunner:
    """One Faust app with its loops."""

    def __init__(
        self,
        name: str,
        specs: tuple[StageSpec, ...],
        configuration: Configuration,
        metrics: Metrics,
        state_directory: Path,
        settings: LoopSettings,
        brokers_clock: BrokersClock,
    ) -> None:
        self.name = name
        self.group = configuration.kafka.stage_group(name)
        self._specs = specs
        self._configuration = configuration
        self._state_directory = state_directory / self.group / "state"
        self._state_seconds = next((spec.state_seconds for spec in specs if spec.stateful), None)
        self._tasks: set[asyncio.Task[None]] = set()
        self.app = create_app(configuration, self.group, state_directory, max(spec.batch_records for spec in specs))
        self._loops = PartitionLoops(
            specs,
            AppMembership(self.app),
            OutputPublisher(AppProducer(self.app), brokers_clock),
            metrics,
            settings,
            self._create_storage,
            self._spawn,
        )
        for spec in specs:
            self._add_agents(spec)
        self.app.on_partitions_assigned.connect(self._on_assigned)

    def _add_agents(self, spec: StageSpec) -> None:
        for source in spec.sources:
            topic = self.app.topic(
                source, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
            )
            self.app.agent(topic, name=f"{self.name}:{source}", isolated_partitions=True)(self._agent(spec, source))

    def _agent(self, spec: StageSpec, source: str) -> Any:
        async def run(stream: Any) -> None:
            # Faust takes a cancelled agent for a crashed one: it would start another for the revoked partition, and end
            # the app if two were cancelled within ten milliseconds
            with suppress(asyncio.CancelledError):
                await self._loops.run(spec, source, stream)

        return run

    def _create_storage(self, partition: int) -> tuple[RocksDBStore, Changelog]:
        kafka = self._configuration.kafka
        settings = {**client_settings(kafka, self.group), "request_timeout_ms": round(REQUEST_SECONDS * 1000)}
        topic = kafka.topic(topics.changelog(self.name))
        return (
            RocksDBStore(self._state_directory / str(partition), self._state_seconds),
            Changelog(settings, topic, partition, sandbox=self._configuration.sandbox),
        )

    def _on_assigned(self, sender: Any, assigned: set[Any], **_: Any) -> None:
        generation = int(self.app.consumer_generation_id)
        event(logger, "partitions_assigned", runner=self.name, generation=generation, partitions=len(assigned))
        self._loops.assigned(assigned)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def start(self) -> None:
        """Join the group and begin; state is recovered before the first batch."""
        self.app.finalize()
        await self.app.start()
        self._loops.start_periodic()

    async def stop(self) -> None:
        """Finish the batches in progress, commit, leave the group."""
        await self.app.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._loops.close()

    @property
    def source_topics(self) -> tuple[str, ...]:
        """The topics that the group consumes."""
        return tuple(topic for spec in self._specs for topic in spec.sources)

    @property
    def failed(self) -> bool:
        """Whether it has ended for good: Faust gave up, or its producer's sender did and nothing is published, or there
        is another cluster than the one that its records and states belong to."""
        app = self.app
        return bool(app.crashed or app.should_stop or app.producer.sender_ended or app.consumer.cluster_replaced)

    @property
    def waiting(self) -> bool:
        """Whether the group has not assigned any partition to this process yet."""
        return bool(self.app.rebalancing) or not self.assigned()

    def assigned(self) -> list[tuple[str, int]]:
        """The source partitions assigned to this process."""
        sources = set(self.source_topics)
        return sorted((tp.topic, tp.partition) for tp in self.app.consumer.assignment() if tp.topic in sources)

    def recovering(self) -> bool:
        """Whether the state of some assigned partition is not owned yet."""
        return self._loops.recovering(self.assigned())

    def halted(self) -> Mapping[tuple[str, int], str]:
        """The assigned partitions that have halted at their dead-letter limit, and why."""
        return self._loops.halted(self.assigned())

    def progressed_at(self, source: str, partition: int) -> float:
        """When the partition last showed progress (monotonic)."""
        return self._loops.progressed_at(source, partition)

    def oldest_seconds(self, source: str, partition: int) -> float | None:
        """The Unix time of the oldest record in the partition's present batch, if any."""
        return self._loops.oldest_seconds(source, partition)
