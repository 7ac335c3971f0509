"""The rate limit on a merchant's calls: the provider counts arrivals, which lie anywhere within a call."""

from __future__ import annotations

import asyncio
import random

import pytest

from paynotify.processors.limits.call_pacer import CallPacer


class Clock:
    """Time that passes only while somebody waits; timers fire a little early, as those of an event loop may."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += max(seconds - 0.001, seconds / 2, 1e-9)


async def test_seventh_call_waits_until_the_first_has_ended_for_a_second() -> None:
    clock = Clock()
    pace = CallPacer(6.0, lambda: clock.now, clock.sleep)
    for _ in range(6):
        async with pace("one"):
            clock.now += 0.1
    assert not clock.waits
    async with pace("one"):
        assert clock.now >= 1.1
    assert clock.waits[0] == pytest.approx(0.5)


async def test_merchants_do_not_wait_for_each_other() -> None:
    clock = Clock()
    pace = CallPacer(1.0, lambda: clock.now, clock.sleep)
    async with pace("one"):
        pass
    async with pace("other"):
        assert not clock.waits


async def test_failed_call_counts_like_any_other() -> None:
    clock = Clock()
    pace = CallPacer(1.0, lambda: clock.now, clock.sleep)
    with pytest.raises(OSError, match="gone"):
        async with pace("one"):
            raise OSError("gone")
    async with pace("one"):
        assert clock.now >= 1.0


async def test_calls_in_flight_never_exceed_the_slots() -> None:
    pace, begun, over = CallPacer(2.0), 0, asyncio.Event()

    async def call() -> None:
        nonlocal begun
        async with pace("one"):
            begun += 1
            await over.wait()

    calls = [asyncio.create_task(call()) for _ in range(3)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert begun == 2
    for one in calls:
        one.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_rate_below_one_is_one_call_in_so_many_seconds() -> None:
    clock = Clock()
    pace = CallPacer(0.5, lambda: clock.now, clock.sleep)
    for _ in range(2):
        async with pace("one"):
            pass
    assert clock.now >= 2.0


@pytest.mark.parametrize("seed", range(20))
async def test_arrivals_in_any_second_never_exceed_the_limit(seed: int) -> None:
    """With equal intervals between starts, seven calls would arrive within a second if their latencies differ."""
    chance, clock, arrivals = random.Random(seed), Clock(), []
    pace = CallPacer(6.0, lambda: clock.now, clock.sleep)
    for _ in range(200):
        async with pace("one"):
            seconds = chance.choice((0.001, 0.02, 0.3))
            arrivals.append(clock.now + chance.random() * seconds)
            clock.now += seconds
    assert all(later - earlier >= 1.0 for earlier, later in zip(arrivals, arrivals[6:], strict=False))
