"""The writes of a batch of charges: what they take along, and how long they wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from processors.charges.write_batch import WriteBatch
from processors.runtime.failpoints import Failpoint
from processors.state.memory_store import MemoryStore
from processors.state.overlay import Overlay
from schemas.records import Output


@dataclass(slots=True)
class Brokers:
    """What became durable, in order: ``responses``, ``state`` and ``events``, each with the number of its records."""

    done: list[tuple[str, int]] = field(default_factory=list)

    async def respond(self, outputs: Sequence[Output]) -> None:
        self.done.append(("responses", len(outputs)))

    async def persist(self, changes: Mapping[bytes, bytes | None]) -> None:
        self.done.append(("state", len(changes)))

    async def publish(self, outputs: Sequence[Output]) -> None:
        self.done.append(("events", len(outputs)))


def batch(brokers: Brokers, reached: list[Failpoint] | None = None) -> WriteBatch:
    return WriteBatch(Overlay(MemoryStore(), brokers), brokers.respond, (reached if reached is not None else []).append)


def output(topic: str) -> Output:
    return Output(topic, b"key", b"value", ())


async def call(writes: WriteBatch, name: bytes, answered: asyncio.Event) -> None:
    """One request's call, and the write that makes its response durable."""
    with writes.calling():
        await answered.wait()
    writes.put_request(name, b"answered")
    writes.publish_before(output("responses"))
    await writes.write()


async def test_write_waits_for_calls_in_progress_and_takes_their_requests_along() -> None:
    brokers, first, second = Brokers(), asyncio.Event(), asyncio.Event()
    writes = batch(brokers)
    calls = [asyncio.create_task(call(writes, b"r%d" % number, one)) for number, one in enumerate((first, second))]
    first.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not brokers.done, "the second call may be answered at any moment"
    second.set()
    await asyncio.gather(*calls)
    assert brokers.done == [("responses", 2), ("state", 2)]


async def test_write_does_not_wait_for_a_call_that_hangs() -> None:
    brokers, first, never = Brokers(), asyncio.Event(), asyncio.Event()
    writes = batch(brokers)
    hanging = asyncio.create_task(call(writes, b"r1", never))
    first.set()
    async with asyncio.timeout(10):
        await call(writes, b"r0", first)
    assert brokers.done == [("responses", 1), ("state", 1)]
    assert not hanging.done()
    hanging.cancel()


async def test_write_without_calls_in_progress_begins_at_once() -> None:
    brokers, reached = Brokers(), list[Failpoint]()
    writes = batch(brokers, reached)
    writes.put_request(b"r0", b"intended")
    writes.publish_before(output("observations"))
    writes.publish_after(output("events"))
    writing = asyncio.create_task(writes.write())
    for _ in range(10):
        await asyncio.sleep(0)
    assert writing.done(), "it waited for something"
    assert brokers.done == [("responses", 1), ("state", 1), ("events", 1)]
    assert reached == [Failpoint.RESPONSES_PUBLISHED, Failpoint.REQUESTS_PERSISTED, Failpoint.EVENTS_PUBLISHED]


async def test_call_that_fails_is_no_longer_waited_for() -> None:
    brokers, never = Brokers(), asyncio.Event()
    writes = batch(brokers)
    failing = asyncio.create_task(call(writes, b"r1", never))
    await asyncio.sleep(0)
    writes.put_request(b"r0", b"answered")
    writing = asyncio.create_task(writes.write())
    await asyncio.sleep(0)
    failing.cancel()
    await asyncio.wait_for(writing, 10)
    assert brokers.done == [("state", 1)]
