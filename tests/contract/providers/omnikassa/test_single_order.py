"""Single orders of OmniKassa: asked for rarely, with the webshop's access token, and believed for their source."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final

import msgspec
import pytest
from aiohttp import web
from msgspec.structs import replace

from paynotify.processors.limits.hourly_quota import HourlyQuota
from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import Call, WaitingLookup
from paynotify.processors.providers.omnikassa.provider import OmniKassaProvider
from paynotify.processors.providers.outcomes import Succeeded
from paynotify.schemas.errors import ProviderRefusedError, ProviderUnavailableError, RateLimitedError, UnreadableError
from tests.fakes.accounts import account, response, waiting
from tests.fakes.gateway import Gateway, World, json_answer, serving, world

ORDER: Final = "1d0a95f4-2589-439b-9562-c50aa19f9caf"
TOKEN: Final = json_answer('{"token": "acc.ess.token", "validUntil": "ignored", "durationInMillis": 3600000}')
UNAUTHENTICATED: Final = json_answer('{"errorCode": 5001, "errorMessage": "Full authentication is required"}', 401)


def order_text(**changes: Any) -> str:
    order = {
        "id": ORDER,
        "merchantOrderId": "order123",
        "status": "COMPLETED",
        "totalAmount": {"currency": "EUR", "amount": 4999},
        "transactions": [
            {"id": "t1", "status": "FAILURE", "lastUpdatedAt": "2026-06-01T11:58:00.1+02:00"},
            {"id": "t2", "status": "SUCCESS", "lastUpdatedAt": "2026-06-01T11:59:30.250+02:00"},
        ],
        "checkoutDetails": {"customerInformation": {"emailAddress": "shopper@example"}},
        **changes,
    }
    return json.dumps({"order": order})


def lookup(order_id: str = ORDER, lookup_id: str = "o-1") -> WaitingLookup:
    one = waiting("omnikassa", order_id, lookup_id=lookup_id)
    return replace(one, lookup=msgspec.structs.replace(one.lookup, operation="order"))


def shop_at(bank: Gateway, **settings: Any) -> Account[Any]:
    settings.setdefault("refresh_token", {"value": "refresh-1"})
    return account("omnikassa", base_url=bank.url + "/omnikassa-api", **settings)


async def ask(provider: OmniKassaProvider, shop: Account[Any], here: World, one: WaitingLookup | None = None) -> Any:
    (call,) = provider.calls([one or lookup()], here.call_context())
    return await provider.fetch(call, shop, here.call_context(), here.store)


async def test_order_is_asked_for_with_an_access_token_that_is_kept() -> None:
    provider = OmniKassaProvider()
    async with serving(TOKEN, json_answer(order_text())) as bank, world() as here:
        shop = shop_at(bank)
        assert await ask(provider, shop, here) == {"o-1": Succeeded()}
        await ask(provider, shop, here)
        here.now += timedelta(minutes=58)
        with pytest.raises(ProviderUnavailableError, match="no access token"):
            await ask(provider, shop, here)  # renewed before its end; the script answers with an order again
    assert [(one.path, one.headers["Authorization"]) for one in bank.seen] == [
        ("/omnikassa-api/gatekeeper/refresh", "Bearer refresh-1"),
        (f"/v2/orders/{ORDER}", "Bearer acc.ess.token"),
        (f"/v2/orders/{ORDER}", "Bearer acc.ess.token"),
        ("/omnikassa-api/gatekeeper/refresh", "Bearer refresh-1"),
    ]
    assert here.stored[0].reference == ORDER
    assert here.stored[0].facts == {"kind": "order"}
    assert here.paced == ["shop"] * 4, "the bank counts all calls together"
    assert here.recovered == ["shop"] * 3


async def test_pulls_need_no_access_token_and_come_before_orders() -> None:
    provider = OmniKassaProvider()
    async with world() as here:
        ping = waiting("omnikassa", lookup_id="p")
        calls = list(provider.calls([lookup(), ping, lookup(lookup_id="o-2")], here.call_context()))
    assert [[one.lookup_id for one in call.lookups] for call in calls] == [["p"], ["o-1"], ["o-2"]]
    assert {call.queue for call in calls} == {"shop"}, "one caller for each webshop"


async def test_without_budget_nothing_is_asked() -> None:
    async with serving(TOKEN) as bank, world() as here:
        here.patience_seconds = 40.0
        with pytest.raises(RateLimitedError) as raised:
            await ask(OmniKassaProvider(), shop_at(bank), here)
    assert raised.value.retry_after_seconds == 40.0
    assert bank.seen == []


def test_budget_saves_up_an_hours_worth_and_fills_again() -> None:
    now = [0.0]
    allowance = HourlyQuota(3, lambda: now[0])
    assert [allowance("a") for _ in range(3)] == [0.0, 0.0, 0.0]
    assert allowance("a") == pytest.approx(1200.0)
    assert allowance("b") == 0.0
    now[0] += 1200.0
    assert allowance("a") == 0.0
    now[0] += 1_000_000.0
    assert [allowance("a") == 0.0 for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("order_id", ["", "../../x", ORDER.upper(), ORDER + "\n", "a" * 36])
async def test_malformed_order_id_is_never_looked_up(order_id: str) -> None:
    async with serving(TOKEN) as bank, world() as here:
        with pytest.raises(ProviderRefusedError, match="not the id"):
            await ask(OmniKassaProvider(), shop_at(bank), here, lookup(order_id))
    assert bank.seen == []


async def test_webshop_without_refresh_token_cannot_ask() -> None:
    async with serving(TOKEN) as bank, world() as here:
        with pytest.raises(ProviderRefusedError, match="refresh_token"):
            await ask(OmniKassaProvider(), shop_at(bank, refresh_token=None), here)
    assert bank.seen == []


async def test_token_withdrawn_early_is_renewed_once() -> None:
    async with serving(TOKEN, UNAUTHENTICATED, TOKEN, json_answer(order_text())) as bank, world() as here:
        assert await ask(OmniKassaProvider(), shop_at(bank), here) == {"o-1": Succeeded()}
        assert len(bank.seen) == 4
    async with serving(TOKEN, UNAUTHENTICATED, TOKEN, UNAUTHENTICATED) as bank, world() as here:
        with pytest.raises(ProviderRefusedError) as raised:
            await ask(OmniKassaProvider(), shop_at(bank), here)
        assert raised.value.reason == "credentials"
        assert len(bank.seen) == 4


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        (json_answer('{"errorCode": 5404}', 404), ProviderRefusedError, "not_found"),
        (json_answer('{"errorCode": 5017}', 422), ProviderRefusedError, "refused"),
        (json_answer('{"errorCode": 5017}'), ProviderRefusedError, "refused"),
        (json_answer("{}"), ProviderUnavailableError, "unavailable"),
        (json_answer("<html>"), ProviderUnavailableError, "unavailable"),
        (json_answer("", 503), ProviderUnavailableError, "unavailable"),
        (json_answer("", 429), RateLimitedError, "rate_limited"),
    ],
)
async def test_response_without_an_order_ends_with_its_reason(answer: web.Response, error: Any, reason: str) -> None:
    async with serving(TOKEN, answer) as bank, world() as here:
        with pytest.raises(error) as raised:
            await ask(OmniKassaProvider(), shop_at(bank), here)
    assert raised.value.reason == reason
    assert here.stored == []


async def test_order_the_bank_does_not_know_is_a_dead_lookup_in_recovery_too() -> None:
    """Only an announced order has the bank's id: not to know it is no answer, a person must look."""
    one = lookup()
    one = replace(one, lookup=msgspec.structs.replace(one.lookup, arguments={"recovery": "1"}))
    async with serving(TOKEN, json_answer('{"errorCode": 5404}', 404)) as bank, world() as here:
        with pytest.raises(ProviderRefusedError) as raised:
            await ask(OmniKassaProvider(), shop_at(bank), here, one)
    assert raised.value.reason == "not_found"
    assert here.stored == []


@pytest.mark.parametrize("answer", [UNAUTHENTICATED, json_answer("", 400)])
async def test_refresh_token_that_is_not_accepted_is_a_matter_of_credentials(answer: web.Response) -> None:
    async with serving(answer) as bank, world() as here:
        with pytest.raises(ProviderRefusedError) as raised:
            await ask(OmniKassaProvider(), shop_at(bank), here)
    assert raised.value.reason == "credentials"
    assert len(bank.seen) == 1


def observed(text: str) -> Any:
    one = replace(response(text, kind="order"), reference=ORDER)
    (observation,) = OmniKassaProvider().interpret(one, account("omnikassa")).observations
    return observation


def test_completed_order_is_paid_in_full() -> None:
    found = observed(order_text())
    assert (found.payment_id, found.order_id, found.status, found.source) == (ORDER, "order123", "captured", "ORDER")
    assert (found.amount.value, found.amount.currency, found.paid) == (4999, "EUR", found.amount)
    assert found.provider_time == "2026-06-01T09:59:30.250Z"
    assert found.provider_status == {"orderStatus": "COMPLETED"}


def test_other_words_have_no_paid_amount_and_unknown_ones_are_not_guessed() -> None:
    assert (observed(order_text(status="IN_PROGRESS")).status, observed(order_text(status="EXPIRED")).paid) == (
        "pending",
        None,
    )
    odd = observed(order_text(status="SETTLED", transactions=None, totalAmount="much"))
    assert (odd.status, odd.amount, odd.provider_time, odd.provider_status) == ("unknown", None, None, {})
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    odd = observed(order_text(status=deep, transactions=[{"lastUpdatedAt": deep}]))
    assert (odd.status, odd.provider_time) == ("unknown", None)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"order": []}', order_text(id="another"), order_text(id=None)])
def test_answer_about_something_else_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadableError):
        observed(text)


def test_page_cannot_pass_for_an_order_nor_an_order_for_a_page() -> None:
    with pytest.raises(UnreadableError):
        OmniKassaProvider().interpret(response(order_text()), account("omnikassa"))


def test_calls_of_nothing_are_none() -> None:
    calls: list[Call] = list(OmniKassaProvider().calls([], None))  # type: ignore[arg-type]  # not used by this provider
    assert calls == []
