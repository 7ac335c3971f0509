"""InitRP, StartRP, Close and Details against a real HTTP server: what is sent, and what each answer is taken for."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from pathlib import Path
from typing import Any, Final, get_args
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from msgspec.structs import replace

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import ProviderResponse
from paynotify.processors.providers.charging import CaptureOrVoid, ChargeOpened, ChargeOrder, ChargeReport
from paynotify.processors.providers.nevogate.charging import CODES, Decision, NevogateChargeGateway
from paynotify.processors.providers.nevogate.provider import NevogateProvider
from paynotify.processors.providers.outcomes import Failed, RetryLater, Unknown
from paynotify.schemas.messages import RequestedPayment
from paynotify.schemas.money import Money
from paynotify.schemas.reasons import REQUEST_REASONS, RequestReason
from tests.fakes.accounts import TRANSACTION, account, response
from tests.fakes.gateway import Gateway, Scripted, World, json_answer, serving, world

NEVOGATE: Final = NevogateChargeGateway()
REFERENCE: Final = "0123456789abcdef" * 2
CHARGES: Final = {
    "public_url": "https://pay.shop.example",
    "limits": {"EUR": {"per_charge": 10_000, "per_reference": 10_000, "per_day": 10_000}},
    "call_timeout_seconds": 3.0,
}
ORDER: Final = ChargeOrder(
    order_id="order-1", amount=Money(1990, "EUR"), reference_payment_id=REFERENCE, user_id="customer-7"
)
WHOLE: Final = CaptureOrVoid(
    payment_id=TRANSACTION, capture=True, amount=Money(1990, "EUR"), authorised=Money(1990, "EUR")
)
PAGE: Final = Path(__file__).parents[4] / "docs" / "how-to" / "charge.md"
METHODS: Final = ("InitRP", "StartRP", "Close", "Details")


ASKED_NOW: Final = {"asked-at": "2026-06-01T12:00:00.000Z"}


def shop(url: str, **settings: Any) -> Account[Any]:
    return account("nevogate", **{"base_url": url, "charges": CHARGES, **settings})


def answer(code: object, **more: Any) -> Scripted:
    return json_answer(json.dumps({"TransactionId": TRANSACTION, "ResultCode": code, "ResultMessage": None, **more}))


def state(code: str, commit: str = "", *, auto: str | None = "false") -> Scripted:
    words = {"CommitState": commit, "Amount": "19.90", "Currency": "EUR", "OrderId": "order-1"}
    return answer(code, **words, **({"AutoCommit": auto} if auto is not None else {}))


async def call(method: str, account: Account[Any], here: World) -> Any:
    if method == "InitRP":
        return await NEVOGATE.init(ORDER, account, here.call_context())
    if method == "StartRP":
        return await NEVOGATE.start(TRANSACTION, account, here.call_context())
    if method == "Close":
        return await NEVOGATE.close(WHOLE, account, here.call_context())
    return await NEVOGATE.get_payment(TRANSACTION, account, here.call_context())


async def said(method: str, scripted: Scripted) -> Any:
    async with serving(scripted) as gateway, world() as here:
        word = await call(method, shop(gateway.url), here)
    assert len(gateway.seen) == 1, "a call is never repeated by itself"
    return word


def sent(gateway: Gateway) -> tuple[str, dict[str, Any]]:
    (seen,) = gateway.seen
    form = {name: values[0] for name, values in parse_qs(seen.body.decode(), strict_parsing=True).items()}
    assert (seen.method, seen.path) == ("POST", "/api/payment/")
    assert seen.headers["Authorization"] == "Basic c2RrX3Rlc3Q6a2V5LTE="
    assert re.fullmatch(rf"{form['method']} \| [A-Za-z0-9.-]+ \| Python \| 3\.\S+", seen.headers["User-Agent"])
    return form["method"], json.loads(form["json"])


async def asked(method: str, scripted: Scripted, **settings: Any) -> dict[str, Any]:
    async with serving(scripted) as gateway, world() as here:
        await call(method, shop(gateway.url, **settings), here)
    name, arguments = sent(gateway)
    assert name == method
    return arguments


async def test_init_names_the_reference_the_amount_and_our_own_urls() -> None:
    url = "https://pay.shop.example/notifications/nevogate/shop"
    assert await asked("InitRP", answer("SUCCESSFUL")) == {
        "StoreName": "sdk_test",
        "ReferenceTransactionId": REFERENCE,
        "ResponseUrl": url,
        "NotificationUrl": url,
        "Amount": "19.90",
        "Currency": "EUR",
        "OrderId": "order-1",
        "UserId": "customer-7",
        "ModuleName": "paynotify",
        "ModuleVersion": "1",
    }


async def test_urls_carry_the_merchants_first_token() -> None:
    arguments = await asked("InitRP", answer("SUCCESSFUL"), url_tokens=[{"value": "tok-1"}, {"value": "tok-2"}])
    assert arguments["NotificationUrl"] == "https://pay.shop.example/notifications/nevogate/shop?token=tok-1"
    assert arguments["ResponseUrl"] == arguments["NotificationUrl"]


@pytest.mark.parametrize("token", ["has space", "a&b", "x" * 201, "é"])
async def test_token_that_would_not_come_back_is_a_matter_of_configuration(token: str) -> None:
    own = shop("https://gateway.example", url_tokens=[{"value": token}])
    async with world() as here:
        assert await NEVOGATE.init(ORDER, own, here.call_context()) == Failed("configuration")
    request = RequestedPayment(request_id="r", merchant="shop", action="charge", reference_payment_id=REFERENCE)
    assert NEVOGATE.problem(request, own) == "configuration"


def test_url_that_is_too_long_for_the_gateway_is_a_matter_of_configuration() -> None:
    charges = {**CHARGES, "public_url": "https://pay.shop.example/" + "p" * 220}
    request = RequestedPayment(request_id="r", merchant="shop", action="charge", reference_payment_id=REFERENCE)
    assert NEVOGATE.problem(request, shop("https://gateway.example", charges=charges)) == "configuration"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"reference_payment_id": REFERENCE}, None),
        ({"reference_payment_id": REFERENCE.upper()}, "bad_request"),
        ({"reference_payment_id": "57-9-1"}, "bad_request"),
        ({"reference_payment_id": REFERENCE, "order_id": "o" * 256}, "bad_request"),
        ({"action": "capture", "payment_id": TRANSACTION}, None),
        ({"action": "release", "payment_id": "' OR 1=1"}, "bad_request"),
    ],
)
def test_request_that_the_gateway_would_refuse_is_not_sent(fields: dict[str, Any], problem: str | None) -> None:
    request = RequestedPayment(**{"request_id": "r", "merchant": "shop", "action": "charge", **fields})
    assert NEVOGATE.problem(request, shop("https://gateway.example")) == problem


@pytest.mark.parametrize(
    ("closing", "arguments"),
    [
        (WHOLE, {"Approved": "true"}),
        (CaptureOrVoid(payment_id=TRANSACTION, capture=True, amount=None, authorised=None), {"Approved": "true"}),
        (
            CaptureOrVoid(
                payment_id=TRANSACTION, capture=True, amount=Money(990, "EUR"), authorised=Money(1990, "EUR")
            ),
            {"Approved": "true", "ApprovedAmount": "9.90"},
        ),
        (
            CaptureOrVoid(
                payment_id=TRANSACTION, capture=False, amount=Money(1990, "EUR"), authorised=Money(1990, "EUR")
            ),
            {"Approved": "false"},
        ),
    ],
)
async def test_closing_captures_all_or_a_part_or_releases_all(
    closing: CaptureOrVoid, arguments: dict[str, str]
) -> None:
    async with serving(answer("SUCCESSFUL")) as gateway, world() as here:
        await NEVOGATE.close(closing, shop(gateway.url), here.call_context())
    assert sent(gateway) == ("Close", {"TransactionId": TRANSACTION, **arguments})


async def test_truth_is_asked_for_without_the_orders_earlier_transactions() -> None:
    assert await asked("Details", state("PENDING")) == {"TransactionId": TRANSACTION, "GetRelatedTransactions": False}


@pytest.mark.parametrize(
    ("scripted", "status"),
    [
        (state("SUCCESSFUL", "PENDING"), "authorised"),
        (state("SUCCESSFUL", auto="true"), "captured"),
        (state("SUCCESSFUL", "APPROVED"), "captured"),
        (state("SUCCESSFUL", "DECLINED"), "cancelled"),
        (state("PENDING"), "pending"),
        (state("OPEN"), "pending"),
        (state("ERROR"), "failed"),
        (state("TIMEOUT"), "expired"),
        (state("CANCELED"), "cancelled"),
    ],
)
@pytest.mark.parametrize("method", ["StartRP", "Details"])
async def test_report_has_the_payment_as_the_gateway_returned_it(method: str, scripted: Scripted, status: str) -> None:
    word = await said(method, scripted)
    assert isinstance(word, ChargeReport)
    assert (word.status, word.amount, word.order_id) == (status, Money(1990, "EUR"), "order-1")
    assert (word.response.reference, word.response.facts) == (TRANSACTION, {"method": method, **ASKED_NOW})


async def test_success_that_does_not_say_whether_the_money_is_only_reserved_is_asked_for() -> None:
    assert await said("StartRP", answer("SUCCESSFUL")) == Unknown("no_answer")


async def test_answer_to_a_closing_is_read_with_what_was_asked() -> None:
    word = await said("Close", answer("SUCCESSFUL"))
    assert isinstance(word, ChargeReport)
    assert word.status == "captured"
    facts = {"method": "Close", "asked": "capture", "value": "1990", "currency": "EUR"}
    assert word.response.facts == {**facts, **ASKED_NOW}
    (observation,) = (
        NevogateProvider()
        .interpret(response_about(word.response.body, facts), shop("https://gateway.example"))
        .observations
    )
    assert (observation.status, observation.paid, observation.source) == ("captured", Money(1990, "EUR"), "Close")


def response_about(body: bytes, facts: dict[str, str]) -> ProviderResponse:
    return replace(response(body, **facts), reference=TRANSACTION)


#: What each documented code means, call by call. After ``fail`` and ``retry`` no money has moved; after ``unknown``
#: some may have moved, but opening a transaction never moves any.
EXPECTED: Final[dict[str, tuple[RequestReason, Decision]]] = {
    "InactiveStore": ("inactive_store", "fail"),
    "InactiveProvider": ("inactive_provider", "fail"),
    "MissingParameter": ("parameters", "fail"),
    "MissingRemoteAddress": ("address", "retry"),
    "UnauthorizedAccess": ("credentials", "retry"),
    "UnauthorizedRemoteAddress": ("address", "retry"),
    "UnknownParameter": ("parameters", "fail"),
    "UnknownProvider": ("unknown_provider", "fail"),
    "UnknownProviderForStore": ("unknown_provider", "fail"),
    "UnknownReferenceTransaction": ("unknown_reference", "fail"),
    "UnknownStore": ("unknown_store", "fail"),
    "UnknownTransaction": ("unknown_payment", "fail"),
    "WrongApikey": ("credentials", "retry"),
    "WrongParameter": ("parameters", "fail"),
    "WrongProviderSettings": ("provider_settings", "fail"),
    "WrongReferenceTransactionStatus": ("reference_not_usable", "fail"),
    "WrongTransactionStatus": ("wrong_state", "unknown"),
    "BORGUN_51": ("provider_code", "unknown"),
    "a provider's own words": ("provider_code", "unknown"),
}


@pytest.mark.parametrize("reason", REQUEST_REASONS)
def test_shops_developer_finds_every_reason_on_the_page(reason: RequestReason) -> None:
    assert f"`{reason}`" in PAGE.read_text("utf-8")


def test_documented_code_is_in_the_table() -> None:
    assert set(CODES) == set(EXPECTED) - {"BORGUN_51", "a provider's own words"}
    assert {decision for _, decision in EXPECTED.values()} == set(get_args(Decision))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("code", EXPECTED)
async def test_code_has_a_reason_and_a_decision(code: str, method: str) -> None:
    reason, decision = EXPECTED[code]
    kinds: dict[Decision, type[Failed[Any] | RetryLater[Any] | Unknown[Any]]] = {
        "fail": Failed,
        "retry": RetryLater,
        "unknown": Unknown,
    }
    if decision == "unknown" and method in ("InitRP", "Details"):
        kinds["unknown"] = Failed if method == "InitRP" else RetryLater
    word = await said(method, answer(code))
    assert word == kinds[decision](reason)


async def _hangs(request: web.Request, body: bytes) -> web.StreamResponse:
    """No answer while the caller waits."""
    await asyncio.sleep(2)
    return web.Response()


async def _breaks(request: web.Request, body: bytes) -> web.StreamResponse:
    """The connection breaks after the request was read."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "scripted",
    [
        _hangs,
        _breaks,
        json_answer("<html>"),
        json_answer("[]"),
        json_answer(""),
        json_answer("{}"),
        json_answer("{}", 502),
        json_answer("", 429),
        json_answer("", 307, {"Location": "/"}),
        answer(None),
        answer(17),
        json_answer('{"ResultCode": "SUCCESSFUL", "TransactionId": "another"}'),
    ],
)
async def test_answer_that_is_none_leaves_open_what_was_done(method: str, scripted: Scripted) -> None:
    word = await said(method, scripted)
    wanted = Unknown if method in ("StartRP", "Close") else RetryLater
    assert word == wanted("no_answer")


@pytest.mark.parametrize("method", METHODS)
async def test_without_a_connection_certainly_nothing_was_done(method: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with world() as here:
        assert await call(method, shop(f"http://127.0.0.1:{port}"), here) == RetryLater("unavailable")


@pytest.mark.parametrize("method", METHODS)
async def test_gateway_that_does_not_let_us_in_has_done_nothing(method: str) -> None:
    assert await said(method, json_answer("<html>", 401)) == RetryLater("credentials")


async def test_opened_transaction_is_known_by_its_id() -> None:
    assert await said("InitRP", answer("SUCCESSFUL")) == ChargeOpened(TRANSACTION)
    assert await said("InitRP", answer("SUCCESSFUL", TransactionId="x")) == RetryLater("no_answer")
