"""Due timers are published when their time has come: in order, once, and no faster than their queue allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.charges.repository import UNCERTAIN
from paynotify.processors.charges.stage import ChargeTimers
from paynotify.processors.limits.hourly_quota import HourlyQuota
from paynotify.processors.orders.timers import OrderTimers
from paynotify.processors.runtime.timers import TimerService
from paynotify.processors.state import timer_queue
from paynotify.processors.state.memory_store import MemoryStore
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.state.rocksdb_store import RocksDBStore
from paynotify.processors.state.timer_queue import Timer
from paynotify.schemas import messages
from paynotify.schemas.errors import StateUnavailableError
from paynotify.schemas.messages import TimeReached
from paynotify.schemas.records import Output
from tests.fakes.stages import counted, metrics

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Moment:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def entry(seconds: float, name: str = "shop/1", queue: str = "look/shop") -> Timer:
    return Timer(queue, timer_queue.milliseconds(NOW) + round(seconds * 1000), name)


def stored(path: Path, *entries: Timer, retention_seconds: int | None = None) -> RocksDBStore:
    store, state = RocksDBStore(path / "state", retention_seconds), Overlay(None)
    for one in entries:
        timer_queue.add(state, one)
    store.write(state.changes, 1)
    return store


def clock(moment: Moment, allowance: HourlyQuota | None = None) -> TimerService:
    return TimerService("payments.orders", {"look/shop": allowance, "raise": None}, lambda one: one.name, moment)


def told(clock: TimerService, store: RocksDBStore) -> list[str]:
    return [messages.decode(one.value, TimeReached).name for one in clock.due_records(0, store)]


def test_gauges_of_a_partition_are_exported_by_its_owner_alone(tmp_path: Path) -> None:
    """Or an alarm would stay for as long as the process lives that raised it."""
    numbers = metrics()
    store = RocksDBStore(tmp_path / "state")
    store.write({UNCERTAIN + b"shop/1": b""}, 1)
    moment, kept = Moment(), RocksDBStore(tmp_path / "kept")
    charges, orders = (
        ChargeTimers("payments.charges", {}, numbers, moment),
        OrderTimers("payments.orders", {}, numbers, moment, grace_seconds={}),
    )
    charges.due_records(0, store)
    orders.due_records(0, store)
    numbers.silent.labels("nevogate", "").set(1)
    for seconds in (5, 10, 5):
        charges.due_records(1, kept)
        assert counted(numbers.uncertain, partition="0") == 1, "a rebalance may be all there is"
        assert numbers.silent._metrics
        moment.now += timedelta(seconds=seconds)
        charges.due_records(1, kept)
        charges.forget_revoked()
        orders.forget_revoked()
    assert list(numbers.uncertain._metrics) == [("1",)]
    assert not numbers.silent._metrics


@pytest.mark.parametrize("retention_seconds", [None, 3600])
def test_due_timers_are_published_in_order_and_others_are_not(tmp_path: Path, retention_seconds: int | None) -> None:
    store = stored(tmp_path, entry(5, "later"), entry(0, "b"), entry(-9, "a"), retention_seconds=retention_seconds)
    moment = Moment()
    assert told(clock(moment), store) == ["a", "b"]


def test_timer_is_published_again_only_if_it_is_still_due_much_later(tmp_path: Path) -> None:
    store, moment = stored(tmp_path, entry(0)), Moment()
    teller = clock(moment)
    assert told(teller, store) == ["shop/1"]
    assert told(teller, store) == []
    moment.now += timedelta(seconds=61)
    assert told(teller, store) == ["shop/1"]
    state = Overlay(store)
    timer_queue.remove(state, entry(0))
    store.write(state.changes, 2)
    moment.now += timedelta(seconds=61)
    assert told(teller, store) == []


def test_queue_waits_for_its_own_quota_alone(tmp_path: Path) -> None:
    entries = [entry(-10 + number, f"shop/{number}") for number in range(5)]
    store, moment = stored(tmp_path, *entries, entry(0, "shop/9", "raise")), Moment()
    allowance = HourlyQuota(2, lambda: moment.now.timestamp())
    teller = clock(moment, allowance)
    assert told(teller, store) == ["shop/0", "shop/1", "shop/9"]
    assert told(teller, store) == []
    moment.now += timedelta(minutes=30)
    # the first two have not been handled and are told again only where the allowance lets them
    assert told(teller, store) == ["shop/0", "shop/9"]


def test_queue_with_a_grace_period_waits_after_each_acquisition(tmp_path: Path) -> None:
    store, moment = stored(tmp_path, entry(0), entry(0, "shop/2", "raise")), Moment()
    teller = TimerService(
        "payments.orders",
        {"look/shop": None, "raise": None},
        lambda one: one.name,
        moment,
        grace_seconds={"raise": 12.0},
    )
    assert told(teller, store) == ["shop/1"]
    for _ in range(2):
        assert told(teller, store) == []
        moment.now += timedelta(seconds=6)
    assert told(teller, store) == ["shop/2"]
    moment.now += timedelta(seconds=61)  # another had it, or nobody
    assert told(teller, store) == ["shop/1"]
    for _ in range(2):
        assert told(teller, store) == []
        moment.now += timedelta(seconds=6)
    assert told(teller, store) == ["shop/2"]


def test_time_record_is_the_same_whoever_publishes_it_and_when(tmp_path: Path) -> None:
    store, moment = stored(tmp_path, entry(0)), Moment()
    (first,) = clock(moment).due_records(0, store)
    moment.now += timedelta(hours=3)
    (second,) = clock(moment).due_records(0, store)
    assert first == second


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.text(st.characters(codec="utf-8"), max_size=20))))
def test_timers_are_read_as_they_were_added(times: list[tuple[float, str]]) -> None:
    entries = [entry(seconds, name) for seconds, name in times]
    keys = sorted({one.key for one in entries})

    class Keys:
        def keys(self, prefix: bytes, before: bytes, limit: int) -> list[bytes]:
            return [key for key in keys if key.startswith(prefix) and key < before][:limit]

    found = timer_queue.due(Keys(), "look/shop", NOW, 1000)
    assert sorted(set(found), key=lambda one: one.key) == found
    assert set(found) == {one for one in entries if timer_queue.moment_of(one.due_milliseconds) <= NOW}


async def test_persisted_changes_are_written_at_once_and_not_again() -> None:
    kept: list[dict[bytes, bytes | None]] = []

    class Owner:
        async def persist(self, changes: Mapping[bytes, bytes | None]) -> None:
            kept.append(dict(changes))

        async def publish(self, outputs: Sequence[Output]) -> None:
            raise AssertionError("nothing is published")

    state = Overlay(None, Owner())
    state.put(b"a", b"1")
    state.delete(b"b")
    await state.persist()
    await state.persist()
    branch = state.branch()
    branch.put(b"c", b"1")
    await branch.persist()
    assert kept == [{b"a": b"1", b"b": None}, {b"c": b"1"}]
    assert not state.changes
    assert not branch.changes


async def test_persisting_without_a_state_is_refused() -> None:
    with pytest.raises(StateUnavailableError):
        await Overlay(None).persist()


def test_time_record_goes_to_the_partition_whose_state_has_the_timer(tmp_path: Path) -> None:
    (record,) = clock(Moment()).due_records(3, stored(tmp_path, entry(0)))
    assert (record.key, record.partition) == (b"shop/1", 3), "even if the key would lead it elsewhere by now"


def grouping(moment: Moment, allowance: HourlyQuota | None = None, size: int = 3) -> TimerService:
    return TimerService(
        "observations",
        {"look/shop": allowance},
        lambda one: "shop",
        moment,
        group_sizes={"look/shop": size},
        gather_seconds=60.0,
    )


def groups(clock: TimerService, store: RocksDBStore) -> list[list[str]]:
    return [list(messages.decode(one.value, TimeReached).names) for one in clock.due_records(0, store)]


def test_full_group_is_published_at_once_and_the_rest_after_gathering(tmp_path: Path) -> None:
    timers = [entry(number / 10, f"shop/{number}") for number in range(5)]
    store, moment, handled = stored(tmp_path, *timers), Moment(), Overlay(None)
    moment.now += timedelta(seconds=1)
    teller = grouping(moment)
    assert groups(teller, store) == [["shop/0", "shop/1", "shop/2"]]
    for one in timers[:3]:
        timer_queue.remove(handled, one)
    store.write(handled.changes, 2)
    moment.now += timedelta(seconds=58)
    assert groups(teller, store) == []
    moment.now += timedelta(seconds=2)
    assert groups(teller, store) == [["shop/3", "shop/4"]]


def test_group_takes_one_from_the_quota(tmp_path: Path) -> None:
    store, moment = stored(tmp_path, *(entry(-99, f"shop/{number}") for number in range(8))), Moment()
    teller = grouping(moment, HourlyQuota(2, lambda: moment.now.timestamp()))
    assert [len(one) for one in groups(teller, store)] == [3, 3]
    assert groups(teller, store) == []


def test_group_record_has_each_timers_own_time(tmp_path: Path) -> None:
    timers = (entry(-100, "shop/1"), entry(-99.5, "shop/2"))
    store, moment = stored(tmp_path, *timers), Moment()
    (record,) = grouping(moment).due_records(0, store)
    time = messages.decode(record.value, TimeReached)
    assert (time.name, time.names, time.later_milliseconds) == ("", ("shop/1", "shop/2"), (0, 500))
    assert timer_queue.reached(time) == timers
    assert (record.key, record.partition) == (b"shop", 0)


@pytest.mark.parametrize("in_flight", [0, 430, 500])
def test_long_queue_is_published_in_full_groups_only(tmp_path: Path, in_flight: int) -> None:
    """A part of a group at the end of what was read is no group: it would cost a call for a few."""
    store, moment = stored(tmp_path, *(entry(-900, f"shop/{number:04}") for number in range(1050))), Moment()
    teller = grouping(moment, size=100)
    sizes: list[int] = []
    published: list[str] = []
    for _ in range(30):
        found = groups(teller, store)
        sizes += map(len, found)
        published += [name for one in found for name in one]
        moment.now += timedelta(seconds=1)
        handled = Overlay(store)
        for name in published[: max(0, len(published) - in_flight)]:
            timer_queue.remove(handled, entry(-900, name))
        store.write(handled.changes, 2)
        in_flight = max(0, in_flight - 50)
    assert published == [f"shop/{number:04}" for number in range(1050)]
    assert sizes == [100] * 10 + [50]


@given(st.lists(st.integers(-200, 0), max_size=30), st.integers(1, 7))
def test_each_due_timer_is_in_one_group(seconds: list[int], size: int) -> None:
    timers = [entry(second, f"shop/{number}") for number, second in enumerate(seconds)]
    store, moment, state = MemoryStore(), Moment(), Overlay(None)
    for one in timers:
        timer_queue.add(state, one)
    store.write(state.changes, 1)
    moment.now += timedelta(seconds=60)
    teller = grouping(moment, size=size)
    found = [messages.decode(one.value, TimeReached) for one in teller.due_records(0, store)]
    assert [one for time in found for one in timer_queue.reached(time)] == sorted(timers, key=lambda one: one.key)
    assert all(len(time.names) == size for time in found[:-1])
