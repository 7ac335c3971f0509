"""Responses that come at the same time are stored in one write, and nobody goes on before it is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from processors.fetch.response_writer import ResponseWriter
from schemas.records import Output


class Brokers:
    """Acknowledges a write once `acknowledged` is set; a write with ``refused`` in it fails."""

    def __init__(self) -> None:
        self.acknowledged = asyncio.Event()
        self.writes: list[list[bytes]] = []

    async def publish(self, outputs: Sequence[Output]) -> None:
        values = [one.value or b"" for one in outputs]
        self.writes.append(values)
        await self.acknowledged.wait()
        if b"refused" in values:
            raise ConnectionError


def response(value: bytes) -> list[Output]:
    return [Output("responses.nevogate", b"key", value, ())]


async def until_nothing_is_ready() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_responses_of_one_moment_are_one_write_in_their_order() -> None:
    brokers = Brokers()
    writer = ResponseWriter(brokers.publish)
    tasks = [asyncio.create_task(writer.store(response(b"%d" % one))) for one in range(3)]
    await until_nothing_is_ready()
    later = asyncio.create_task(writer.store(response(b"3")))
    await until_nothing_is_ready()
    # the later one does not wait for the write in progress
    assert brokers.writes == [[b"0", b"1", b"2"], [b"3"]]
    assert not any(task.done() for task in (*tasks, later))
    brokers.acknowledged.set()
    await asyncio.gather(*tasks, later)


async def test_failed_write_fails_for_each_response_in_it_and_no_other() -> None:
    brokers = Brokers()
    brokers.acknowledged.set()
    writer = ResponseWriter(brokers.publish)
    values = (b"0", b"refused", b"2")
    results = await asyncio.gather(*(writer.store(response(one)) for one in values), return_exceptions=True)
    assert [type(one) for one in results] == [ConnectionError] * 3
    await writer.store(response(b"3"))
    with pytest.raises(ConnectionError):
        await writer.store(response(b"refused"))


async def test_cancelled_batch_leaves_no_response_waiting() -> None:
    brokers = Brokers()
    writer = ResponseWriter(brokers.publish)
    batch = asyncio.gather(*(writer.store(response(b"%d" % one)) for one in range(3)))
    await until_nothing_is_ready()
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    await until_nothing_is_ready()
    assert len(asyncio.all_tasks()) == 1
