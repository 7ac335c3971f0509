"""Products that are wrong on purpose, to show that the judge sees it. Switched on by the simulation alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from processors.loop import StageLoop, Taken
from processors.state import Overlay
from schemas.records import Output
from tests.simulation.broker import Producer


def _same(producer: Any) -> Any:
    return producer


@dataclasses.dataclass(frozen=True, slots=True)
class Mutant:
    """What is made otherwise; by default nothing."""

    make_loop: Callable[..., StageLoop] = StageLoop
    producer: Callable[[Any], Any] = _same
    fences: bool = True


class _AcknowledgesFirst(StageLoop):
    async def carry_out(self, batch: Taken) -> None:
        batch.acknowledge()
        await super().carry_out(dataclasses.replace(batch, acknowledge=lambda: None))


class _StateFirst(StageLoop):
    async def _make_durable(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        if self._state is not None and overlay.changes:
            await self._state.remember(generation, overlay.changes)
            overlay.clear()
        await super()._make_durable(generation, outputs, overlay)


class _DropsBatches(StageLoop):
    async def carry_out(self, batch: Taken) -> None:
        if self.progress.batches % 10 == 9:
            self.progress.batches += 1
            batch.acknowledge()
        else:
            await super().carry_out(batch)


class _Changing:
    """A producer that passes records on, changed."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._count = 0

    async def send(self, topic: str, key: Any, value: Any, partition: Any, timestamp: Any, headers: Any) -> Any:
        self._count += 1
        return await self._change(topic, key, value, partition, timestamp, headers)

    async def _change(self, topic: str, *rest: Any) -> Any:
        return await self._producer.send(topic, *rest)


class _SecondContent(_Changing):
    """Now and then a status event comes a second time under its id, with something else in it."""

    async def _change(self, topic: str, key: Any, value: Any, *rest: Any) -> Any:
        if topic == "payments.status" and self._count % 20 == 0:
            await self._producer.send(topic, key, value.replace(b'"reason":null', b'"reason":"x"'), *rest)
        return await self._producer.send(topic, key, value, *rest)


class _Swapping(_Changing):
    """Now and then a status event waits until the payment's next one has passed, or for a while."""

    def __init__(self, producer: Producer) -> None:
        super().__init__(producer)
        self._kept: dict[bytes, Any] = {}

    async def _change(self, topic: str, key: Any, *rest: Any) -> Any:
        if topic != "payments.status":
            return await self._producer.send(topic, key, *rest)
        if key in self._kept or self._count % 3:
            return await self._producer.send(topic, key, *rest)
        self._kept[key] = rest
        loop = self._producer.loop
        loop.call_later(_KEPT_SECONDS, self._let_go, topic, key)
        done = loop.create_future()
        done.set_result(None)
        return done

    def _let_go(self, topic: str, key: bytes) -> None:
        value, partition, _, headers = self._kept.pop(key)
        self._producer.hand_over(topic, key, value, partition, headers)


_KEPT_SECONDS: Final = 30.0


MUTANTS: Final[Mapping[str, Mutant]] = {
    "acknowledges the source before the outputs": Mutant(make_loop=_AcknowledgesFirst),
    "writes the state before the outputs": Mutant(make_loop=_StateFirst),
    "drops a batch": Mutant(make_loop=_DropsBatches),
    "publishes an id with two contents": Mutant(producer=_SecondContent),
    "swaps records of a partition": Mutant(producer=_Swapping),
    "fences nobody": Mutant(fences=False),
}
