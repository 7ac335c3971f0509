"""The loop every stage runs in. It alone decides when something is durable.

For each batch of one partition, in this order:

1. `Failpoint.TAKEN`: the batch is taken, and the partition's state is owned
2. `Failpoint.PROCESSED`: the stage has processed the batch on an in-memory overlay of the state
3. `Failpoint.OUTPUTS_ACKNOWLEDGED`: the brokers have acknowledged the outputs
4. `Failpoint.CHANGELOG_ACKNOWLEDGED`: the brokers have acknowledged the state's changes in its changelog
5. `Failpoint.STORE_WRITTEN`: the local store has the changes
6. `Failpoint.SOURCE_ACKNOWLEDGED`: the source records are acknowledged, so their offsets may be committed

After a crash the next owner reads the source from the committed offset, and the state from the changelog:

* after 1 or 2 nothing of the batch is durable: it is processed as if for the first time
* after 3 the outputs are published, the state is that of before: the same outputs are published again
* after 4 or 5 the state is that of after the batch: the stage finds each record processed, and publishes its outputs
  again or none. The store needs no repair: recovery reads what it lacks from the changelog
* after 6 the offset may or may not be committed: either nothing is repeated, or it is as after 5

So an output is never lost and never contradicted; at most it is published again with the same id. State that became
durable before its outputs would lose them, and a source offset committed before them would lose the whole batch.

Charges have an order of their own within step 2: steps 7 to 10, see `processors.charges.write_batch`.

A record that raises an unexpected exception is dead-lettered, within the partition's limit
(`processors.runtime.dead_letter_limit`). Beyond the limit the partition halts: the records before are made durable, the
failed record stays at the head and is retried at a slow pace, and nothing more is dead-lettered.

No exception leaves the loop: Faust would take it for an acknowledgement.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from paynotify.processors.metrics import Metrics
from paynotify.processors.runtime.batch_span import begin_batch, begin_publish, exemplar_of
from paynotify.processors.runtime.dead_letter_limit import DeadLetterWindow
from paynotify.processors.runtime.failpoints import Failpoint, Reached, ignore
from paynotify.processors.runtime.progress import Progress, current
from paynotify.processors.runtime.stage import BatchContext, Publish, Stage
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.state.partition_state import PartitionState
from paynotify.processors.transport.publisher import OutputPublisher
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.worker import DeadLetterLimit
from paynotify.schemas.errors import (
    ClusterUnavailableError,
    ConfigurationError,
    PartitionRevokedError,
    StateUnavailableError,
)
from paynotify.schemas.providers import id_fields
from paynotify.schemas.records import Output, Record
from paynotify.service.card_guard import CardGuard
from paynotify.service.logs import event
from paynotify.service.value_cipher import ValueCipher

if TYPE_CHECKING:
    from paynotify.service.span_exporter import SpanExporter, TracedSpan

logger = logging.getLogger("paynotify.loop")

_RETRY_SECONDS: Final = 5.0

#: Long enough for a worker that was frozen to learn from the group that its partition was revoked.
_LOST_RETRY_SECONDS: Final = 1.0

#: How often a halted partition retries its head. Slow: each retry may call a provider.
_HALTED_RETRY_SECONDS: Final = 30.0

#: Errors for which no record may be dead-lettered: the batch is retried.
_NO_RECORDS_FAULT: Final = (StateUnavailableError, PartitionRevokedError, ClusterUnavailableError)

#: Re-publishes what was dead-lettered before the halt, once the defect is fixed.
_REPLAY: Final = "paynotify replay dead --reason internal_error --yes"


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of one partition: its records, how to acknowledge them, and the group's generation it was read in.

    ``acknowledge(count)`` acknowledges the first ``count`` records not acknowledged yet. ``revoked`` is set while the
    partition is being revoked: a batch in progress may finish, and is not started again.
    """

    records: Sequence[Record]
    generation: int
    acknowledge: Callable[[int], None]
    still_owned: Callable[[], bool]
    revoked: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class _Processed:
    """What processing a batch gave: the outputs of its first ``records`` records, and why it went no further.

    ``dead_letters`` is the partition's window after the batch, if any record failed.
    """

    outputs: Sequence[Output]
    records: int
    dead_letters: DeadLetterWindow | None = None
    halted: str | None = None


class StageLoop:
    """Runs one stage over one partition's batches."""

    def __init__(
        self,
        stage: Stage,
        publisher: OutputPublisher,
        metrics: Metrics,
        *,
        state: PartitionState | None = None,
        reached: Reached = ignore,
        dead_letter_limit: DeadLetterLimit | None = None,
        traces: SpanExporter | None = None,
        cipher: ValueCipher | None = None,
        cards: CardGuard | None = None,
    ) -> None:
        self.stage = stage
        self.progress = Progress()
        #: Why the partition has halted at its dead-letter limit; None while it is processed.
        self.halted: str | None = None
        self._publisher = publisher
        self._state = state
        self._stage_name = f"{stage.name}.{stage.provider}"
        self._cipher = cipher or ValueCipher(KafkaSettings(), None)
        self._cards = cards or CardGuard(KafkaSettings(), id_fields())
        self._reached = reached
        self._dead_letters = DeadLetterWindow(dead_letter_limit or DeadLetterLimit())
        labels = (stage.provider, stage.name)
        self._received = metrics.received.labels(*labels)
        self._batch_seconds = metrics.batch_seconds.labels(*labels)
        self._publish_seconds = metrics.publish_seconds.labels(*labels)
        self._errors = metrics.stage_errors
        self._traces = traces
        self._span: TracedSpan | None = None

    async def process_batch(self, batch: Batch) -> None:
        """Take one batch through all steps, however often that must be tried. Raises nothing but cancellation."""
        while batch.records:
            try:
                # a halted partition retries its head alone: no other record may cause side effects meanwhile
                attempt = batch if self.halted is None else replace(batch, records=batch.records[:1])
                done = await self._traced_steps(attempt)
                if done is None or done == len(batch.records):
                    return
                batch = replace(batch, records=batch.records[done:])
                if self.halted is not None:
                    await _pause(batch, _HALTED_RETRY_SECONDS)
            except PartitionRevokedError as lost:
                self._count("revoked")
                event(logger, "partition_revoked", level=logging.WARNING, stage=self._stage_name, problem=str(lost))
                await asyncio.sleep(_LOST_RETRY_SECONDS)
            except Exception:
                self._count("retried")
                logger.exception("step_failed_retrying")
                await asyncio.sleep(_RETRY_SECONDS)
            if batch.records and batch.revoked.is_set():
                # the group announces its new generation only later; until then, acquiring the state for the old one
                # would take it from the next owner, and repeat this batch over what that owner has done since
                self._count("abandoned")
                return

    async def _traced_steps(self, batch: Batch) -> int | None:
        """The steps, within a span if one of the records is traced."""
        if self._traces is None:
            return await self._steps(batch)
        self._span = begin_batch(self._traces, self.stage.name, self.stage.provider, batch.records)
        error: str | None = "failed"
        try:
            done = await self._steps(batch)
            error = "abandoned" if done is None else None
            return done
        finally:
            if self._span is not None:
                self._span.end(error=error)
                self._span = None

    async def _steps(self, batch: Batch) -> int | None:
        """Returns how many of the records are done; None if the partition is no longer this process's."""
        if not batch.still_owned():
            self._count("abandoned")
            return None
        started = time.monotonic()
        self.progress.taken_at, self.progress.oldest_seconds = started, batch.records[0].timestamp_seconds
        self.progress.report()
        current.set(self.progress)
        self._received.inc(len(batch.records))
        if self._state is not None:
            await self._state.acquire(batch.generation)
        self._reached(self._stage_name, Failpoint.TAKEN)

        overlay = self._overlay(batch.generation)
        processed = await self._process(batch.records, overlay)
        self._reached(self._stage_name, Failpoint.PROCESSED)
        if not batch.still_owned():
            # another worker owns the partition and processes the same records
            self._count("abandoned")
            return None

        if processed.records:
            await self._make_durable(batch.generation, processed.outputs, overlay)

            batch.acknowledge(processed.records)
            self.progress.batches += 1
            self.progress.next_offset = batch.records[processed.records - 1].offset + 1
            self.progress.taken_at = self.progress.oldest_seconds = None
            self._batch_seconds.observe(time.monotonic() - started, exemplar_of(self._span))
            self._reached(self._stage_name, Failpoint.SOURCE_ACKNOWLEDGED)
        if processed.dead_letters is not None:
            self._dead_letters = processed.dead_letters
        else:
            self._dead_letters.succeeded(processed.records)
        self._halt_or_resume(batch, processed)
        return processed.records

    async def _make_durable(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        if self._state is None:
            await self._publish(outputs)
            self._reached(self._stage_name, Failpoint.OUTPUTS_ACKNOWLEDGED)
            return
        async with self._state.exclusive_write(generation) as write:
            # with the fenced producer: what a frozen machine publishes late must not come after the next owner's
            await self._publish(outputs, write.publish)
            self._reached(self._stage_name, Failpoint.OUTPUTS_ACKNOWLEDGED)
            if overlay.changes:
                await write.log(overlay.changes)
                self._reached(self._stage_name, Failpoint.CHANGELOG_ACKNOWLEDGED)
                write.store(overlay.changes)
                self._reached(self._stage_name, Failpoint.STORE_WRITTEN)

    async def _publish(self, outputs: Sequence[Output], publish: Publish | None = None) -> None:
        if outputs:
            started = time.monotonic()
            span = None if self._span is None else begin_publish(self._span, outputs)
            await (publish or self._publisher.publish)(self._cipher.outputs(self._cards.outputs(outputs)))
            self._publish_seconds.observe(time.monotonic() - started, exemplar_of(span))
            if span is not None:
                span.end()

    def _overlay(self, generation: int) -> Overlay:
        if self._state is None:
            return Overlay(None)
        return Overlay(self._state, _Owner(self._state, generation, self._publish))

    async def _process(self, records: Sequence[Record], overlay: Overlay) -> _Processed:
        try:
            outputs = await self._process_configured(records, overlay)
        except _NO_RECORDS_FAULT:
            raise
        except Exception:
            self._count("unexpected")
            logger.exception("batch_failed_processing_individually")
            overlay.clear()
            return await self._process_individually(records, overlay)
        return _Processed(outputs, len(records))

    async def _process_individually(self, records: Sequence[Record], overlay: Overlay) -> _Processed:
        """Process record after record, and dead-letter those that fail, until the limit is reached."""
        outputs: list[Output] = []
        # a copy: if a later step fails, the batch is repeated and its dead letters must not count twice
        dead_letters = self._dead_letters.copy()
        for number, record in enumerate(records):
            branch = overlay.branch()
            try:
                outputs.extend(await self._process_configured([record], branch))
                overlay.merge(branch)
                dead_letters.succeeded()
            except _NO_RECORDS_FAULT:
                raise
            except Exception as error:  # noqa: BLE001 - the failed record is dead-lettered with its place
                halted = dead_letters.reached(error)
                if halted is not None:
                    return _Processed(outputs, number, dead_letters, f"{halted}, the next with {type(error).__name__}")
                self._count("dead_lettered")
                event(logger, "record_dead_lettered", level=logging.ERROR, **self._place(record))
                letter = self.stage.dead_letter(record)
                dead_letters.dead_lettered(letter, error)
                outputs.append(letter)
        return _Processed(outputs, len(records), dead_letters)

    async def _process_configured(self, records: Sequence[Record], overlay: Overlay) -> Sequence[Output]:
        """Call the stage; wait for as long as a person must fix a secret or setting."""
        while True:
            try:
                return await self.stage.process(BatchContext(self._cipher.records(records), overlay, self._publish))
            except ConfigurationError as error:
                overlay.clear()
                self._count("configuration")
                event(
                    logger,
                    "stage_waiting_for_configuration",
                    level=logging.ERROR,
                    stage=self._stage_name,
                    problem=str(error),
                )
                await asyncio.sleep(_RETRY_SECONDS)

    def _halt_or_resume(self, batch: Batch, processed: _Processed) -> None:
        was, self.halted = self.halted, processed.halted
        if processed.halted is not None and was is None:
            self._count("halted")
            place = self._place(batch.records[processed.records])
            event(logger, "partition_halted", level=logging.ERROR, **place, problem=processed.halted, replay=_REPLAY)
        elif processed.halted is None and was is not None:
            event(logger, "partition_resumed", level=logging.WARNING, **self._place(batch.records[0]), replay=_REPLAY)

    def _place(self, record: Record) -> Mapping[str, str | int]:
        return {
            "stage": self._stage_name,
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
        }

    def _count(self, kind: str) -> None:
        self._errors.labels(self.stage.provider, self.stage.name, kind).inc()


@dataclass(frozen=True, slots=True)
class _Owner:
    """The partition's owner in one generation, for what must be durable before the batch ends."""

    state: PartitionState
    generation: int
    measured: Callable[[Sequence[Output], Publish], Awaitable[None]]

    async def persist(self, changes: Mapping[bytes, bytes | None]) -> None:
        await self.state.persist(self.generation, changes)

    async def publish(self, outputs: Sequence[Output]) -> None:
        await self.measured(outputs, partial(self.state.publish, self.generation))


async def _pause(batch: Batch, seconds: float) -> None:
    """Wait, but no longer than until the partition is being revoked."""
    with suppress(TimeoutError):
        await asyncio.wait_for(batch.revoked.wait(), seconds)
