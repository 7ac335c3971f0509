"""Stage loops that break one rule of `processors.runtime.loop` each, to show that the judges notice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from paynotify.processors.runtime.loop import Batch, StageLoop
from paynotify.processors.runtime.stage import BatchContext, Stage
from paynotify.processors.state.overlay import Overlay
from paynotify.schemas.cloudevents import with_headers
from paynotify.schemas.messages import STATUS_CHANGED
from paynotify.schemas.records import Output, Record
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.broken")

#: Long enough for a test to kill the process at the very moment when the rule is broken.
_LONG_SECONDS: Final = 600.0


class _Broken(StageLoop):
    """Breaks its rule in the stages whose names begin with ``stage_prefix``."""

    stage_prefix = ""

    async def _make_durable(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        if self._stage_name.startswith(self.stage_prefix) and outputs:
            await self._break(generation, outputs, overlay)
        else:
            await super()._make_durable(generation, outputs, overlay)

    async def _break(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        raise NotImplementedError

    async def _intact(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        await super()._make_durable(generation, outputs, overlay)

    async def _await_the_crash(self) -> None:
        event(logger, "to_be_killed_now", level=logging.WARNING, stage=self._stage_name)
        await asyncio.sleep(_LONG_SECONDS)


class AckBeforeOutput(_Broken):
    """The source may be committed before the outputs are acknowledged."""

    stage_prefix = "verify"

    async def _steps(self, batch: Batch) -> int | None:
        self._batch = batch
        return await super()._steps(batch)

    async def _break(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        self._batch.acknowledge(len(self._batch.records))
        await self._await_the_crash()


class StateBeforeOutput(_Broken):
    """The state is durable before the outputs are acknowledged."""

    stage_prefix = "resolve"

    async def _break(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        assert self._state is not None
        async with self._state.exclusive_write(generation) as write:
            await write.log(overlay.changes)
            write.store(overlay.changes)
            await self._await_the_crash()


class DropBatch(_Broken):
    """The outputs of the first batch of each partition are never published."""

    stage_prefix = "interpret"
    _dropped = False

    async def _break(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        if self._dropped:
            await self._intact(generation, outputs, overlay)
        else:
            self._dropped = True
            await self._intact(generation, (), overlay)


class DoubleId(_Broken):
    """Of two events of a partition the second has the id of the first."""

    stage_prefix = "resolve"
    _first = ""

    async def _break(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        await self._intact(generation, [self._doubled(one) for one in outputs], overlay)

    def _doubled(self, output: Output) -> Output:
        if not _is_status(output):
            return output
        content: dict[str, Any] = msgspec.json.decode(output.value or b"")
        self._first = self._first or content["event_id"]
        value = msgspec.json.encode({**content, "event_id": self._first})
        return replace(output, value=value, headers=with_headers(output.headers, {"ce_id": self._first}))


class SwapOrder(_Broken):
    """The first event of a payment is published after the second."""

    stage_prefix = "resolve"

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._delayed: dict[tuple[str, bytes | None], Output] = {}

    async def _break(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        swapped = [one for output in outputs for one in self._swapped(output)]
        await self._intact(generation, swapped, overlay)

    def _swapped(self, output: Output) -> list[Output]:
        if not _is_status(output):
            return [output]
        place = (output.topic, output.key)
        delayed = self._delayed.pop(place, None)
        if delayed is not None:
            return [output, delayed]
        if msgspec.json.decode(output.value or b"")["sequence"] > 1:
            return [output]
        self._delayed[place] = output
        return []


class RaiseAlways(StageLoop):
    """The stages that read observations raise on every record. No rule is broken: the partition must halt."""

    stage_prefix = "resolve"

    def __init__(self, stage: Stage, *arguments: Any, **named: Any) -> None:
        super().__init__(_Raising(stage) if stage.name.startswith(self.stage_prefix) else stage, *arguments, **named)


class _Raising:
    def __init__(self, stage: Stage) -> None:
        self.name, self.provider, self._stage = stage.name, stage.provider, stage

    async def process(self, context: BatchContext) -> Sequence[Output]:
        raise ZeroDivisionError("every record fails")

    def dead_letter(self, record: Record) -> Output:
        return self._stage.dead_letter(record)


def _is_status(output: Output) -> bool:
    return ("ce_type", STATUS_CHANGED.encode()) in output.headers


#: Loops that break a rule, by the rule's name.
BROKEN: Final[Mapping[str, type[StageLoop]]] = {
    "ack-before-output": AckBeforeOutput,
    "state-before-output": StateBeforeOutput,
    "drop-batch": DropBatch,
    "double-id": DoubleId,
    "swap-order": SwapOrder,
}

#: All loops that a test can run a worker with, by name.
LOOPS: Final[Mapping[str, type[StageLoop]]] = {**BROKEN, "raise-always": RaiseAlways}
