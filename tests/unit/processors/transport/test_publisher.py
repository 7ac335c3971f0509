"""Publishing waits for every acknowledgement and never gives a record up."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError

from processors.transport.publisher import OutputPublisher
from schemas.records import Output


class Brokers:
    """Accepts records; those whose turn is in ``failing`` are not acknowledged."""

    def __init__(self, failing: set[int], *, refused: set[int] | None = None) -> None:
        self.sent: list[bytes | None] = []
        self.acknowledged = asyncio.Event()
        self.acknowledged.set()
        self._failing = failing
        self._refused = refused or set()

    async def send(
        self, topic: str, key: Any, value: bytes | None, partition: Any, timestamp: Any, headers: Any
    ) -> asyncio.Task[Any]:
        number = len(self.sent)
        self.sent.append(value)
        if number in self._refused:
            raise KafkaConnectionError("refused")
        return asyncio.ensure_future(self._acknowledge(number))

    async def _acknowledge(self, number: int) -> Any:
        await self.acknowledged.wait()
        if number in self._failing:
            raise KafkaError("not enough replicas")
        return SimpleNamespace(offset=number)


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
    assert brokers.sent == [b"1", b"2", b"3"]
    assert not task.done()
    brokers.acknowledged.set()
    assert [one.offset for one in await task] == [0, 1, 2]


async def test_after_a_failure_the_whole_sequence_is_sent_again_in_order(pauses: list[float]) -> None:
    brokers = Brokers({1}, refused={4})
    assert [one.offset for one in await OutputPublisher(brokers).publish(OUTPUTS)] == [5, 6, 7]
    assert brokers.sent == [b"1", b"2", b"3", b"1", b"2", b"1", b"2", b"3"]
    assert len(pauses) == 2


async def test_pauses_grow_and_stay_bounded(pauses: list[float]) -> None:
    await OutputPublisher(Brokers(set(range(30)))).publish(OUTPUTS)
    assert pauses == sorted(pauses)
    assert pauses[0] < 1
    assert pauses[-1] == 10


async def test_publisher_of_nothing_sends_nothing() -> None:
    assert await OutputPublisher(Brokers(set())).publish([]) == []
