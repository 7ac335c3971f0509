"""Faust's driver with the parts replaced that lose records, and that Faust's own parts still lose them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from faust.transport.consumer import Consumer, ThreadDelegateConsumer
from faust.types import TP
from mode.utils.queues import FlowControlEvent, ThrowableQueue

from processors.transport.faust_driver import FaustConsumer, FlowControl

COMMITTED = {TP("observations", 0): 7, TP("observations", 1): None, TP("observations", 2): 0, TP("changelog", 1): None}


class Offline(FaustConsumer):
    """A consumer without brokers, which records its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.sought: dict[TP, int] = {}
        self.fetched = asyncio.Event()
        self._no_fetch = asyncio.Event()
        self._no_fetch.set()

    def _is_changelog_tp(self, tp: TP) -> bool:
        return bool(tp.topic == "changelog")

    def stop_flow(self) -> None:
        self.calls.append("stop flow")

    async def _seek(self, partition: TP, offset: int) -> None:
        self.sought[partition] = offset


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Offline:
    async def committed(self: Offline) -> Mapping[TP, int | None]:
        return COMMITTED

    async def getmany(self: Offline, active_partitions: Any, timeout: float) -> dict[TP, list[Any]]:
        await self.fetched.wait()
        self.calls.append("fetch ends")
        return {}

    async def perform_seek(self: Offline) -> None:
        self.calls.append("seek")

    monkeypatch.setattr(ThreadDelegateConsumer, "seek_to_committed", committed)
    monkeypatch.setattr(ThreadDelegateConsumer, "_getmany", getmany)
    monkeypatch.setattr(ThreadDelegateConsumer, "perform_seek", perform_seek)
    return Offline()


async def test_partitions_without_a_commit_seek_to_their_beginning(consumer: Offline) -> None:
    assert await consumer.seek_to_committed() == COMMITTED
    assert consumer.sought == {TP("observations", 1): 0, TP("observations", 2): 0}


async def test_consumer_seeks_only_when_no_fetch_is_in_progress(consumer: Offline) -> None:
    fetch = asyncio.ensure_future(consumer._getmany(None, 1.0))
    await asyncio.sleep(0)
    back = asyncio.ensure_future(consumer.perform_seek())
    for _ in range(5):
        await asyncio.sleep(0)
    assert consumer.calls == ["stop flow"]
    consumer.fetched.set()
    await asyncio.gather(fetch, back)
    assert consumer.calls == ["stop flow", "fetch ends", "seek"]


async def test_highwater_of_a_revoked_partition_is_0(consumer: Offline) -> None:
    consumer._thread = AIOKafkaConsumer()  # nothing is assigned to it
    try:
        assert consumer.highwater(TP("observations", 0)) == 0
    finally:
        await consumer._thread.stop()


async def test_queued_records_stay_when_the_flow_resumes() -> None:
    control = FlowControl()
    queue: ThrowableQueue[int] = ThrowableQueue(flow_control=control, clear_on_resume=True)
    control.resume()
    await queue.put(1)
    control.suspend()
    control.resume()
    assert control.is_active()
    assert queue.get_nowait() == 1
    await queue.put(2)
    control.clear()
    assert queue.empty(), "a revoked partition's records still go"


# --- the libraries' own parts: when one of these fails, that part of the driver can go ------------------------


FaustsOwn: Any = Consumer


class LibraryConsumer(FaustsOwn):  # type: ignore[misc]  # its abstract methods are not needed here
    """Faust's own consumer with a fetch that lasts, without brokers."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.flow_active = True
        self.app = SimpleNamespace(client_only=True)
        self.not_waiting_next_records = asyncio.Event()
        self.not_waiting_next_records.set()
        self.fetched = asyncio.Event()

    async def _getmany(self, active_partitions: Any, timeout: float) -> dict[TP, list[Any]]:
        await self.fetched.wait()
        self.calls.append("fetch ends")
        return {}

    async def seek_to_committed(self) -> dict[TP, int]:
        self.calls.append("seek")
        return {}


LibraryConsumer.__abstractmethods__ = frozenset()


async def test_fausts_own_consumer_seeks_while_a_fetch_is_in_progress() -> None:
    consumer = LibraryConsumer()
    consumer._read_offset, consumer._committed_offset = {}, {}
    fetch = asyncio.ensure_future(consumer._wait_next_records(1.0))
    await asyncio.sleep(0)
    await asyncio.wait_for(consumer.wait_for_stopped_flow(), 1.0)
    await consumer.perform_seek()
    consumer.fetched.set()
    await fetch
    assert consumer.calls == ["seek", "fetch ends"]


async def test_aiokafkas_own_seek_leaves_partitions_without_a_commit_where_they_are() -> None:
    places = [TP("observations", number) for number in range(3)]
    sought: dict[TP, int] = {}
    consumer = object.__new__(AIOKafkaConsumer)
    consumer._closed = True
    consumer._subscription = SimpleNamespace(assigned_partitions=lambda: set(places))
    consumer._fetcher = SimpleNamespace(seek_to=sought.__setitem__)

    async def committed(place: TP) -> int | None:
        return COMMITTED[place]

    consumer.committed = committed
    await consumer.seek_to_committed()
    assert sought == {places[0]: 7}


async def test_aiokafkas_own_highwater_of_a_revoked_partition_is_an_error() -> None:
    client = AIOKafkaConsumer()
    try:
        with pytest.raises(AssertionError):
            client.highwater(TP("observations", 0))
    finally:
        await client.stop()


async def test_modes_own_flow_control_discards_queued_records() -> None:
    control = FlowControlEvent()
    queue: ThrowableQueue[int] = ThrowableQueue(flow_control=control, clear_on_resume=True)
    control.resume()
    await queue.put(1)
    control.suspend()
    control.resume()
    assert queue.empty()
