"""The loop every stage runs in, written once. It alone decides when something is durable (G6).

For each batch of one partition:

1. the batch is taken
2. the work is done on an in-memory overlay of the state
3. the outputs are acknowledged by the brokers
4. the state's changelog is acknowledged by the brokers
5. the local store is written
6. the source records are acknowledged, so their offsets may be committed

A crash after any step repeats the batch from step 1 with the state of before or of after it; both give the same
outputs. No exception leaves the loop: Faust would take it for an acknowledgement.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from processors.metrics import Metrics
from processors.runtime.failpoints import Failpoint, Reached, nothing
from processors.runtime.progress import Progress, current
from processors.state.partition_state import Branch, Overlay, PartitionState
from processors.transport.publisher import OutputPublisher
from schemas.errors import ClusterUnavailableError, ConfigurationError, PartitionRevokedError, StateUnavailableError
from schemas.records import Output, Record
from service.logs import event

logger = logging.getLogger("paynotify.loop")

_PAUSE_SECONDS: Final = 5.0
#: Errors for which no record may be dead-lettered: the batch is retried.
_NO_RECORDS_FAULT: Final = (StateUnavailableError, PartitionRevokedError, ClusterUnavailableError)

#: Long enough for a worker that stood still to be told by the group that its partition is another's now.
_LOST_PAUSE_SECONDS: Final = 1.0

#: Publishes at once and returns when the brokers have it; for side effects that can't be repeated.
Publish = Callable[[Sequence[Output]], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class BatchContext:
    """What a stage gets for one batch: its records, the partition's state, and a way to publish early.

    ``publish`` returns once the brokers have the outputs. Only a stage with a side effect that cannot be repeated needs
    it; all other outputs are returned.
    """

    records: Sequence[Record]
    state: Overlay
    publish: Publish


class Stage(Protocol):
    """One step of the flow. Knows records and state, neither Faust nor Kafka."""

    name: str
    provider: str

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """Process the batch and return what is to be published. May be called again with the same records."""

    def dead_letter(self, record: Record) -> Output:
        """The dead letter of a record whose processing raised an unexpected exception."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of one partition: its records, how to acknowledge them, and the group's generation it was read in.

    ``revoked`` is set when the partition is being taken away: what is at work may end, and is not begun again.
    """

    records: Sequence[Record]
    generation: int
    acknowledge: Callable[[], None]
    still_ours: Callable[[], bool]
    revoked: asyncio.Event = field(default_factory=asyncio.Event)


class StageLoop:
    """Runs one stage over one partition's batches."""

    def __init__(
        self,
        stage: Stage,
        publisher: OutputPublisher,
        metrics: Metrics,
        *,
        state: PartitionState | None = None,
        reached: Reached = nothing,
    ) -> None:
        self.stage = stage
        self.progress = Progress()
        self._publisher = publisher
        self._state = state
        self._unit = f"{stage.name}.{stage.provider}"
        self._reached = reached
        labels = (stage.provider, stage.name)
        self._received = metrics.received.labels(*labels)
        self._batch_seconds = metrics.batch_seconds.labels(*labels)
        self._publish_seconds = metrics.publish_seconds.labels(*labels)
        self._errors = metrics.loop_errors

    async def carry_out(self, batch: Batch) -> None:
        """Take one batch through all steps, however often that must be tried. Raises nothing but cancellation."""
        while True:
            try:
                await self._steps(batch)
                return
            except PartitionRevokedError as lost:
                self._count("revoked")
                event(logger, "partition_revoked", level=logging.WARNING, unit=self._unit, problem=str(lost))
                await asyncio.sleep(_LOST_PAUSE_SECONDS)
            except Exception:
                self._count("retried")
                logger.exception("step_failed_retrying")
                await asyncio.sleep(_PAUSE_SECONDS)
            if batch.revoked.is_set():
                # the group tells its new generation only later; until then a state claimed for the old one would be
                # taken from the next holder, and this batch be done once more over what that one has done since
                self._count("abandoned")
                return

    async def _steps(self, batch: Batch) -> None:
        if not batch.still_ours():
            self._count("abandoned")
            return
        started = time.monotonic()
        self.progress.taken_at, self.progress.oldest_seconds = started, batch.records[0].timestamp_seconds
        self.progress.moved()
        current.set(self.progress)
        self._received.inc(len(batch.records))
        if self._state is not None:
            await self._state.claim(batch.generation)
        self._reached(self._unit, Failpoint.TAKEN)

        overlay, outputs = await self._work(batch.records, self._overlay(batch.generation))
        self._reached(self._unit, Failpoint.WORKED)
        if not batch.still_ours():
            # another worker has the partition and will do the same work
            self._count("abandoned")
            return

        await self._make_durable(batch.generation, outputs, overlay)

        batch.acknowledge()
        self.progress.batches += 1
        self.progress.next_offset = batch.records[-1].offset + 1
        self.progress.taken_at = self.progress.oldest_seconds = None
        self._batch_seconds.observe(time.monotonic() - started)
        self._reached(self._unit, Failpoint.SOURCE_ACKNOWLEDGED)

    async def _make_durable(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        if self._state is None:
            await self._publish(outputs)
            self._reached(self._unit, Failpoint.OUTPUTS_ACKNOWLEDGED)
            return
        async with self._state.turn(generation) as turn:
            # by the state's own writer: what a frozen machine publishes late must not come after the next holder's
            await self._publish(outputs, turn.publish)
            self._reached(self._unit, Failpoint.OUTPUTS_ACKNOWLEDGED)
            if overlay.changes:
                await turn.log(overlay.changes)
                self._reached(self._unit, Failpoint.CHANGELOG_ACKNOWLEDGED)
                turn.store(overlay.changes)
                self._reached(self._unit, Failpoint.STORED)

    async def _publish(self, outputs: Sequence[Output], publish: Publish | None = None) -> None:
        if outputs:
            started = time.monotonic()
            await (publish or self._publisher.publish)(outputs)
            self._publish_seconds.observe(time.monotonic() - started)

    def _overlay(self, generation: int) -> Overlay:
        state = self._state
        if state is None:
            return Overlay(None)
        tell = partial(self._publish, publish=partial(state.tell, generation))
        return Overlay(state, partial(state.remember, generation), tell)

    async def _work(self, records: Sequence[Record], overlay: Overlay) -> tuple[Overlay, Sequence[Output]]:
        try:
            return overlay, await self._patiently(records, overlay)
        except _NO_RECORDS_FAULT:
            raise  # no record's fault: none may be buried for it
        except Exception:
            self._count("unexpected")
            logger.exception("batch_failed_processing_individually")
            overlay.clear()
            return overlay, await self._one_by_one(records, overlay)

    async def _one_by_one(self, records: Sequence[Record], overlay: Overlay) -> Sequence[Output]:
        outputs: list[Output] = []
        for record in records:
            branch = Branch(overlay)
            try:
                outputs.extend(await self._patiently([record], branch))
                overlay.merge(branch)
            except _NO_RECORDS_FAULT:
                raise
            except Exception:  # noqa: BLE001 - the one record that caused it is buried with its place
                self._count("dead_lettered")
                event(
                    logger,
                    "record_dead_lettered",
                    level=logging.ERROR,
                    unit=self._unit,
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                )
                outputs.append(self.stage.dead_letter(record))
        return outputs

    async def _patiently(self, records: Sequence[Record], overlay: Overlay) -> Sequence[Output]:
        """The stage's work; waits for as long as a secret or setting must be mended by a person."""
        while True:
            try:
                return await self.stage.process(BatchContext(records, overlay, self._publish))
            except ConfigurationError as error:
                overlay.clear()
                self._count("configuration")
                event(
                    logger,
                    "stage_waiting_for_configuration",
                    level=logging.ERROR,
                    unit=self._unit,
                    problem=str(error),
                )
                await asyncio.sleep(_PAUSE_SECONDS)

    def _count(self, kind: str) -> None:
        self._errors.labels(self.stage.provider, self.stage.name, kind).inc()
