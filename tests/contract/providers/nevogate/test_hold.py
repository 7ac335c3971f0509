"""What nobody tells of a transaction is found by its Details, against the simulator: holds, and missing amounts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import pytest

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import WaitingLookup
from paynotify.processors.providers.outcomes import FurtherLookup, Succeeded
from paynotify.processors.providers.recovery import lookup_key, settlement_lookup
from paynotify.processors.providers.registry import provider_specs
from paynotify.sandbox.simulators.nevogate.settings import NevogateSettings, NevogateShop
from paynotify.sandbox.simulators.nevogate.simulator import NevogateSimulator
from paynotify.schemas.messages import Lookup, Observation
from paynotify.schemas.times import rfc3339
from tests.fakes.accounts import NOW, account
from tests.fakes.gateway import World, world
from tests.fakes.simulated import simulated

NEVOGATE: Final = provider_specs()["nevogate"].provider


def gateway(**settings: Any) -> NevogateSimulator:
    shop = NevogateShop(merchant="shop", store_name="sdk_test", api_key="key-1")
    return NevogateSimulator(NevogateSettings(shops=(shop,), **settings))


async def fetch(shop: Account[Any], here: World, lookup: Lookup, number: int = 1) -> Succeeded:
    (call,) = NEVOGATE.calls([WaitingLookup(f"l-{number}", lookup, "", 0, NOW)], here.call_context())
    (outcome,) = (await NEVOGATE.fetch(call, shop, here.call_context(), here.store)).values()
    assert isinstance(outcome, Succeeded)
    return outcome


def newest(shop: Account[Any], here: World) -> Observation | None:
    return next(iter(NEVOGATE.interpret(here.stored[-1], shop).observations), None)


@pytest.mark.parametrize(
    ("change", "status"),
    [({"close": True}, "captured"), ({"close": True, "captured": 4000}, "captured"), ({"close": False}, "cancelled")],
)
async def test_hold_closed_by_hand_is_found_by_the_look_of_the_next_morning(change: Any, status: str) -> None:
    simulator = gateway()
    payment = simulator.create({"order_id": "O1", "amount": 10000, "auto_commit": False, "notify": False})["payment_id"]
    async with simulated(simulator) as address, world() as here:
        here.now = datetime.now(UTC)
        shop = account("nevogate", base_url=address, recover_by_details=True)
        look = settlement_lookup(shop.merchant, (payment,), lookup_cause="settlement/shop", at=rfc3339(NOW))
        assert look is not None
        assert lookup_key(look) == f"shop/{payment}".encode()
        assert await fetch(shop, here, look, 1) == Succeeded()
        held = newest(shop, here)
        assert held is not None
        assert held.follow is not None
        assert (held.status, held.secured, held.follow.reference) == ("authorised", True, payment)
        assert (held.follow.due or "") > held.observed_at
        simulator.change(payment, change)
        await fetch(shop, here, look, 2)
        closed = newest(shop, here)
    assert closed is not None
    assert (closed.status, closed.follow, closed.source) == (status, None, "Details")
    assert simulator.book.counters["methods.Result"] == 0, "none without a call"
    assert simulator.webhooks.waiting == 0, "nobody was told"


@pytest.mark.parametrize(("order", "status"), [({}, "captured"), ({"verification": "absent"}, "unknown")])
async def test_older_result_without_amount_is_told_apart_by_its_details(order: Any, status: str) -> None:
    simulator = gateway(old_results=True)
    payment = simulator.create({"order_id": "O1", "amount": 10000, "notify": False, **order})["payment_id"]
    async with simulated(simulator) as address, world() as here:
        here.now = datetime.now(UTC)
        shop = account("nevogate", base_url=address, recover_by_details=True)
        result = Lookup(
            provider="nevogate",
            merchant="shop",
            operation="result",
            reference=payment,
            notification_id="n-1",
            received_at=rfc3339(NOW),
        )
        (further,) = (await fetch(shop, here, result, 1)).further
        assert further == FurtherLookup("details", payment, {"cause": "amount missing"})
        assert newest(shop, here) is None
        details = Lookup(
            provider="nevogate",
            merchant="shop",
            operation=further.operation,
            reference=further.reference,
            notification_id="n-1",
            received_at=rfc3339(NOW),
        )
        assert await fetch(shop, here, details, 2) == Succeeded()
        told = newest(shop, here)
    assert told is not None
    assert (told.status, told.moneyless) == (status, status == "unknown")
