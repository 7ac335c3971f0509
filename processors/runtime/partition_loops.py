"""The stage loops of one consumer group's partitions, the states they own, and what runs beside them.

Independent of Faust: the runner connects it to the group, and the simulation to a simulated one.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paynotify.processors.metrics import Metrics
from paynotify.processors.runtime import batches
from paynotify.processors.runtime.failpoints import Reached, ignore
from paynotify.processors.runtime.loop import StageLoop
from paynotify.processors.runtime.membership import Membership
from paynotify.processors.runtime.ownership import StateOwnership
from paynotify.processors.runtime.periodic import apply_retention, publish_due_timers
from paynotify.processors.runtime.stage import StageSpec
from paynotify.processors.state.changelog import Changelog
from paynotify.processors.state.partition_state import PartitionState
from paynotify.processors.state.store import StateStore
from paynotify.processors.transport.publisher import OutputPublisher
from paynotify.processors.transport.streams import RecordStream
from paynotify.schemas.configuration.worker import DeadLetterLimit
from paynotify.service.card_guard import CardGuard
from paynotify.service.value_cipher import ValueCipher

if TYPE_CHECKING:
    from paynotify.service.span_exporter import SpanExporter

#: Creates the changelog and the local store of a partition.
CreateStorage = Callable[[int], tuple[StateStore, Changelog]]


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """What all loops of a process have in common. Tests inject ``loop_class`` and ``reached``.

    ``cpu_share`` says how busy the process is, 1 being wholly.
    """

    batch_wait_seconds: float
    dead_letter_limit: DeadLetterLimit
    reached: Reached = ignore
    loop_class: type[StageLoop] = StageLoop
    traces: SpanExporter | None = None
    cipher: ValueCipher | None = None
    cards: CardGuard | None = None
    cpu_share: Callable[[], float] = lambda: 0.0


class PartitionLoops:
    """One loop for each source partition, created with its first record."""

    def __init__(
        self,
        specs: tuple[StageSpec, ...],
        membership: Membership,
        publisher: OutputPublisher,
        metrics: Metrics,
        settings: LoopSettings,
        create_storage: CreateStorage,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._specs = specs
        self._membership = membership
        self._publisher = publisher
        self._metrics = metrics
        self._settings = settings
        self._create_storage = create_storage
        self._spawn = spawn
        self._loops: dict[tuple[str, int], StageLoop] = {}
        self._stateful_sources = frozenset(source for spec in specs if spec.stateful for source in spec.sources)
        self._ownership = StateOwnership(membership, self._create_state, spawn)

    async def run(self, spec: StageSpec, source: str, stream: RecordStream) -> None:
        """Process the stream of one partition of the source until it ends or is cancelled."""

        def loop_of(partition: int) -> StageLoop:
            return self._loop_of(spec, source, partition)

        settings = self._settings
        await batches.run(
            loop_of, stream, self._membership, spec.batch_records, settings.batch_wait_seconds, settings.cpu_share
        )

    def _loop_of(self, spec: StageSpec, source: str, partition: int) -> StageLoop:
        loop = self._loops.get((source, partition))
        if loop is None:
            loop = self._loops[source, partition] = self._settings.loop_class(
                spec.stage,
                self._publisher,
                self._metrics,
                state=self._ownership.state(partition) if spec.stateful else None,
                reached=self._settings.reached,
                dead_letter_limit=self._settings.dead_letter_limit,
                traces=self._settings.traces,
                cipher=self._settings.cipher,
                cards=self._settings.cards,
            )
        return loop

    def _create_state(self, partition: int) -> PartitionState:
        store, changelog = self._create_storage(partition)
        deterministic = all(spec.deterministic for spec in self._specs if spec.stateful)
        return PartitionState(store, changelog, self._confirmed_generation, deterministic=deterministic)

    def _confirmed_generation(self) -> int | None:
        """The group's present generation; None while another may own our partitions without our knowing."""
        return self._membership.generation if self._membership.confirmed else None

    def _stateful(self, places: Iterable[tuple[str, int]]) -> set[int]:
        """The partitions among these source partitions that have a state."""
        return {partition for topic, partition in places if topic in self._stateful_sources}

    def assigned(self, places: Iterable[tuple[str, int]]) -> None:
        """Acquire the states of newly assigned partitions; release all others."""
        self._ownership.assigned(self._stateful(places))

    def start_periodic(self) -> None:
        """Start timers and retention."""
        for spec in self._specs:
            if spec.timers is not None:
                self._spawn(
                    publish_due_timers(
                        spec.timers, self._ownership, self._membership, self._publisher, self._state_halted
                    )
                )
            if spec.retention is not None:
                self._spawn(apply_retention(spec.retention, self._ownership, self._membership))

    def _state_halted(self, partition: int) -> bool:
        return any(
            loop.halted is not None
            for (source, number), loop in self._loops.items()
            if number == partition and source in self._stateful_sources
        )

    def recovering(self, places: Iterable[tuple[str, int]]) -> bool:
        """Whether the state of some of these source partitions is not owned yet."""
        return not self._ownership.owns_all(self._stateful(places))

    def halted(self, places: Iterable[tuple[str, int]]) -> Mapping[tuple[str, int], str]:
        """Which of these source partitions have halted at their dead-letter limit, and why."""
        loops = ((place, self._loops.get(place)) for place in places)
        return {place: loop.halted for place, loop in loops if loop is not None and loop.halted is not None}

    def progressed_at(self, source: str, partition: int) -> float:
        """When the partition last showed progress: its batch, or the recovery of its state (monotonic)."""
        loop = self._loops.get((source, partition))
        return max(loop.progress.progressed_at if loop else 0.0, self._ownership.progressed_at(partition))

    def oldest_seconds(self, source: str, partition: int) -> float | None:
        """The Unix time of the oldest record in the partition's present batch, if any."""
        loop = self._loops.get((source, partition))
        return loop.progress.oldest_seconds if loop is not None else None

    async def close(self) -> None:
        """Close files and connections of all states."""
        await self._ownership.close()
