"""The fan-out: every viewer gets what it wants in order, or is told how much it did not get; nobody waits for it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paynotify.ops.console.live.events import FORGOTTEN, LiveEvent, LiveFilter
from paynotify.ops.console.live.fan_out import (
    KEPT_EVENTS,
    MAX_WATCHERS,
    MAX_WATCHERS_OF_ONE,
    QUEUED_EVENTS,
    EventFanOut,
    TooManyWatchersError,
)
from paynotify.schemas import topics
from paynotify.schemas.records import Record
from tests.fakes.console_topics import newest_record, payment_status, record

SOON = 0.01
EVERYTHING = LiveFilter()


def event(number: int, **changes: str) -> LiveEvent:
    whole = LiveEvent("status", "nevogate", "shop-hu", f"p{number}", "", "captured", f"{number:09}", "t", 0, number)
    return replace(whole, **changes)  # type: ignore[arg-type]


def events(count: int, **changes: str) -> list[LiveEvent]:
    return [event(number, **changes) for number in range(count)]


@st.composite
def floods(draw: st.DrawFn) -> list[tuple[int, bool]]:
    """Batches of events, and after which of them the viewer takes what came."""
    return draw(st.lists(st.tuples(st.integers(0, 2 * QUEUED_EVENTS), st.booleans()), max_size=12))


@settings(max_examples=30, deadline=None)
@given(floods())
def test_viewer_gets_every_event_in_order_or_knows_how_many_not(flood: list[tuple[int, bool]]) -> None:
    async def run() -> None:
        fan_out, made = EventFanOut(), 0
        watcher = fan_out.watch(EVERYTHING)
        got: list[int] = []
        for count, takes in [*flood, (0, True)]:
            fan_out.publish([event(made + number) for number in range(count)])
            made += count
            if takes:
                new = await watcher.take(SOON)
                assert len(new.events) <= QUEUED_EVENTS
                offsets = [one.offset for one in new.events]
                assert offsets == list(range(made - len(offsets), made)), "the newest, in order"
                assert len(got) + new.left_out + len(offsets) == made
                got += [*range(new.left_out), *offsets]
                assert new.mark == fan_out.mark
        assert len(got) == made

    asyncio.run(run())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 300), st.integers(0, 300))
def test_viewer_who_comes_back_gets_what_came_meanwhile(before: int, meanwhile: int) -> None:
    async def run() -> None:
        fan_out = EventFanOut()
        fan_out.publish(events(before))
        mark = fan_out.mark
        fan_out.publish([event(before + number) for number in range(meanwhile)])
        new = await fan_out.watch(EVERYTHING, mark).take(SOON)
        assert len(new.events) + new.left_out == meanwhile
        assert not new.has_gap

    asyncio.run(run())


async def test_viewer_of_another_process_or_long_ago_is_told_of_a_gap() -> None:
    fan_out = EventFanOut()
    early = fan_out.mark
    fan_out.publish(events(KEPT_EVENTS + 1))
    for mark in (EventFanOut().mark, early, "nonsense", f"{early.split('-')[0]}-{'9' * 40}"):
        assert (await fan_out.watch(EVERYTHING, mark).take(SOON)).has_gap, mark
    assert not (await fan_out.watch(EVERYTHING).take(SOON)).has_gap


async def test_viewer_sees_only_the_merchants_that_it_may() -> None:
    fan_out = EventFanOut()
    may = LiveFilter(merchants=frozenset({"shop-hu"}))
    watcher, asked = fan_out.watch(may), fan_out.watch(replace(may, merchant="shop-uk"))
    fan_out.publish([event(1), event(2, merchant="shop-uk"), event(3, merchant="")])
    assert [one.offset for one in (await watcher.take(SOON)).events] == [1]
    assert (await asked.take(SOON)).events == ()
    assert [one.offset for one in fan_out.newest(may, 10)] == [1]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (LiveFilter(), [0, 1, 2, 3]),
        (LiveFilter(kinds=frozenset({"dead"})), [1]),
        (LiveFilter(provider="omnikassa"), [2]),
        (LiveFilter(merchant="shop-hu", payment_id="p0"), [0]),
        (LiveFilter(merchant="shop-hu", payment_id="p0", order_id="O3"), [0, 3]),
        (LiveFilter(order_id="O3"), [3]),
    ],
)
def test_filter_finds_what_it_names(wanted: LiveFilter, found: Sequence[int]) -> None:
    made = [event(0), event(1, kind="dead"), event(2, provider="omnikassa"), event(3, order_id="O3")]
    assert [one.offset for one in made if wanted.matches(one)] == list(found)


def test_newest_are_sorted_by_time_and_a_flood_of_one_kind_hides_no_other() -> None:
    fan_out = EventFanOut()
    fan_out.publish([event(5, kind="dead"), *events(3 * KEPT_EVENTS, kind="rejected")])
    fan_out.publish([event(9), event(7)])
    shown = LiveFilter(kinds=frozenset({"status", "dead"}))
    assert [one.offset for one in fan_out.newest(shown, 50)] == [9, 7, 5]
    assert len(fan_out.newest(EVERYTHING, 50)) == 50


async def test_forgotten_payment_is_on_no_page_but_its_own_is_told() -> None:
    fan_out = EventFanOut()
    fan_out.publish([event(1), event(2)])
    mark = fan_out.mark
    watcher = fan_out.watch(LiveFilter(payment_id="p1"))
    fan_out.publish([event(1, says="expired"), event(1, kind=FORGOTTEN)])
    assert [one.payment_id for one in fan_out.newest(EVERYTHING, 10)] == ["p2"]
    assert [one.kind for one in (await watcher.take(SOON)).events] == [FORGOTTEN]
    assert [one.kind for one in (await fan_out.watch(EVERYTHING, mark).take(SOON)).events] == [FORGOTTEN]


def test_primed_events_come_before_all_others_and_only_once() -> None:
    fan_out = EventFanOut()
    newest = newest_record(7, payment_status("a", 2))
    fan_out.take(topics.LATEST, [newest])
    older = newest_record(3, payment_status("b", 1))
    gone = record(topics.LATEST, 0, 4, "shop-uk/c", None)
    fan_out.prime(topics.LATEST, [older, gone, newest])
    assert [one.payment_id for one in fan_out.newest(EVERYTHING, 10)] == ["a", "b"]


def test_event_says_nothing_of_a_rejected_body() -> None:
    fan_out = EventFanOut()
    refused = record(topics.REJECTED, 0, 0, "shop-uk/57-9-3", b"name=A Person", reason="bad_signature", ce_id="n1")
    fan_out.take(topics.REJECTED, [refused])
    (shown,) = fan_out.newest(EVERYTHING, 10)
    assert shown.says == "bad_signature"
    assert "Person" not in repr(shown)


async def test_viewers_are_bounded_and_one_who_leaves_makes_room() -> None:
    fan_out = EventFanOut()
    watchers = [fan_out.watch(EVERYTHING) for _ in range(MAX_WATCHERS)]
    with pytest.raises(TooManyWatchersError):
        fan_out.watch(EVERYTHING)
    fan_out.leave(watchers[0])
    fan_out.watch(EVERYTHING)


async def test_one_person_leaves_room_for_the_pages_of_others() -> None:
    fan_out = EventFanOut()
    watchers = [fan_out.watch(EVERYTHING, person="anna") for _ in range(MAX_WATCHERS_OF_ONE)]
    with pytest.raises(TooManyWatchersError):
        fan_out.watch(EVERYTHING, person="anna")
    fan_out.watch(EVERYTHING, person="ben")
    fan_out.leave(watchers[0])
    fan_out.watch(EVERYTHING, person="anna")


async def test_closing_ends_every_wait_also_of_those_who_come_later() -> None:
    fan_out = EventFanOut()
    early = fan_out.watch(EVERYTHING)
    waiting = asyncio.create_task(early.take(60))
    fan_out.close()
    await asyncio.wait_for(waiting, 5)
    late = fan_out.watch(EVERYTHING)
    await asyncio.wait_for(late.take(60), 5)
    assert early.has_ended()
    assert late.has_ended()


async def test_thread_that_publishes_wakes_the_viewers_and_waits_for_none() -> None:
    fan_out = EventFanOut()
    stuck = [fan_out.watch(EVERYTHING) for _ in range(MAX_WATCHERS - 1)]
    watcher = fan_out.watch(EVERYTHING)
    waiting = asyncio.create_task(watcher.take(60))
    began = time.monotonic()
    await asyncio.to_thread(lambda: deque(map(fan_out.publish, ([one] for one in events(500))), maxlen=0))
    assert time.monotonic() - began < 5, "500 events for 50 viewers, of whom 49 read nothing"
    assert (await asyncio.wait_for(waiting, 5)).events
    assert {(await one.take(SOON)).left_out for one in stuck} == {500 - QUEUED_EVENTS}


async def test_viewer_learns_of_the_gap_that_a_great_batch_leaves() -> None:
    fan_out = EventFanOut()
    fan_out.take(topics.LATEST, [latest(0, "kept")])
    watcher, mark = fan_out.watch(EVERYTHING), fan_out.mark
    assert not (await watcher.take(SOON)).has_gap
    forgets = record(topics.LATEST, 0, 1, "shop-uk/kept", None)
    fan_out.take(topics.LATEST, [forgets, *(latest(2 + at, f"p{at}") for at in range(KEPT_EVENTS))])
    assert (await watcher.take(SOON)).has_gap
    assert (await fan_out.watch(EVERYTHING, after=mark).take(SOON)).has_gap, "of one who was away, too"
    assert "kept" not in {one.payment_id for one in fan_out.newest(EVERYTHING, 2 * KEPT_EVENTS)}


def latest(offset: int, payment_id: str) -> Record:
    return newest_record(offset, payment_status(payment_id, 1))
