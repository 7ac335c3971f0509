"""Publishing waits for every acknowledgement and never gives a record up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from aiokafka.errors import KafkaError

from paynotify.processors.transport.brokers_clock import BrokersClock
from paynotify.processors.transport.publisher import OutputPublisher
from paynotify.schemas.records import Output


class Brokers:
    """Accepts writes; those whose turn is in ``failing`` are not acknowledged."""

    def __init__(self, failing: set[int]) -> None:
        self.written: list[Sequence[Output]] = []
        self.acknowledged = asyncio.Event()
        self.acknowledged.set()
        self._failing = failing

    async def write(self, outputs: Sequence[Output]) -> Sequence[float]:
        number = len(self.written)
        self.written.append(outputs)
        await self.acknowledged.wait()
        if number in self._failing:
            raise KafkaError("not enough replicas")
        return (1_800_000_000.0,)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    turn = asyncio.sleep

    async def pause(seconds: float) -> None:
        made.append(seconds)
        await turn(0)

    monkeypatch.setattr(asyncio, "sleep", pause)
    return made


OUTPUTS = [Output("t", None, value, ()) for value in (b"1", b"2", b"3")]


async def test_publisher_returns_when_everything_is_acknowledged() -> None:
    brokers = Brokers(set())
    brokers.acknowledged.clear()
    task = asyncio.create_task(OutputPublisher(brokers).publish(OUTPUTS))
    for _ in range(5):
        await asyncio.sleep(0)
    assert brokers.written == [OUTPUTS]
    assert not task.done()
    brokers.acknowledged.set()
    await task


async def test_publisher_sends_the_whole_sequence_again_after_a_failure(pauses: list[float]) -> None:
    brokers = Brokers({0, 1})
    await OutputPublisher(brokers).publish(OUTPUTS)
    assert brokers.written == [OUTPUTS, OUTPUTS, OUTPUTS]
    assert len(pauses) == 2


async def test_pauses_grow_and_stay_bounded(pauses: list[float]) -> None:
    await OutputPublisher(Brokers(set(range(30)))).publish(OUTPUTS)
    assert pauses == sorted(pauses)
    assert pauses[0] < 1
    assert pauses[-1] == 10


async def test_publisher_tells_the_clock_of_what_was_acknowledged_in_the_end(pauses: list[float]) -> None:
    clock = BrokersClock()
    await OutputPublisher(Brokers({0}), clock).publish(OUTPUTS)
    span = clock.span(clock.elapsed(), clock.elapsed())
    assert span is not None
    assert 0 <= span.ends.timestamp() - 1_800_000_000 < 60
