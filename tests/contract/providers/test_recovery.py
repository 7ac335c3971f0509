"""A recovery lookup from its making to what is understood of its answer, against each provider's simulator."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import WaitingLookup
from paynotify.processors.providers.outcomes import Failed, LookupOutcome, Succeeded
from paynotify.processors.providers.recovery import recovery_lookup
from paynotify.processors.providers.registry import provider_specs
from paynotify.sandbox.simulators.base import Simulator
from paynotify.sandbox.simulators.nevogate.settings import NevogateSettings, NevogateShop
from paynotify.sandbox.simulators.nevogate.simulator import NevogateSimulator
from paynotify.sandbox.simulators.omnikassa.settings import OmniKassaSettings, OmniKassaShop
from paynotify.sandbox.simulators.omnikassa.simulator import OmniKassaSimulator
from paynotify.schemas.errors import ProviderRefusedError
from paynotify.schemas.messages import Lookup, Observation
from tests.fakes.accounts import NOW, OMNIKASSA_KEY, account
from tests.fakes.gateway import World, world
from tests.fakes.simulated import simulated, trustpayments_gateway


def simulator(provider: str) -> Simulator[Any]:
    if provider == "omnikassa":
        webshop = OmniKassaShop(merchant="shop", poi_id=123, signing_keys=(OMNIKASSA_KEY,), refresh_token="refresh-1")
        return OmniKassaSimulator(OmniKassaSettings(shops=(webshop,)))
    if provider == "nevogate":
        return NevogateSimulator(
            NevogateSettings(shops=(NevogateShop(merchant="shop", store_name="sdk_test", api_key="key-1"),))
        )
    return trustpayments_gateway()


def shop_at(provider: str, address: str) -> Account[Any]:
    if provider == "omnikassa":
        return account(provider, base_url=f"{address}/omnikassa-api", refresh_token={"value": "refresh-1"})
    if provider == "nevogate":
        return account(provider, base_url=address, recover_by_details=True)
    return account(provider, webservices_url=f"{address}/json/")


async def fetched(shop: Account[Any], here: World, lookup: Lookup) -> LookupOutcome:
    provider = provider_specs()[lookup.provider].provider
    outcomes: dict[str, LookupOutcome] = {}
    for call in provider.calls([WaitingLookup("l-1", lookup, "", 0, NOW)], here.call_context()):
        outcomes.update(await provider.fetch(call, shop, here.call_context(), here.store))
    return outcomes["l-1"]


def understood(shop: Account[Any], here: World, provider: str) -> list[Observation]:
    return [
        observation
        for one in here.stored
        for observation in provider_specs()[provider]
        .provider.interpret(
            one,
            shop,
        )
        .observations
    ]


PAYMENTS: Mapping[str, tuple[dict[str, Any], str]] = {
    "omnikassa": ({"order_id": "ORD1", "amount": 1050}, "captured"),
    "trustpayments": ({"order_id": "ORD1", "amount": 1050, "settlestatus": "100", "notify": False}, "captured"),
    "nevogate": ({"order_id": "ORD1", "amount": 1050, "currency": "EUR", "notify": False}, "captured"),
}


@pytest.mark.parametrize("provider", PAYMENTS)
async def test_payment_without_a_notification_is_found_by_a_lookup(provider: str) -> None:
    simulated_provider = simulator(provider)
    order, status = PAYMENTS[provider]
    payment = simulated_provider.create(order)["payment_id"]
    if provider == "omnikassa":
        simulated_provider.change(payment, {"status": "COMPLETED"})
    async with simulated(simulated_provider) as address, world() as here:
        here.now = datetime.now(UTC)
        shop = shop_at(provider, address)
        lookup = recovery_lookup(shop.merchant, order_id="ORD1", payment_id=payment, lookup_cause="overdue", at="")
        assert lookup is not None
        assert await fetched(shop, here, lookup) == Succeeded()
        (seen,) = understood(shop, here, provider)
    assert (seen.payment_id, seen.order_id, seen.status) == (payment, "ORD1", status)
    assert seen.amount is not None
    assert seen.amount.value == 1050


async def test_order_nobody_began_to_pay_is_answered_with_nothing() -> None:
    async with simulated(simulator("trustpayments")) as address, world() as here:
        shop = shop_at("trustpayments", address)
        lookup = recovery_lookup(shop.merchant, order_id="ORD1", payment_id=None, lookup_cause="overdue", at="")
        assert lookup is not None
        assert await fetched(shop, here, lookup) == Succeeded()
        assert len(here.stored) == 1
        assert understood(shop, here, "trustpayments") == []


async def test_id_that_omnikassa_or_nevogate_do_not_know_is_a_dead_lookup() -> None:
    async with simulated(simulator("nevogate")) as address, world() as here:
        shop = shop_at("nevogate", address)
        lookup = recovery_lookup(shop.merchant, order_id=None, payment_id="f" * 32, lookup_cause="overdue", at="")
        assert lookup is not None
        outcome = await fetched(shop, here, lookup)
        assert isinstance(outcome, Failed)
        assert outcome.reason == "not_found"
    async with simulated(simulator("omnikassa")) as address, world() as here:
        here.now = datetime.now(UTC)
        shop = shop_at("omnikassa", address)
        unknown = "1d0a95f4-2589-439b-9562-c50aa19f9caf"
        lookup = recovery_lookup(shop.merchant, order_id=None, payment_id=unknown, lookup_cause="overdue", at="")
        assert lookup is not None
        with pytest.raises(ProviderRefusedError) as raised:
            await fetched(shop, here, lookup)
        assert raised.value.reason == "not_found"
