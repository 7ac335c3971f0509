"""A unit of work: one stage for one provider, as a Faust app of its own.

Each unit has its own consumer group, so that a rebalance, a stall or an outage in one never stops another, and so
that units can be spread over processes in any way without a group changing its members' topics. All units of one
process share its event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import faust

from processors.metrics import Metrics
from processors.runtime import batches
from processors.runtime.failpoints import Reached
from processors.runtime.loop import Stage, StageLoop
from processors.runtime.timers import TimerService
from processors.state.changelog import Changelog
from processors.state.local_store import FIRST_KEY, LocalStore
from processors.state.partition_state import PartitionState, RetentionPolicy
from processors.transport.faust_driver import FaustTransport, FlowControl
from processors.transport.publisher import OutputPublisher
from schemas import topics
from schemas.configuration.model import Configuration, KafkaSettings
from schemas.errors import PartitionRevokedError, StateUnavailableError
from service.kafka_client import client_settings
from service.kafka_credentials import password, tls
from service.logs import event

logger = logging.getLogger("paynotify.unit")

_HOUR_SECONDS: Final = 3600.0

_CLAIM_AGAIN_SECONDS: Final = 2.0

#: How long brokers may take to answer before the connection is given up. One that is open but dead shows by nothing
#: else; commit, fetch and publish each wait so long for it. (Heartbeats: see `processors.transport.group_coordinator`.)
REQUEST_SECONDS: Final = 10.0

#: How long Faust may take to go back to the committed offsets after a rebalance. When that time is over it ends the
#: task that does so, for good: no partition of the unit would ever be read again. Each request has its own time-out.
_RESUME_SECONDS: Final = 30 * 24 * _HOUR_SECONDS

#: How long the others of a group wait for a member that lives but does not join again, before they go on without it.
#: A batch at work may take twenty of them to end well.
_REBALANCE_SECONDS: Final = 30.0
_TICK_SECONDS: Final = 1.0
#: Few: all of them may have to be compressed, and nothing else is done meanwhile.
_REVIEWED_AT_A_TIME: Final = 50

#: Records taken over from the client at a time; a partition's buffer is six times as large.
_MOST_FETCHED: Final = 250


@dataclass(frozen=True, slots=True)
class StageSpec:
    """What a unit does: a stage over its source topics. All stateful work of a unit shares one state.

    It is ``repeatable`` where the same records and state give the same outputs, at any time and in any process. With a
    ``clock`` the state's agenda is looked at every second; with ``keeping`` what is kept for too long is shortened or
    removed, in passes over all of the state.
    """

    stage: Stage
    sources: tuple[str, ...]
    batch_records: int
    stateful: bool = False
    repeatable: bool = False
    state_seconds: int | None = None
    clock: TimerService | None = None
    keeping: RetentionPolicy | None = None


class StageRunner:
    """One Faust app with its loops."""

    def __init__(
        self,
        name: str,
        works: tuple[StageSpec, ...],
        configuration: Configuration,
        metrics: Metrics,
        state_directory: Path,
        reached: Reached,
        loop_kind: type[StageLoop] = StageLoop,
    ) -> None:
        self.name = name
        self._loop_kind = loop_kind
        self.group = f"{configuration.kafka.topic_prefix}paynotify.{name}"
        self.loops: dict[tuple[str, int], StageLoop] = {}
        self._works = works
        self._metrics = metrics
        self._reached = reached
        self._kafka = configuration.kafka
        self._sandbox = configuration.sandbox
        stateful = [work for work in works if work.stateful]
        self._stateful_sources = frozenset(topic for work in stateful for topic in work.sources)
        self._state_seconds = stateful[0].state_seconds if stateful else None
        self._states: dict[int, PartitionState] = {}
        self._state_directory = state_directory / self.group / "state"
        self._claims: set[asyncio.Task[None]] = set()
        self._wait_seconds = configuration.worker.batch_wait_seconds
        longest_wait_seconds = max(configuration.worker.retry_delays_seconds)
        self.app = _app(configuration, self.group, state_directory, works, longest_wait_seconds)
        self._publisher = OutputPublisher(_Sender(self.app))
        for work in works:
            self._add(work)
        self.app.on_partitions_assigned.connect(self._claim_assigned)

    @property
    def failed(self) -> bool:
        """Whether it has ended for good: Faust gave up, or the sender of its producer did, and nothing gets out."""
        return bool(self.app.crashed or self.app.should_stop or self.app.producer.sender_ended)

    @property
    def source_topics(self) -> tuple[str, ...]:
        return tuple(topic for work in self._works for topic in work.sources)

    def _add(self, work: StageSpec) -> None:
        for source in work.sources:
            topic = self.app.topic(
                source, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
            )
            self.app.agent(topic, name=f"{self.name}:{source}", isolated_partitions=True)(self._agent(work, source))

    def _agent(self, work: StageSpec, source: str) -> Any:
        def loop_of(partition: int) -> StageLoop:
            loop = self.loops.get((source, partition))
            if loop is None:
                loop = self.loops[source, partition] = self._loop(work, partition)
            return loop

        async def run(stream: Any) -> None:
            await batches.run(loop_of, stream, self.app, work.batch_records, self._wait_seconds)

        return run

    def _loop(self, work: StageSpec, partition: int) -> StageLoop:
        return self._loop_kind(
            work.stage,
            self._publisher,
            self._metrics,
            state=self._state(partition) if work.stateful else None,
            reached=self._reached,
        )

    def _state(self, partition: int) -> PartitionState:
        state = self._states.get(partition)
        if state is None:
            settings = {
                **client_settings(self._kafka, self.group),
                "request_timeout_ms": round(REQUEST_SECONDS * 1000),
            }
            topic = self._kafka.topic(topics.changelog(self.name))
            state = self._states[partition] = PartitionState(
                LocalStore(self._state_directory / str(partition), self._state_seconds),
                Changelog(settings, topic, partition, sandbox=self._sandbox),
                self._generation,
                repeatable=self._repeatable(),
            )
        return state

    def _repeatable(self) -> bool:
        """Whether all of the work that shares the state is."""
        return all(work.repeatable for work in self._works if work.stateful)

    def _generation(self) -> int | None:
        """The group's generation of now; none where another may have our partitions without our knowing."""
        return int(self.app.consumer_generation_id) if self.app.consumer.confirmed else None

    def _stateful(self, places: Iterable[tuple[str, int]]) -> set[int]:
        """The partitions among these source partitions for which there is a state."""
        return {partition for topic, partition in places if topic in self._stateful_sources}

    def _claim_assigned(self, sender: Any, assigned: set[Any], **_: Any) -> None:
        """Claim states before the first record comes, so that a partition that waits for one is ready for it."""
        generation = self.app.consumer_generation_id
        partitions = self._stateful(assigned)
        for partition in partitions:
            self._beside(self._claim(self._state(partition), generation))
        for partition in self._states.keys() - partitions:
            self._beside(self._states[partition].release())

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._claims.add(task)
        task.add_done_callback(self._claims.discard)

    async def _claim(self, state: PartitionState, generation: int) -> None:
        """Until it is there, or the group has moved on: a partition without records is not tried by any batch."""
        while self.app.consumer_generation_id == generation and not self.app.should_stop:
            try:
                await state.claim(generation)
                return
            except Exception as error:  # noqa: BLE001 - whatever it was, it is tried again
                told = isinstance(error, PartitionRevokedError | StateUnavailableError)
                problem = str(error) if told else type(error).__name__
                event(logger, "state_not_acquired", level=logging.WARNING, problem=problem)
            await asyncio.sleep(_CLAIM_AGAIN_SECONDS)

    async def _tell_time(self, clock: TimerService) -> None:
        """Publish what is due in the states held. Told twice, or by one who has lost the partition, does no harm."""
        while not self.app.should_stop:
            await asyncio.sleep(_TICK_SECONDS)
            generation = self.app.consumer_generation_id
            for partition, state in list(self._states.items()):
                if not state.held(generation):
                    continue
                try:
                    await self._publisher.publish(clock.tell(partition, state))
                except Exception as error:  # noqa: BLE001 - whatever it was, the next second tries again
                    event(logger, "timers_not_published", level=logging.WARNING, problem=type(error).__name__)
            clock.forget_lost()

    async def _look_through(self, keeping: RetentionPolicy) -> None:
        """Review the states held, some of each every second, and again some time after a pass has ended."""
        after: dict[int, bytes] = {}
        resting_until: dict[int, float] = {}
        while not self.app.should_stop:
            await asyncio.sleep(_TICK_SECONDS)
            generation = self.app.consumer_generation_id
            for partition, state in list(self._states.items()):
                now = asyncio.get_running_loop().time()
                if not state.held(generation) or now < resting_until.get(partition, 0.0):
                    continue
                try:
                    last = await state.review(generation, keeping, after.get(partition, FIRST_KEY), _REVIEWED_AT_A_TIME)
                except Exception as error:  # noqa: BLE001 - whatever it was, a later second tries again
                    event(logger, "retention_pass_failed", level=logging.WARNING, problem=type(error).__name__)
                    # a partition without records is not claimed again by any batch
                    self._beside(self._claim(state, generation))
                    continue
                after[partition] = last or FIRST_KEY
                if last is None:
                    resting_until[partition] = now + keeping.rests_seconds

    def recovering(self) -> bool:
        """Whether some assigned partition's state is not there yet."""
        generation = self.app.consumer_generation_id
        return not all(
            partition in self._states and self._states[partition].held(generation)
            for partition in self._stateful(self.assigned())
        )

    def assigned(self) -> list[tuple[str, int]]:
        """The source partitions this process works on now."""
        consumer = self.app.consumer
        sources = set(self.source_topics)
        return sorted((tp.topic, tp.partition) for tp in consumer.assignment() if tp.topic in sources)

    def moved_at(self, source: str, partition: int) -> float:
        """When the partition last showed progress: its batch, or the recovery of its state (monotonic)."""
        loop, state = self.loops.get((source, partition)), self._states.get(partition)
        return max(loop.progress.moved_at if loop else 0.0, state.moved_at if state else 0.0)

    async def start(self) -> None:
        """Join the group and begin; state is recovered before the first batch."""
        self.app.finalize()
        await self.app.start()
        for work in self._works:
            if work.clock is not None:
                self._beside(self._tell_time(work.clock))
            if work.keeping is not None:
                self._beside(self._look_through(work.keeping))

    async def stop(self) -> None:
        """Finish what is at work, commit, leave the group."""
        await self.app.stop()
        for task in self._claims:
            task.cancel()
        await asyncio.gather(*self._claims, return_exceptions=True)
        await asyncio.gather(*(state.close() for state in self._states.values()), return_exceptions=True)


class _Sender:
    """The app's producer, which exists only once the app has started."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def send(self, topic: str, key: Any, value: Any, partition: Any, timestamp: Any, headers: Any) -> Any:
        return await self._app.producer.send(topic, key, value, partition, timestamp, headers)


def _app(
    configuration: Configuration,
    group: str,
    state_directory: Path,
    works: tuple[StageSpec, ...],
    longest_wait_seconds: float,
) -> Any:
    kafka, worker = configuration.kafka, configuration.worker
    fetched = min(_MOST_FETCHED, max(work.batch_records for work in works))
    data_directory = state_directory / group
    data_directory.mkdir(parents=True, exist_ok=True)
    instance = f"{worker.group_instance_id}.{group}" if worker.group_instance_id else None
    app = faust.App(
        group,
        broker=[f"kafka://{server.strip()}" for server in kafka.bootstrap_servers.split(",")],
        broker_credentials=_credentials(kafka),
        datadir=str(data_directory),
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=instance,
        broker_session_timeout=worker.session_timeout_seconds,
        broker_rebalance_timeout=max(_REBALANCE_SECONDS, worker.session_timeout_seconds),
        broker_heartbeat_interval=worker.session_timeout_seconds / 4,
        broker_request_timeout=_RESUME_SECONDS,
        broker_max_poll_interval=longest_wait_seconds * 2 + _HOUR_SECONDS,
        broker_commit_interval=1.0,
        broker_max_poll_records=fetched,
        # A partition whose buffer is four fifths full is no longer fetched, but what was fetched must still fit: a
        # full buffer stops all the unit's partitions, and one that waits for a retry's time would stop them for hours.
        stream_buffer_maxsize=fetched * 6,
        stream_wait_empty=False,
        # a retry topic stands still for as long as its delay; health is judged elsewhere, by offsets
        stream_processing_timeout=longest_wait_seconds * 2 + _HOUR_SECONDS,
        producer_request_timeout=REQUEST_SECONDS,
        producer_acks=-1,
        producer_linger_ms=1,
        producer_max_batch_size=256 * 1024,
        producer_max_request_size=topics.RESPONSE_BYTES,
    )
    app.transport = FaustTransport(app.conf.broker_consumer, app)
    app.flow_control = FlowControl()
    return app


def _credentials(kafka: KafkaSettings) -> Any:
    context = tls(kafka)
    if kafka.sasl_mechanism is not None:
        return faust.SASLCredentials(
            username=kafka.sasl_plain_username,
            password=password(kafka),  # type: ignore[arg-type]  # Faust only hands it on to aiokafka's connections
            mechanism=kafka.sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context=context) if context is not None else None
