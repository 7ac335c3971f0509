"""Where a payment's status comes from: the order call with a budget of its own, or the signed event itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from msgspec.structs import replace

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import Interpretation, WaitingLookup
from paynotify.processors.providers.outcomes import RetryLater, Succeeded
from paynotify.processors.providers.recovery import recovery_lookup
from paynotify.processors.providers.smartpay.provider import SmartPayProvider
from paynotify.sandbox.simulators.smartpay.key_ring import KeyRing
from paynotify.schemas.errors import ProviderRefusedError, RateLimitedError, UnreadableError
from paynotify.schemas.messages import RECOVERY
from paynotify.schemas.money import Money
from tests.fakes.accounts import NOW, account, response
from tests.fakes.gateway import Gateway, World, json_answer, serving, world
from tests.fakes.signed_events import ORDER_ID, SUBSCRIPTION, event_body, event_data, key_file, signed_event

KEYS: Final = KeyRing()
KEY: Final = KEYS.signing("ES256")
TOKEN: Final = json_answer('{"token": "acc.ess.token", "durationInMillis": 3600000}')
NOT_FOUND: Final = json_answer('{"errorCode": 5404}', 404)


def order_text(status: str = "COMPLETED") -> str:
    amount = {"currency": "EUR", "amount": 1050}
    return json.dumps({"order": {"id": ORDER_ID, "merchantOrderId": "ORD-7", "status": status, "totalAmount": amount}})


class Shop:
    """A merchant whose event is taken as far as a test wants."""

    def __init__(self, folder: Path, url: str = "https://bank.example", **settings: Any) -> None:
        self.provider = SmartPayProvider()
        self.account: Account[Any] = account(
            "smartpay", base_url=url + "/omnikassa-api", jwks_file=key_file(KEYS, folder), **settings
        )

    def waiting(self, data: Any = None, lookup_id: str = "l-1", **arguments: str) -> WaitingLookup:
        call = signed_event(KEY, event_body(data=event_data() if data is None else data))
        parsed = self.provider.parse(call, self.account)
        self.provider.verify(parsed, call, self.account)
        lookup = self.provider.plan(parsed, call)
        return WaitingLookup(
            lookup_id, msgspec.structs.replace(lookup, arguments={**lookup.arguments, **arguments}), "", 0, NOW
        )

    async def fetch(self, here: World, *lookups: WaitingLookup) -> Any:
        (call,) = self.provider.calls(lookups, here.call_context())
        return await self.provider.fetch(call, self.account, here.call_context(), here.store)

    def told(self, here: World) -> Any:
        interpretation: Interpretation = self.provider.interpret(here.stored[-1], self.account)
        (observation,) = interpretation.observations
        return observation


def event_shop(folder: Path, gateway: Gateway | None = None, **settings: Any) -> Shop:
    url = gateway.url if gateway else "https://bank.example"
    return Shop(folder, url, truth="event", subscription_ids=[SUBSCRIPTION], **settings)


async def test_event_asks_for_its_order_and_says_nothing_itself(tmp_path: Path) -> None:
    async with serving(TOKEN, json_answer(order_text())) as bank, world() as here:
        shop = Shop(tmp_path, bank.url)
        lookup = shop.waiting(event_data("cancelled", 1, 0))
        assert (lookup.lookup.operation, lookup.lookup.arguments) == ("order", {})
        assert await shop.fetch(here, lookup) == {"l-1": Succeeded()}
        told = shop.told(here)
    assert [one.path for one in bank.seen] == ["/omnikassa-api/gatekeeper/refresh", f"/v2/orders/{ORDER_ID}"]
    assert (told.status, told.source, told.order_id, told.amount) == ("captured", "ORDER", "ORD-7", Money(1050, "EUR"))
    assert here.recovered == [], "events have a budget of their own"


async def test_one_call_serves_all_that_wait_for_an_order(tmp_path: Path) -> None:
    async with serving(TOKEN, json_answer(order_text())) as bank, world() as here:
        shop = Shop(tmp_path, bank.url)
        outcomes = await shop.fetch(here, shop.waiting(), shop.waiting(lookup_id="l-2"))
    assert outcomes == {"l-1": Succeeded(), "l-2": Succeeded()}
    assert len(bank.seen) == 2


async def test_budget_of_events_is_apart_from_that_of_recovery(tmp_path: Path) -> None:
    async with serving(TOKEN, json_answer(order_text())) as bank, world() as here:
        shop = Shop(tmp_path, bank.url, order_calls_per_hour=1)
        here.patience_seconds = 40.0
        await shop.fetch(here, shop.waiting())
        with pytest.raises(RateLimitedError) as used_up:
            await shop.fetch(here, shop.waiting())
        assert used_up.value.retry_after_seconds == pytest.approx(3600, abs=60)
        with pytest.raises(RateLimitedError) as recovery:
            await shop.fetch(here, shop.waiting(**{RECOVERY: "1"}))
        assert recovery.value.retry_after_seconds == 40.0
        here.patience_seconds = 0.0
        assert await shop.fetch(here, shop.waiting(**{RECOVERY: "1"})) == {"l-1": Succeeded()}
    assert len(bank.seen) == 3


async def test_order_that_is_not_found_is_asked_for_again_and_never_taken_from_the_event(tmp_path: Path) -> None:
    async with serving(TOKEN, NOT_FOUND) as bank, world() as here:
        shop = Shop(tmp_path, bank.url)
        outcome = (await shop.fetch(here, shop.waiting()))["l-1"]
        assert isinstance(outcome, RetryLater)
        assert outcome.reason == "not_found"
        assert shop.provider.policy.retries["not_found"] > 0
        with pytest.raises(ProviderRefusedError):
            await shop.fetch(here, shop.waiting(**{RECOVERY: "1"}))
    assert here.stored == []


@pytest.mark.parametrize(
    ("word", "total", "paid", "status", "amount", "captured"),
    [
        ("completed", 1050, 1050, "captured", 1050, 1050),
        ("COMPLETED", "1050", "1050", "captured", 1050, 1050),
        ("Cancelled", 1050, 0, "cancelled", 1050, None),
        ("EXPIRED", 1050, None, "expired", 1050, None),
    ],
)
async def test_clear_event_is_the_answer_where_the_merchant_says_so(
    word: str, total: Any, paid: Any, status: str, amount: int, captured: int | None, tmp_path: Path
) -> None:
    async with world() as here:
        shop = event_shop(tmp_path)
        lookup = shop.waiting(event_data(word, total, paid))
        assert lookup.lookup.operation == "event"
        assert "a name" not in json.dumps(lookup.lookup.arguments), "metadata is the shop's own"
        assert await shop.fetch(here, lookup) == {"l-1": Succeeded()}
        told = shop.told(here)
    assert (told.status, told.source, told.payment_id) == (status, "EVENT", ORDER_ID)
    assert told.amount == Money(amount, "EUR")
    assert told.paid == (None if captured is None else Money(captured, "EUR"))
    assert (told.order_id, told.provider_time, told.provider_status) == (None, None, {"status": word})


UNCLEAR: Final = [
    event_data("settling", 1050, 1050),
    event_data("", 1050, 1050),
    event_data("completed", 1050, 900),
    event_data("cancelled", 1050, 1050),
    event_data("completed", "1050,", 1050),
    {"orderId": ORDER_ID, "status": 7, "amount": []},
]


@pytest.mark.parametrize("data", UNCLEAR)
async def test_unclear_event_is_looked_up_and_held_if_that_says_nothing(data: Any, tmp_path: Path) -> None:
    async with serving(TOKEN, NOT_FOUND, json_answer(order_text())) as bank, world() as here:
        shop = event_shop(tmp_path, bank)
        lookup = shop.waiting(data)
        assert lookup.lookup.operation == "order"
        assert await shop.fetch(here, lookup) == {"l-1": Succeeded()}
        held = shop.told(here)
        await shop.fetch(here, lookup)
        known = shop.told(here)
    assert (held.status, held.source, held.paid) == ("unknown", "EVENT", None)
    assert (known.status, known.source) == ("captured", "ORDER")


async def test_unclear_event_without_a_refresh_token_is_held(tmp_path: Path) -> None:
    async with world() as here:
        shop = event_shop(tmp_path, refresh_token=None)
        assert await shop.fetch(here, shop.waiting(UNCLEAR[0])) == {"l-1": Succeeded()}
        assert shop.told(here).status == "unknown"


@pytest.mark.parametrize("body", ["[]", "{}", '{"status": 1, "total": "1", "paid": "1"}', "x"])
def test_stored_event_of_another_form_is_unreadable(body: str, tmp_path: Path) -> None:
    shop = event_shop(tmp_path)
    with pytest.raises(UnreadableError):
        shop.provider.interpret(replace(response(body, kind="event"), reference=ORDER_ID), shop.account)


async def test_overdue_payment_is_looked_up_by_the_banks_id_and_only_with_a_token(tmp_path: Path) -> None:
    shop = Shop(tmp_path).account.merchant
    lookup = recovery_lookup(shop, order_id="ORD-7", payment_id=ORDER_ID, lookup_cause="overdue", at="t")
    assert lookup is not None
    assert (lookup.operation, lookup.reference) == ("order", ORDER_ID)
    assert recovery_lookup(shop, order_id="ORD-7", payment_id=None, lookup_cause="overdue", at="t") is None
    without = event_shop(tmp_path, refresh_token=None).account.merchant
    assert recovery_lookup(without, order_id=None, payment_id=ORDER_ID, lookup_cause="overdue", at="t") is None
