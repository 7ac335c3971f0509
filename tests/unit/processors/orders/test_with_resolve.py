"""Orders and resolve together: each tells the other what it knows, until neither has anything new."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.resolve.stage import ResolveStage
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.memory_store import MemoryStore
from paynotify.processors.state.overlay import Overlay
from paynotify.schemas import messages
from paynotify.schemas.messages import PaymentStatus
from paynotify.schemas.money import Money
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import rfc3339
from tests.fakes.observations import observation
from tests.fakes.stages import KAFKA, metrics, refuse_publish
from tests.unit.processors.orders.test_stage import DUE, Shop, expected

#: More rounds than that would be a loop.
_MOST_ROUNDS = 10


class Stages:
    """Both stages, each with its state. ``newest`` is each payment's newest event."""

    def __init__(self) -> None:
        self.shop = Shop()
        self.store = MemoryStore()
        self.newest: dict[str, PaymentStatus] = {}
        self._resolve = ResolveStage(KAFKA, metrics())

    async def given(self, *records: Record) -> None:
        """Let the stages process the records and what follows from them."""
        waiting = list(records)
        for _ in range(_MOST_ROUNDS):
            if not waiting:
                return
            orders = [one for one in waiting if one.topic != "observations"]
            observations = [one for one in waiting if one.topic == "observations"]
            outputs = await self.shop.told(*orders) if orders else []
            outputs += await self._resolved(observations)
            waiting = [_record(one) for one in outputs if one.topic == "observations" or _is_news(one)]
        raise AssertionError("the stages tell each other the same again and again")

    async def _resolved(self, records: Sequence[Record]) -> list[Output]:
        state = Overlay(self.store)
        outputs = list(await self._resolve.process(BatchContext(records, state, refuse_publish)))
        self.store.write(state.changes, 0)
        for output in outputs:
            if output.topic == "payments.status":
                event = messages.decode(output.value, PaymentStatus)
                self.newest[event.payment_id] = event
        return outputs

    @property
    def fulfilment(self) -> dict[str, str]:
        return {name: event.fulfilment for name, event in sorted(self.newest.items())}


def _is_news(output: Output) -> bool:
    return output.topic == "payments.orders" and dict(output.headers)["ce_type"].decode() == messages.PAYMENT_SEEN


def _record(output: Output) -> Record:
    return Record(output.topic, 0, 0, output.key, output.value, output.headers, DUE.timestamp())


def captured(payment: str, value: int = 1000, **changes: Any) -> Record:
    """What the provider says of a captured payment of the order."""
    money = Money(value, "GBP")
    known = {"amount": money, "paid": money, "observed_at": rfc3339(DUE - timedelta(minutes=30)), **changes}
    one = observation(payment, merchant="shop", order_id="o1", **known)
    headers = (("ce_type", messages.PAYMENT_OBSERVED.encode()),)
    return Record("observations", 0, 0, f"shop/{payment}".encode(), messages.encode(one), headers, DUE.timestamp())


async def test_order_paid_twice_is_released_once() -> None:
    stages = Stages()
    await stages.given(expected())
    await stages.given(captured("a"))
    await stages.given(captured("b"))
    assert stages.fulfilment == {"a": "release", "b": "hold"}


async def test_each_payment_of_a_link_for_several_is_released() -> None:
    stages = Stages()
    await stages.given(expected(several=True), captured("a"), captured("b"), captured("c", 999))
    assert stages.fulfilment == {"a": "release", "b": "release", "c": "hold"}


async def test_payments_on_hold_are_released_once_the_shop_expects_several() -> None:
    stages = Stages()
    await stages.given(expected(), captured("a"), captured("b"))
    assert sorted(stages.fulfilment.values()) == ["hold", "release"]
    await stages.given(expected(several=True))
    assert stages.fulfilment == {"a": "release", "b": "release"}


async def test_later_month_of_a_subscription_is_released() -> None:
    stages = Stages()
    await stages.given(expected(), captured("first"))
    await stages.given(captured("second", order_role="repeat"))
    assert stages.fulfilment == {"first": "release", "second": "release"}


async def test_parcels_that_add_up_are_released_and_one_too_many_holds_them() -> None:
    stages = Stages()
    await stages.given(expected(), captured("a", 600, order_role="part"))
    assert stages.fulfilment == {"a": "release"}
    await stages.given(captured("b", 400, order_role="part"))
    assert stages.fulfilment == {"a": "release", "b": "release"}
    await stages.given(captured("c", 1, order_role="part"))
    assert set(stages.fulfilment.values()) == {"hold"}
    assert await stages.shop.reach(DUE + timedelta(days=9)) == []


async def test_part_of_an_order_paid_in_one_is_on_hold() -> None:
    stages = Stages()
    await stages.given(expected(), captured("a"))
    await stages.given(captured("b", 600, order_role="part"))
    assert stages.fulfilment == {"a": "release", "b": "hold"}


async def test_order_authorised_until_the_night_is_not_overdue() -> None:
    stages, morning = Stages(), DUE + timedelta(hours=19)
    follow = messages.FollowUp(
        reference="a",
        due=rfc3339(morning),
        until=rfc3339(morning + timedelta(days=8)),
        settles_by=rfc3339(morning),
    )
    await stages.given(expected(), captured("a", status="authorised", paid=None, follow=follow))
    await stages.shop.reach(morning)
    assert stages.shop.overdue == []
    await stages.given(captured("a", observed_at=rfc3339(morning)))
    await stages.shop.reach(morning + timedelta(days=9))
    assert stages.shop.overdue == []


@given(st.permutations(range(4)), st.sampled_from((100, 200, 250, 251, 400)), st.integers(1, 5))
async def test_parts_are_released_together_in_any_order_and_batch(order: list[int], value: int, size: int) -> None:
    stages = Stages()
    records = [captured(f"p{number}", value, order_role="part") for number in order]
    records.insert(order[0], expected())
    for start in range(0, len(records), size):
        await stages.given(*records[start : start + size])
    fits = 4 * value <= 1000
    assert set(stages.fulfilment.values()) == {"release" if fits else "hold"}
