"""Against a gateway that counts: whatever is lost, and wherever the process ends, money moves once or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.charging_parts import REFERENCE, Fault, Gateway, World, charge

FAULTS = st.sampled_from(get_args(Fault))
ENDS = st.sampled_from(("authorised", "authorised", "failed", "pending", "expired"))
PLACES = ("ANSWERS_STORED", "REQUESTS_KEPT", "REQUESTS_TOLD", "CALLED", "publish", "keep", "acknowledge")
WITH_MONEY = ("authorised", "captured")


class Chance:
    """A bounded number of faults and crashes, then none: so that the truth can be known in the end."""

    def __init__(self, draw: st.DataObject, most: int) -> None:
        self._draw = draw
        self._left = most

    def fault(self, call: str) -> Fault:
        if self._left <= 0:
            return "answer"
        fault = self._draw.draw(FAULTS, label=call)
        self._left -= fault != "answer"
        return fault

    def crashes(self, place: str) -> bool:
        if self._left <= 0:
            return False
        crashes = self._draw.draw(st.sampled_from((False,) * 9 + (True,)), label=place)
        self._left -= crashes
        return crashes


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
async def test_money_moves_at_most_once_for_each_request_and_as_told(data: st.DataObject) -> None:
    chance = Chance(data, data.draw(st.integers(0, 12), label="faults"))
    gateway = Gateway(fault=chance.fault, end=lambda: data.draw(ENDS, label="end"))
    world = World(gateway, crashes=chance.crashes)
    if data.draw(st.booleans(), label="reference known"):
        await world.work(world.seen(REFERENCE))
    count = data.draw(st.integers(1, 4), label="requests")
    requests = [charge(f"r{number}", capture=data.draw(st.sampled_from(("now", "later")))) for number in range(count)]
    refused = [replace(charge(f"x{number}"), order_id="order-r0") for number in range(2)]
    batch = [world.asked(one) for one in (*requests, *refused)]
    await world.work(*batch)
    for _ in range(data.draw(st.integers(0, 6), label="rounds")):
        if gateway.news and data.draw(st.booleans(), label="told"):
            await world.work(world.seen(data.draw(st.sampled_from(gateway.news))))
        if data.draw(st.booleans(), label="asked again"):
            await world.work(world.asked(data.draw(st.sampled_from(requests))))
        await world.wait()
    await world.settle()
    for one in requests:
        judge(world, one.request_id)
    for one in refused:
        judge(world, one.request_id)


def judge(world: World, request_id: str) -> None:
    gateway, events = world.gateway, world.events(request_id)
    last = events[-1]
    own = [name for name in gateway.transactions if name == last.payment_id]
    moved = sum(gateway.transactions[name].moved for name in own)
    assert all(one.moved <= 1 and one.closed <= 1 for one in gateway.transactions.values())
    if last.state == "refused":
        assert moved == 0
    elif last.state == "done":
        assert last.status is not None
        (transaction,) = (gateway.transactions[name] for name in own)
        assert last.status == transaction.status
        assert moved == (last.status in WITH_MONEY)
    else:
        assert last.state == "uncertain", "neither ended nor held"
        assert f"shop/{request_id}" in world.uncertain()
    assert (f"shop/{request_id}" in world.uncertain()) == (last.state == "uncertain")
    assert not world.due()
    assert last.at >= events[0].at
