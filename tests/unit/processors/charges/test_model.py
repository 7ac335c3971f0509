"""Against a gateway that counts: whatever is lost, and wherever the process ends, money moves once or not at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations_with_replacement
from typing import Any, get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from paynotify.schemas import messages
from paynotify.schemas.messages import PaymentRequest, RequestedPayment
from paynotify.schemas.status import Status
from tests.fakes.charges import (
    REFERENCE,
    Fault,
    Gateway,
    Transaction,
    World,
    capture,
    charge,
    euros,
)

#: Most calls are answered, so that faults come late too.
FAULTS: st.SearchStrategy[Fault] = st.sampled_from(("answer",) * 12 + get_args(Fault))
ENDS: st.SearchStrategy[Status] = st.sampled_from(("authorised", "authorised", "failed", "pending", "expired"))
CLOSINGS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    ({}, {"amount": euros(300)}, {"amount": euros(1000)}, {"amount": euros(1001)}, {"action": "release"})
)
YES_OR_NO: st.SearchStrategy[bool] = st.booleans()
CAPTURES: st.SearchStrategy[str] = st.sampled_from(("now", "later"))
WITH_MONEY = ("authorised", "captured")


class Chance:
    """A bounded number of faults and crashes, then none: so that the truth can be known in the end."""

    def __init__(self, draw: st.DataObject, most: int) -> None:
        self._draw = draw
        self._left = most

    def fault(self, call: str) -> Fault:
        if self._left <= 0:
            return "answer"
        fault: Fault = self._draw.draw(FAULTS, label=call)
        self._left -= fault != "answer"
        return fault

    def crashes(self, place: str) -> bool:
        if self._left <= 0:
            return False
        crashes: bool = self._draw.draw(st.sampled_from((False,) * 30 + (True,)), label=place)
        self._left -= crashes
        return crashes


class Schedule:
    """Faults at the given calls and crashes at the given places, each by its number."""

    def __init__(self, faults: Mapping[int, Fault], crashes: Collection[int]) -> None:
        self._faults, self._crashes = faults, crashes
        self.calls = self.places = -1

    def fault(self, call: str) -> Fault:
        self.calls += 1
        return self._faults.get(self.calls, "answer")

    def crashes(self, place: str) -> bool:
        self.places += 1
        return self.places in self._crashes


async def charged(faults: Mapping[int, Fault], crashes: Collection[int]) -> Schedule:
    """One charge with its capture, a rival beside it and another later, through these faults."""
    schedule = Schedule(faults, crashes)
    world = World(Gateway(fault=schedule.fault), crashes=schedule.crashes)
    asked = [charge("r0", capture="now"), charge("x0", order_id="order-r0"), charge("y0", order_id="order-r0")]
    await world.work(*(world.asked(one) for one in asked[:2]))
    await world.work(world.asked(asked[2]))
    await world.settle()
    world.gateway.arrive()
    for one in asked:
        judge(world, one)
    judge_money(world, asked)
    return schedule


WRONG: tuple[Fault, ...] = tuple(fault for fault in get_args(Fault) if fault != "answer")


async def test_one_charge_with_every_fault_and_every_pair_of_faults() -> None:
    calls = (await charged({}, ())).calls + 3
    one = [(number, fault) for number in range(calls) for fault in WRONG]
    for first, second in combinations_with_replacement(one, 2):
        await charged(dict((first, second)), ())


async def test_one_charge_with_a_crash_at_every_place_and_any_fault_before_or_after() -> None:
    undisturbed = await charged({}, ())
    for place in range(undisturbed.places + 1):
        await charged({}, (place, place + 1, place + 5))
        for number in range(undisturbed.calls + 2):
            for fault in WRONG:
                await charged({number: fault}, (place,))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
async def test_money_moves_at_most_once_for_each_request_and_as_told(data: st.DataObject) -> None:
    chance = Chance(data, data.draw(st.integers(0, 8), label="faults"))
    gateway = Gateway(fault=chance.fault, end=lambda: data.draw(ENDS, label="end"))
    world = World(gateway, crashes=chance.crashes)
    if data.draw(YES_OR_NO, label="reference known"):
        await world.work(world.seen(REFERENCE))
    count = data.draw(st.integers(1, 4), label="requests")
    requests = [charge(f"r{number}", capture=data.draw(CAPTURES)) for number in range(count)]
    rivals = [replace(charge(f"x{number}"), order_id="order-r0") for number in range(2)]
    asked = [*requests, *rivals]
    await world.work(*(world.asked(one) for one in asked))
    for number in range(data.draw(st.integers(0, 6), label="rounds")):
        told: bool = data.draw(YES_OR_NO, label="told")
        if told and gateway.news:
            await world.work(world.seen(data.draw(st.sampled_from(gateway.news))))
        if data.draw(YES_OR_NO, label="asked again"):
            await world.work(world.asked(data.draw(st.sampled_from(asked))))
        payment_id = world.events(data.draw(st.sampled_from(requests)).request_id)[-1].payment_id
        if payment_id is not None:
            closing = capture(payment_id, f"c{number}", **data.draw(CLOSINGS))
            asked.append(closing)
            await world.work(world.asked(closing))
        await world.wait()
    await world.settle()
    gateway.arrive()
    assert not world.due()
    for one in asked:
        judge(world, one)
    judge_money(world, [one for one in asked if one.action == "charge"])


def judge(world: World, asked: RequestedPayment) -> None:
    """The request has ended as the gateway knows it, or is listed as uncertain."""
    last = world.events(asked.request_id)[-1]
    listed = f"shop/{asked.request_id}" in world.uncertain()
    assert listed == (last.state == "uncertain")
    if last.state == "refused":
        assert asked.action != "charge" or last.payment_id is None or not of(world, last).moved
    elif last.state == "done":
        transaction = of(world, last)
        if asked.action == "charge":
            # reserved money that another request released was moved, and is back
            assert transaction.moved == (last.status in WITH_MONEY or transaction.released)
            assert last.status in (transaction.status, "authorised")
        else:
            assert last.status == transaction.status
        if asked.capture == "now" and asked.action == "charge" and last.status == "captured":
            assert transaction.closed == 1
        if asked.action == "capture" and last.status == "captured" and len(closers(world, last)) == 1:
            assert transaction.captured == (asked.amount or transaction.amount).value
    else:
        assert listed, "neither ended nor held"


def of(world: World, event: PaymentRequest) -> Transaction:
    assert event.payment_id is not None
    return world.gateway.transactions[event.payment_id]


def closers(world: World, event: PaymentRequest) -> set[str]:
    """The requests that were told of a closing of the payment."""
    every = [messages.decode(output.value, PaymentRequest) for output in world.topic("payments.requests")]
    return {one.request_id for one in every if one.payment_id == event.payment_id and one.status == "captured"}


def judge_money(world: World, charges: list[RequestedPayment]) -> None:
    """No order was charged twice, no hold closed twice; and the limits hold no less than what was charged."""
    transactions = world.gateway.transactions.values()
    assert all(one.moved <= 1 and one.closed <= 1 and one.starts <= 1 for one in transactions)
    assert all(world.gateway.moved(order_id) <= 1 for order_id in {one.order_id or "" for one in charges})
    assert world.counted() >= sum(one.amount.value for one in transactions if one.moved and one.status in WITH_MONEY)


async def test_another_capture_comes_while_the_charges_own_closing_is_late() -> None:
    """Found by the random model: the hold was closed a second time while the first closing could still arrive."""
    world = World(Gateway(fault=Schedule({3: "late"}, ()).fault))
    asked = [charge("r0", capture="now")]
    await world.work(world.asked(asked[0]))
    asked.append(capture(world.events("r0")[-1].payment_id or "", "c0"))
    await world.work(world.asked(asked[1]))
    await world.settle()
    for one in asked:
        judge(world, one)
    judge_money(world, asked[:1])
    assert world.events("c0")[-1].reason == "already_closing"


async def test_hold_is_released_before_its_charge_knows_that_it_was_made() -> None:
    """Found by the random model: told as cancelled, which it is, though its money was reserved for a while."""
    world = World(Gateway(fault=Schedule({2: "lost after", 3: "lost before"}, ()).fault))
    asked = [charge("r0")]
    await world.work(world.asked(asked[0]))
    asked.append(capture(world.events("r0")[-1].payment_id or "", "c0", action="release"))
    await world.work(world.asked(asked[1]))
    await world.settle()
    for one in asked:
        judge(world, one)
    judge_money(world, asked[:1])
    assert [world.events(one.request_id)[-1].status for one in asked] == ["cancelled", "cancelled"]
    assert world.counted() == 0
