"""Payments that settle without a notification are asked for in time, in groups, once, and are never forgotten."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from paynotify.processors.limits.hourly_quota import HourlyQuota
from paynotify.processors.resolve import follow_up
from paynotify.processors.resolve.payment_state import encoded
from paynotify.processors.resolve.retention import closed
from paynotify.processors.state.overlay import Overlay
from paynotify.schemas import messages
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import PaymentSeen
from paynotify.schemas.records import Output, Record
from tests.fakes.following import (
    FIRST_MORNING,
    LAST_MORNING,
    MERCHANT,
    SOLD_AT,
    FollowingPartition,
    lookups,
    references,
    said,
)
from tests.fakes.stages import counted, header

FIRST_LOOK = datetime.combine(FIRST_MORNING, time(8), UTC)
LAST_LOOK = datetime.combine(LAST_MORNING, time(8), UTC)


async def followed(payments: int = 1, **fields: object) -> FollowingPartition:
    """A partition with authorised payments, in the morning of their first look."""
    partition = FollowingPartition(**fields)  # type: ignore[arg-type]
    await partition.observe(*(said(f"p{number}", SOLD_AT) for number in range(payments)))
    partition.now = FIRST_LOOK + timedelta(minutes=15)
    return partition


async def test_lookup_says_what_it_asks_for_and_why() -> None:
    partition = await followed(3)
    (output,) = await partition.work(partition.due())
    assert (output.topic, output.key) == ("lookups.trustpayments", b"shop-uk")
    (lookup,) = lookups([output])
    assert references(lookup) == ["p0", "p1", "p2"]
    assert lookup.arguments["cause"] == "settlement due"
    assert lookup.arguments["recovery"] == "1"
    assert header(output, "ce_type") == "payment.lookup.requested.v1"
    assert header(output, "ce_time") == lookup.received_at
    assert header(output, "ce_id") == derived_id("lookup", (output.value or b"").decode())
    assert counted(partition.numbers.settlements_due, provider="trustpayments") == 3


async def test_payment_is_not_looked_at_before_its_time_and_at_most_ten_minutes_after() -> None:
    partition = await followed()
    partition.now = FIRST_LOOK - timedelta(seconds=1)
    assert await partition.tick() == []
    partition.now = FIRST_LOOK + timedelta(minutes=11)
    assert len(await partition.tick()) == 1


async def test_time_record_read_again_looks_nothing_up() -> None:
    partition = await followed(3)
    records = partition.due()
    assert len(await partition.work(records)) == 1
    assert await partition.work(records) == []
    partition.restart()
    assert await partition.work(partition.due()) == []


async def test_time_record_of_a_payment_settled_meanwhile_leaves_it_alone() -> None:
    partition = await followed(2)
    records = partition.due()
    await partition.observe(said("p0", partition.now, FIRST_LOOK))
    (lookup,) = lookups(await partition.work(records))
    assert references(lookup) == ["p1"]
    assert len(partition.timer_keys()) == 1


async def test_time_record_of_a_payment_not_followed_any_more_leaves_it_alone() -> None:
    """Though it still is authorised: only a timer that exists may recover what an earlier release dropped."""
    partition = await followed(1)
    records = partition.due()
    await partition.observe(replace(said("p0", partition.now), follow=None))
    assert await partition.work(records) == []


async def test_settled_payment_has_no_timer() -> None:
    partition = await followed()
    assert len(partition.timer_keys()) == 1
    await partition.observe(said("p0", partition.now, FIRST_LOOK))
    assert partition.timer_keys() == []


async def test_two_days_of_standstill_ask_once() -> None:
    partition = await followed(2)
    partition.wait(days=2)
    assert [references(one) for one in await partition.tick()] == [["p0", "p1"]]
    partition.wait(hours=23)
    assert await partition.tick() == []
    partition.wait(hours=1)
    assert len(await partition.tick()) == 1


async def test_overnight_settlements_of_one_merchant_cost_one_call_for_each_hundred() -> None:
    """A partition's share of 100,000 payments on twelve partitions: all are asked for within an hour."""
    payments, an_hour = 8334, 3600
    quota = HourlyQuota(3600 // 12, lambda: partition.now.timestamp(), burst=5)
    partition = FollowingPartition(quota=quota)
    await partition.observe(*(said(f"p{number}", SOLD_AT) for number in range(payments)))
    partition.now = FIRST_LOOK
    asked: list[list[str]] = []
    for _ in range(an_hour // 10):
        partition.wait(seconds=10)
        asked += [references(one) for one in await partition.tick()]
    assert len(asked) == 84
    assert sorted(name for one in asked for name in one) == sorted(f"p{number}" for number in range(payments))


async def test_more_references_than_a_query_takes_are_split() -> None:
    partition = await followed(5, references_per_lookup=2)
    assert [references(one) for one in await partition.tick()] == [["p0", "p1"], ["p2", "p3"], ["p4"]]


async def test_merchants_begin_at_times_of_their_own_and_one_merchants_payments_together() -> None:
    dues = {key: FollowingPartition(merchants=(key,)) for key in ("shop-a", "shop-b", "shop-c")}
    begins = set()
    for merchant, partition in dues.items():
        await partition.observe(*(replace(said(f"p{number}", SOLD_AT), merchant=merchant) for number in range(9)))
        (due,) = {key.partition(b"\0")[2].partition(b"\0")[2][:8] for key in partition.timer_keys(merchant)}
        begins.add(due)
    assert len(begins) == 3


async def test_timer_of_a_payment_that_is_gone_is_removed() -> None:
    partition = await followed(2)
    records = partition.due()
    partition.store.write({b"shop-uk/p0": None}, 1)
    assert [references(one) for one in lookups(await partition.work(records))] == [["p1"]]
    assert len(partition.timer_keys()) == 1


async def test_payments_of_an_unknown_merchant_wait_until_it_is_configured() -> None:
    """Such as while the workers get a new configuration one after another."""
    partition = FollowingPartition(merchants=())
    await partition.observe(said("p0", SOLD_AT))
    partition.now = FIRST_LOOK + timedelta(minutes=15)
    assert await partition.tick() == []
    partition.merchants = (MERCHANT,)
    partition.restart()
    records = partition.due()
    partition.merchants = ()
    partition.restart()
    assert await partition.work(records) == []
    partition.merchants = (MERCHANT,)
    partition.restart()
    assert [references(one) for one in await partition.tick()] == [["p0"]]


async def test_unreadable_state_does_not_take_its_group_along() -> None:
    partition = await followed(2)
    partition.store.write({b"shop-uk/p0": b"zgarbage"}, 1)
    assert [references(one) for one in await partition.tick()] == [["p1"]]


async def test_compressed_payment_is_followed_too() -> None:
    partition = await followed(1)
    key = b"shop-uk/p0"
    partition.store.write({key: closed(partition.store.values[key], 0.0)}, 1)
    assert len(await partition.tick()) == 1
    assert len(partition.timer_keys()) == 1


async def test_payment_whose_follow_up_an_earlier_release_dropped_is_looked_at() -> None:
    partition = await followed(1)
    key = b"shop-uk/p0"
    partition.store.write({key: encoded(replace(partition.state("p0"), follows=()))}, 1)
    assert [references(one) for one in await partition.tick()] == [["p0"]]
    assert len(partition.timer_keys()) == 1, "and the response will say what is to be followed"


async def test_payment_not_settled_in_time_is_given_up_with_a_count() -> None:
    partition = await followed()
    looks = 0
    while partition.timer_keys():
        looks += len(await partition.tick())
        partition.wait(days=1)
    assert looks == 9, "on the morning after the due date, and on each of the eight after it"
    assert counted(partition.numbers.settlements_given_up, provider="trustpayments") == 1


async def test_orders_hear_when_a_payment_settles() -> None:
    partition = FollowingPartition()
    outputs = await partition.observe(said("p0", SOLD_AT))
    (news,) = [messages.decode(one.value, PaymentSeen) for one in outputs if one.topic == "payments.orders"]
    assert (news.settles_by, news.paid, news.order_role) == ("2026-06-02T08:00:00.000Z", None, "whole")
    later = said("p0", SOLD_AT + timedelta(hours=1))
    assert later.follow is not None
    moved = replace(later, follow=replace(later.follow, settles_by="2026-06-05T08:00:00.000Z"))
    outputs = await partition.observe(moved)
    (news,) = [messages.decode(one.value, PaymentSeen) for one in outputs if one.topic == "payments.orders"]
    assert news.settles_by == "2026-06-05T08:00:00.000Z"


STEP = st.fixed_dictionaries(
    {
        "hours": st.sampled_from([1, 5, 12, 24, 50]),
        "answer": st.sampled_from(["at once", "late", "lost"]),
        "crash": st.sampled_from(["none", "after outputs", "after state"]),
        "notified": st.booleans(),
        "restart": st.booleans(),
    }
)


@settings(max_examples=60)
@given(
    settles=st.lists(st.sampled_from([None, 8, 20, 30, 100, 300]), min_size=1, max_size=4),
    steps=st.lists(STEP, max_size=25),
)
async def test_payment_is_never_forgotten_and_never_looked_at_twice_for_one_morning(
    settles: list[int | None], steps: list[dict[str, object]]
) -> None:
    partition = FollowingPartition(references_per_lookup=2)
    settled_from = {
        f"p{number}": None if hours is None else SOLD_AT + timedelta(hours=hours)
        for number, hours in enumerate(settles)
    }
    await partition.observe(*(said(one, SOLD_AT) for one in settled_from))
    published: dict[str, Output] = {}
    late: list[Record] = []
    rest = [{"hours": 24, "answer": "at once", "crash": "none", "notified": False, "restart": False}] * 14
    for step in (*steps, *rest):
        partition.wait(hours=step["hours"])
        batch = partition.due()
        if step["restart"]:
            partition.restart()
            batch += partition.due()
        if step["notified"]:
            batch.append(partition.record(said("p0", partition.now, settled_from["p0"])))
        batch += late
        late = []
        asked = await _crashing(partition, batch, str(step["crash"]))
        for output in asked:
            published[header(output, "ce_id")] = output
        partition.wait(seconds=20)
        answers = [
            partition.record(said(one, partition.now, settled_from[one]))
            for lookup in lookups(asked)
            for one in references(lookup)
        ]
        if step["answer"] == "at once":
            await partition.work(answers)
        elif step["answer"] == "late":
            late = answers
        for payment in settled_from:
            following = follow_up.next_due(partition.state(payment).follows) is not None
            timers = [key for key in partition.timer_keys() if key.endswith(f"{MERCHANT}/{payment}".encode())]
            assert len(timers) == following
    looks = Counter(
        (reference, _morning(lookup.received_at))
        for lookup in lookups(list(published.values()))
        for reference in references(lookup)
    )
    assert set(looks.values()) <= {1}
    for payment in settled_from:
        state = partition.state(payment)
        assert state.last is not None
        assert state.last.status == "captured" or [one.given_up for one in state.follows] == [True]


async def _crashing(partition: FollowingPartition, batch: list[Record], crash: str) -> list[Output]:
    """The lookups of a batch during which the worker is killed."""
    if crash == "after outputs":
        first = await partition.outputs(batch)
        partition.restart()
        again = await partition.outputs(batch, overlay := Overlay(partition.store))
        assert again == first
        partition.store.write(overlay.changes, 1)
        return [one for one in again if one.topic.startswith("lookups.")]
    outputs = await partition.work(batch)
    if crash == "after state":
        partition.restart()
        assert lookups(await partition.work(batch)) == []
    return [one for one in outputs if one.topic.startswith("lookups.")]


def _morning(at: str) -> datetime:
    """The nominal time that a look at this time is for."""
    moment = datetime.fromisoformat(at)
    morning = moment.replace(hour=8, minute=0, second=0, microsecond=0)
    return morning if morning <= moment else morning - timedelta(days=1)


@pytest.mark.parametrize("value", [None, b"", b"garbage", b"{}", b"[]"])
async def test_unreadable_time_record_is_dead_lettered_alone(value: bytes | None) -> None:
    partition = await followed(1)
    (record,) = partition.due()
    outputs = await partition.work([replace(record, value=value), record])
    assert [one.topic for one in outputs] == ["lookups.dead", "lookups.trustpayments"]
