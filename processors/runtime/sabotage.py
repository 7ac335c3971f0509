"""The loop made wrong on purpose, to show that whoever judges the system would notice.

``PAYNOTIFY_BREAK=drop-batch`` makes the worker break one rule of `processors.runtime.loop`. Sandbox only; a
worker of any other configuration refuses to start with it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from processors.runtime.loop import Batch, StageLoop
from processors.state.partition_state import Overlay
from schemas.cloudevents import with_headers
from schemas.errors import ConfigurationError
from schemas.messages import STATUS_CHANGED
from schemas.records import Output
from service.logs import event

logger = logging.getLogger("paynotify.sabotage")

VARIABLE: Final = "PAYNOTIFY_BREAK"

#: Long enough for somebody to kill the process at the very moment when the rule is broken.
_LONG_SECONDS: Final = 600.0


def loop_from_environment(*, sandbox: bool) -> type[StageLoop]:
    """The loop of production, or a broken one if the variable is set.

    Raises:
        ConfigurationError: it is set and this is no sandbox, or it names nothing that can be broken.
    """
    kind = os.environ.get(VARIABLE, "")
    if not kind:
        return StageLoop
    if not sandbox:
        raise ConfigurationError(f"{VARIABLE} is set: it makes a worker lose payments, for tests. Unset it.")
    if kind not in BROKEN:
        raise ConfigurationError(f"{VARIABLE} must be one of {', '.join(BROKEN)}.")
    event(logger, "broken_on_purpose", level=logging.WARNING, rule=kind)
    return BROKEN[kind]


class _Broken(StageLoop):
    """Breaks its rule in the units whose names begin with ``unit_prefix``."""

    unit_prefix = ""

    async def _make_durable(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        if self._unit.startswith(self.unit_prefix) and outputs:
            await self._make_wrong(generation, outputs, overlay)
        else:
            await super()._make_durable(generation, outputs, overlay)

    async def _make_wrong(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        raise NotImplementedError

    async def _make_right(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        await super()._make_durable(generation, outputs, overlay)

    async def _await_the_crash(self) -> None:
        event(logger, "to_be_killed_now", level=logging.WARNING, unit=self._unit)
        await asyncio.sleep(_LONG_SECONDS)


class AckBeforeOutput(_Broken):
    """The source may be committed before the outputs are acknowledged."""

    unit_prefix = "verify"

    async def _steps(self, batch: Batch) -> None:
        self._batch = batch
        await super()._steps(batch)

    async def _make_wrong(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        self._batch.acknowledge()
        await self._await_the_crash()


class StateBeforeOutput(_Broken):
    """The state is durable before the outputs are acknowledged."""

    unit_prefix = "resolve"

    async def _make_wrong(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        assert self._state is not None
        async with self._state.turn(generation) as turn:
            await turn.log(overlay.changes)
            turn.store(overlay.changes)
            await self._await_the_crash()


class DropBatch(_Broken):
    """The outputs of the first batch of each partition are never published."""

    unit_prefix = "interpret"
    _dropped = False

    async def _make_wrong(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        if self._dropped:
            await self._make_right(generation, outputs, overlay)
        else:
            self._dropped = True
            await self._make_right(generation, (), overlay)


class DoubleId(_Broken):
    """Of two events of a partition the second has the id of the first."""

    unit_prefix = "resolve"
    _first = ""

    async def _make_wrong(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        await self._make_right(generation, [self._doubled(one) for one in outputs], overlay)

    def _doubled(self, output: Output) -> Output:
        if not _is_status(output):
            return output
        content: dict[str, Any] = msgspec.json.decode(output.value or b"")
        self._first = self._first or content["event_id"]
        value = msgspec.json.encode({**content, "event_id": self._first})
        return replace(output, value=value, headers=with_headers(output.headers, {"ce_id": self._first}))


class SwapOrder(_Broken):
    """The first event of a payment is published after the second."""

    unit_prefix = "resolve"

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._held: dict[tuple[str, bytes | None], Output] = {}

    async def _make_wrong(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        swapped = [one for output in outputs for one in self._swapped(output)]
        await self._make_right(generation, swapped, overlay)

    def _swapped(self, output: Output) -> list[Output]:
        if not _is_status(output):
            return [output]
        place = (output.topic, output.key)
        held = self._held.pop(place, None)
        if held is not None:
            return [output, held]
        if msgspec.json.decode(output.value or b"")["sequence"] > 1:
            return [output]
        self._held[place] = output
        return []


def _is_status(output: Output) -> bool:
    return ("ce_type", STATUS_CHANGED.encode()) in output.headers


BROKEN: Final[Mapping[str, type[StageLoop]]] = {
    "ack-before-output": AckBeforeOutput,
    "state-before-output": StateBeforeOutput,
    "drop-batch": DropBatch,
    "double-id": DoubleId,
    "swap-order": SwapOrder,
}
