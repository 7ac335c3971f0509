"""Calls that wait for a payment's next event: woken by the follower, bounded, let go when the process stops."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack

import pytest

from paynotify.ops.console.api.event_waiters import EventWaiters, TooManyWaitingError
from paynotify.schemas import topics
from tests.fakes.console_topics import record

KEY = b"shop-uk/57-9-1"


def told(waiters: EventWaiters, topic: str, key: str) -> None:
    """As the follower does it: in a thread of its own."""
    thread = threading.Thread(target=waiters.told, args=(topic, [record(topic, 0, 0, key, b"{}")]))
    thread.start()
    thread.join()


async def settled() -> None:
    """All that other threads have asked of the loop is done."""
    done = asyncio.Event()
    asyncio.get_running_loop().call_soon_threadsafe(done.set)
    await done.wait()


async def test_record_of_the_payment_wakes_those_who_wait_for_it() -> None:
    waiters = EventWaiters()
    with (
        waiters.waiting("shop", KEY) as one,
        waiters.waiting("desk", KEY) as two,
        waiters.waiting("shop", b"shop-uk/57-9-2") as other,
    ):
        told(waiters, topics.EXPECTED, "shop-uk/57-9-1")
        told(waiters, topics.LATEST, "shop-uk/57-9-3")
        await settled()
        assert not one.is_set()
        told(waiters, topics.LATEST, "shop-uk/57-9-1")
        await settled()
        assert (one.is_set(), two.is_set(), other.is_set()) == (True, True, False)


async def test_places_are_bounded_together_and_for_each_caller() -> None:
    waiters = EventWaiters(limit=3, limit_of_caller=2)
    with ExitStack() as waiting:
        for _ in range(2):
            waiting.enter_context(waiters.waiting("shop", KEY))
        with pytest.raises(TooManyWaitingError), waiters.waiting("shop", KEY):
            pass
        waiting.enter_context(waiters.waiting("desk", KEY))
        with pytest.raises(TooManyWaitingError), waiters.waiting("other", KEY):
            pass
    with waiters.waiting("shop", KEY):
        pass


async def test_end_of_the_process_wakes_everybody() -> None:
    waiters = EventWaiters()
    with waiters.waiting("shop", KEY) as one:
        waiters.close()
        assert one.is_set()
        assert waiters.closed


async def test_records_that_nobody_waits_for_are_passed_over() -> None:
    waiters = EventWaiters()
    with waiters.waiting("shop", KEY) as one:
        pass
    told(waiters, topics.LATEST, "shop-uk/57-9-1")
    await settled()
    assert not one.is_set()
