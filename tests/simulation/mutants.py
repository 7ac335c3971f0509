"""Products that are wrong on purpose, to show that the judge sees it. Switched on by the simulation alone."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from processors.runtime.loop import Batch, StageLoop
from processors.runtime.stage import Publish
from processors.state.overlay import Overlay
from schemas.records import Output
from tests.simulation.broker import Broker, Headers, Place, ProducedBatch

#: Changes a batch on its way to a partition.
Disturb = Callable[[Place, ProducedBatch], None]


def _undisturbed(broker: Broker) -> Disturb:
    return lambda place, batch: None


@dataclasses.dataclass(frozen=True, slots=True)
class Mutant:
    """What is made otherwise; by default nothing."""

    loop_class: type[StageLoop] = StageLoop
    disturb: Callable[[Broker], Disturb] = _undisturbed
    fences: bool = True
    delete_after_seconds: float | None = None

    @staticmethod
    def named(name: str | None) -> Mutant:
        """One of `MUTANTS`; without a name the product as it is."""
        return Mutant() if name is None else MUTANTS[name]


class _AcknowledgesFirst(StageLoop):
    async def process_batch(self, batch: Batch) -> None:
        batch.acknowledge(len(batch.records))
        await super().process_batch(dataclasses.replace(batch, acknowledge=lambda count: None))


class _StateFirst(StageLoop):
    async def _make_durable(self, generation: int, outputs: Sequence[Output], overlay: Overlay) -> None:
        if self._state is not None and overlay.changes:
            await self._state.persist(generation, overlay.changes)
            overlay.clear()
        await super()._make_durable(generation, outputs, overlay)


class _PublishesUnfenced(StageLoop):
    async def _publish(self, outputs: Sequence[Output], publish: Publish | None = None) -> None:
        await super()._publish(outputs)


class _CallsFirst(StageLoop):
    """What is to be durable before a call is made is so only with the batch."""

    def _overlay(self, generation: int) -> Overlay:
        return _Forgetful(self._state)


class _Forgetful(Overlay):
    async def persist(self) -> None:
        return


class _DropsBatches(StageLoop):
    async def process_batch(self, batch: Batch) -> None:
        if self.progress.batches % 10 == 9:
            self.progress.batches += 1
            batch.acknowledge(len(batch.records))
        else:
            await super().process_batch(batch)


def _second_content(broker: Broker) -> Disturb:
    """Of some payments each event comes twice under its id, with something else in it."""

    def disturb(place: Place, batch: ProducedBatch) -> None:
        if place[0] == "payments.status":
            batch.records[:] = [
                one
                for key, value, headers in batch.records
                for one in (
                    *([(key, (value or b"").replace(b'"reason":', b'"reason_":'), headers)] if _hit(key, 10) else []),
                    (key, value, headers),
                )
            ]

    return disturb


def _swapped(broker: Broker) -> Disturb:
    """Of some payments an event waits for a while, and the next ones pass it."""
    waiting: set[bytes | None] = set()

    def let_go(place: Place, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        waiting.discard(key)
        broker.append(place, key, value, headers)

    def disturb(place: Place, batch: ProducedBatch) -> None:
        if place[0] != "payments.status":
            return
        for record in [one for one in batch.records if _hit(one[0], 3) and one[0] not in waiting]:
            waiting.add(record[0])
            batch.records.remove(record)
            broker.loop.outside(_WAITS_SECONDS, let_go, place, *record)

    return disturb


def _hit(key: bytes | None, one_of: int) -> bool:
    return zlib.crc32(key or b"") % one_of == 0


_WAITS_SECONDS: Final = 30.0


MUTANTS: Final[Mapping[str, Mutant]] = {
    "acknowledges the source before the outputs": Mutant(loop_class=_AcknowledgesFirst),
    "writes the state before the outputs": Mutant(loop_class=_StateFirst),
    "charges before that is durable": Mutant(loop_class=_CallsFirst),
    "drops a batch": Mutant(loop_class=_DropsBatches),
    "publishes an id with two contents": Mutant(disturb=_second_content),
    "swaps records of a partition": Mutant(disturb=_swapped),
    "fences nobody": Mutant(fences=False),
    "forgets payments too early": Mutant(delete_after_seconds=30.0),
    "publishes outputs that no fence holds back": Mutant(loop_class=_PublishesUnfenced),
}
