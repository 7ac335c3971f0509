"""A fetch stage whose provider a test plays, and what it published on the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from paynotify.processors.fetch.stage import FetchStage
from paynotify.processors.metrics import Metrics
from paynotify.processors.providers.base import Call
from paynotify.processors.providers.outcomes import LookupOutcome
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.overlay import Overlay
from paynotify.schemas.records import Output, Record
from tests.fakes.stages import KAFKA, Answering, FakeProvider, accounts, call_context, circuits, empty, metrics

DELAYS: Final = (5.0, 30.0, 120.0, 600.0, 3600.0)


class Bench:
    """A fetch stage with its provider, and what it published on the way. No time passes for its circuits."""

    def __init__(
        self,
        provider: FakeProvider,
        *names: str,
        calls_in_flight: int = 8,
        pace: Callable[[str], Awaitable[None]] | None = None,
        with_token: bool = False,
    ) -> None:
        self.provider = provider
        self.stored: list[Output] = []
        self.state = empty()
        self.metrics: Metrics = metrics()
        self.stage = FetchStage(
            provider,
            accounts(*names, with_token=with_token),
            KAFKA,
            call_context(pace),
            self.metrics,
            circuits(self.metrics),
            delays_seconds=DELAYS,
            calls_in_flight=calls_in_flight,
        )

    async def publish(self, outputs: Sequence[Output]) -> None:
        self.stored.extend(outputs)

    async def work(self, *records: Record, state: Overlay | None = None) -> list[Output]:
        return list(await self.stage.process(BatchContext(records, state or self.state, self.publish)))


def answering(outcome: LookupOutcome | Exception) -> Answering:
    """Every call ends like this."""

    def answer(call: Call) -> Mapping[str, LookupOutcome] | Exception:
        return outcome if isinstance(outcome, Exception) else call.all_end_as(outcome)

    return answer
