"""What a stage is to the runtime: a function from a batch of records and a state to outputs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from paynotify.processors.runtime.timers import TimerService
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.state.partition_state import RetentionPolicy
from paynotify.schemas.records import Output, Record

#: Publishes at once and returns when the brokers have acknowledged; for the results of unrepeatable side effects.
Publish: TypeAlias = Callable[[Sequence[Output]], Awaitable[Any]]


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
class StageSpec:
    """How the runtime runs a stage: its source topics, batch size and state. The stages of one group share one state.

    A ``deterministic`` stage gives the same outputs for the same records and state, at any time and in any process. A
    state is deleted ``state_seconds`` after it was written; None retains it for ever. Every second ``timers`` publish
    what is due in the state. ``retention`` compresses or deletes old values, in passes over all of the state.
    """

    stage: Stage
    sources: tuple[str, ...]
    batch_records: int
    stateful: bool = False
    deterministic: bool = False
    state_seconds: int | None = None
    timers: TimerService | None = None
    retention: RetentionPolicy | None = None
