"""The fenced producer never waits for a producer that can't deliver. What fences: `tests/integration/test_fence.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from paynotify.processors.transport import batch_writer, fenced_producer
from paynotify.processors.transport.fenced_producer import FencedProducer
from paynotify.schemas.errors import PartitionRevokedError
from paynotify.schemas.records import Output

PARTITION: Final = TopicPartition("a-changelog", 0)
OUTPUT: Final = Output("a-changelog", b"key", b"value", (), 0)
#: Short, but long enough for everything that does not wait.
STOP_SECONDS: Final = 0.2


class Offline:
    """A real idempotent producer without brokers: records reach its buffer, and its sender is a task that waits."""

    def __init__(self) -> None:
        async def known(topic: str) -> set[int]:
            return {0}

        self.closed = asyncio.Event()
        self.producer = AIOKafkaProducer(enable_idempotence=True)
        self.producer.client._wait_on_metadata = known
        self.producer._metadata = SimpleNamespace(partitions_for_topic=lambda _: {0})
        self.producer._txn_manager.set_pid_and_epoch(7, 0)
        self.producer._sender._sender_task = asyncio.ensure_future(asyncio.Event().wait())
        close = self.producer.client.close

        async def recorded() -> None:
            await close()
            self.closed.set()

        self.producer.client.close = recorded

    @property
    def sender(self) -> Any:
        return self.producer._sender.sender_task


@pytest.fixture
async def offline() -> AsyncIterator[Offline]:
    one = Offline()
    yield one
    one.sender.cancel()
    one.producer._closed = True


@pytest.fixture
def fenced(offline: Offline, monkeypatch: pytest.MonkeyPatch) -> FencedProducer:
    """As after `FencedProducer.acquire`."""
    monkeypatch.setattr(fenced_producer, "_STOP_SECONDS", STOP_SECONDS)
    one = FencedProducer({}, "an-id", PARTITION)
    one._producer = offline.producer
    return one


async def test_write_fails_as_soon_as_the_sender_has_ended(fenced: FencedProducer, offline: Offline) -> None:
    write = asyncio.ensure_future(fenced.write([OUTPUT]))
    await asyncio.sleep(0)
    offline.sender.cancel()
    with pytest.raises(PartitionRevokedError, match="an-id can't be written: the producer's sender was cancelled"):
        await asyncio.wait_for(write, 5)
    with pytest.raises(PartitionRevokedError, match="an-id is not acquired"):
        await fenced.write([OUTPUT])


async def test_sender_that_ends_after_a_write_cancels_nobody(
    fenced: FencedProducer, offline: Offline, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def written(*_: object) -> batch_writer.Written:
        offline.sender.cancel()
        await asyncio.wait([offline.sender])  # its end and that of the write are in one turn of the event loop
        return batch_writer.Written({PARTITION: 1}, ())

    monkeypatch.setattr(batch_writer, "write", written)
    with suppress(PartitionRevokedError):
        await fenced.write([OUTPUT])
    await asyncio.sleep(0)
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_cancelled_write_is_cancelled_also_if_the_sender_ends(fenced: FencedProducer, offline: Offline) -> None:
    write = asyncio.ensure_future(fenced.write([OUTPUT]))
    await asyncio.sleep(0)
    write.cancel()
    offline.sender.cancel()
    await asyncio.wait([write], timeout=5)
    assert write.cancelled()


async def test_aiokafkas_own_send_never_returns_without_a_sender(offline: Offline) -> None:
    """If this fails, aiokafka reports it: `FencedProducer._while_sending` and `FaustProducer.sender_ended` can go."""
    sent = asyncio.ensure_future(offline.producer.send_and_wait("a-changelog", b"value", partition=0))
    await asyncio.sleep(0)
    offline.sender.cancel()
    assert not await _within(sent)


async def test_closing_is_bounded_and_closes_the_connections(fenced: FencedProducer, offline: Offline) -> None:
    await offline.producer.send("a-changelog", b"value", partition=0)
    await asyncio.wait_for(fenced.close(), 5)
    assert offline.closed.is_set()
    await asyncio.sleep(0)
    assert offline.sender.cancelled()


async def test_aiokafkas_own_stop_never_returns_without_brokers(offline: Offline) -> None:
    """If this fails, aiokafka bounds it: `fenced_producer._stop` can go."""
    await offline.producer.send("a-changelog", b"value", partition=0)
    assert not await _within(asyncio.ensure_future(offline.producer.stop()))


async def _within(task: asyncio.Future[Any]) -> bool:
    """Whether it ends in time; it is cancelled otherwise."""
    done, _ = await asyncio.wait([task], timeout=STOP_SECONDS)
    task.cancel()
    await asyncio.wait([task])
    return bool(done)
