"""Simulated time: it jumps, processes can stand still in it, and what is killed does nothing any more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextvars import Context

import pytest

from tests.simulation.timeline import RUNNING, Handle, NothingLeftError, Timeline


class Process:
    """Something that can be halted."""

    def __init__(self) -> None:
        self.halted = False
        self.held: list[Handle] = []
        self.context = Context()
        self.context.run(RUNNING.set, self)

    def hold(self, handle: Handle) -> None:
        self.held.append(handle)


@pytest.fixture
def loop() -> Iterator[Timeline]:
    loop = Timeline()
    yield loop
    for _ in range(2):
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def test_hour_takes_no_time_and_timers_run_in_order(loop: Timeline) -> None:
    told: list[str] = []
    loop.call_later(3600, told.append, "late")
    loop.call_later(1, told.append, "early").cancel()
    loop.call_later(2, told.append, "first")
    loop.call_later(2, told.append, "second")
    loop.run_until_complete(asyncio.sleep(4000))
    assert told == ["first", "second", "late"]
    assert loop.time() == 4000


def test_process_that_stands_still_goes_on_where_it_was(loop: Timeline) -> None:
    process, told = Process(), list[float]()

    async def tick() -> None:
        while True:
            await asyncio.sleep(1)
            told.append(loop.time())

    loop.create_task(tick(), context=process.context)
    loop.call_without_process(2.5, setattr, process, "halted", True)

    def go_on() -> None:
        process.halted = False
        loop.resume(process.held)

    loop.call_without_process(10.25, go_on)
    loop.run_until_complete(asyncio.sleep(12))
    assert told == [1, 2, 10.25, 11.25]


def test_killed_process_does_not_clean_up(loop: Timeline) -> None:
    process, told = Process(), list[str]()

    async def work() -> None:
        try:
            await asyncio.sleep(5)
        finally:
            told.append("cleaned up")

    loop.create_task(work(), context=process.context)
    loop.call_without_process(1, setattr, process, "halted", True)
    loop.run_until_complete(asyncio.sleep(60))
    assert told == []
    process.halted = False


def test_to_wait_for_nobody_is_an_error(loop: Timeline) -> None:
    with pytest.raises(NothingLeftError):
        loop.run_until_complete(loop.create_future())
