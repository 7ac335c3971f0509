"""Products that are wrong on purpose, to show that the judge sees it. Switched on by the simulation alone."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

from paynotify.processors import operations_events
from paynotify.processors.providers.base import Interpretation, ProviderResponse
from paynotify.processors.providers.omnikassa import order_results
from paynotify.processors.providers.omnikassa import provider as omnikassa
from paynotify.processors.providers.omnikassa.contract import OmniKassaMerchant
from paynotify.processors.providers.outcomes import Failed
from paynotify.processors.providers.smartpay import signature
from paynotify.processors.providers.trustpayments.gathered_query import GatheredQuery, Part, PartFailure
from paynotify.processors.resolve import follow_up, settlement
from paynotify.processors.resolve.follow_up import Follow, Look
from paynotify.processors.resolve.settlement import SettlementLooks
from paynotify.processors.runtime import timers
from paynotify.processors.runtime.loop import Batch, StageLoop
from paynotify.processors.runtime.stage import Publish
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.state.timer_queue import Timer
from paynotify.schemas.errors import RejectedNotificationError, UnreadableError
from paynotify.schemas.ids import time_ordered_id
from paynotify.schemas.records import Output
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
    #: Parts of the product with others in their place: where it is, its name there, the other.
    parts: tuple[tuple[Any, str, Any], ...] = ()

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
            broker.loop.call_without_process(_WAITS_SECONDS, let_go, place, *record)

    return disturb


def _sometimes_forgotten(looks: SettlementLooks, name: str, follows: tuple[Follow, ...]) -> Timer | None:
    return None if _hit(name.encode(), 3) else _timer(looks, name, follows)


_timer: Final = SettlementLooks._timer


def _look_not_noted(follows: tuple[Follow, ...], now_milliseconds: int) -> Look:
    """Until the response comes, the same due date is due again and again."""
    return Look(follows, follow_up.looked(follows, now_milliseconds).references)


async def _all_refused(query: GatheredQuery, values: Sequence[str]) -> list[Part]:
    return [PartFailure(tuple(values), Failed("refused", "one of the values was refused"))]


def _whole_page(page: Mapping[str, Any], merchant: OmniKassaMerchant, response: ProviderResponse) -> Interpretation:
    read = order_results.interpreted(page, merchant, response)
    if read.odd:
        raise UnreadableError("one of the orders can't be read")
    return read


def _another_each_time(*parts: str) -> str:
    return time_ordered_id()


def _hit(key: bytes | None, one_of: int) -> bool:
    return zlib.crc32(key or b"") % one_of == 0


_WAITS_SECONDS: Final = 30.0

_FOLLOW_UP: Final = SimpleNamespace(**{**vars(follow_up), "looked": _look_not_noted})


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
    "forgets a followed payment": Mutant(parts=((SettlementLooks, "_timer", _sometimes_forgotten),)),
    "asks a night twice": Mutant(
        parts=((settlement, "follow_up", _FOLLOW_UP), (timers, "_PUBLISH_AGAIN_AFTER", timedelta(0)))
    ),
    "lets one refused value take its query": Mutant(parts=((GatheredQuery, "_halves", _all_refused),)),
    "rejects an unknown key at once": Mutant(
        parts=((signature, "UndecidedNotificationError", RejectedNotificationError),)
    ),
    "gives a case another id each time": Mutant(parts=((operations_events, "derived_id", _another_each_time),)),
    "lets one odd order take its page": Mutant(parts=((omnikassa, "interpreted", _whole_page),)),
}
