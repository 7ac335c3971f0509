"""The Result call, against a real HTTP server: one for each lookup, kept only where it speaks of the payment."""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import parse_qs

import msgspec
import pytest
from msgspec.structs import replace

from paynotify.processors.providers.base import WaitingLookup
from paynotify.processors.providers.outcomes import Failed, FurtherLookup, Succeeded
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas.errors import (
    PermanentError,
    ProviderRefusedError,
    ProviderUnavailableError,
    RateLimitedError,
    RetryableError,
)
from paynotify.schemas.times import parse_time
from tests.fakes.accounts import TRANSACTION, account, response, vectors, waiting
from tests.fakes.gateway import Scripted, World, json_answer, serving, world

NEVOGATE: Final = provider_specs()["nevogate"].provider
PAIR: Final = next(one for one in vectors("nevogate")["sdk_pairs"] if one["id"] == "result_successful_captured")
ANSWER: Final[str] = PAIR["response"]["body"]


async def fetch(url: str, here: World, *lookup_ids: str) -> dict[str, object]:
    shop = account("nevogate", base_url=url)
    outcomes: dict[str, object] = {}
    lookups = [waiting("nevogate", TRANSACTION, lookup_id=lookup_id) for lookup_id in lookup_ids]
    for call in NEVOGATE.calls(lookups, here.call_context()):
        outcomes.update(await NEVOGATE.fetch(call, shop, here.call_context(), here.store))
    return outcomes


async def test_lookup_is_owed_a_result_of_its_own() -> None:
    async with serving(json_answer(ANSWER)) as gateway, world() as here:
        outcomes = await fetch(gateway.url, here, "first", "second")
    assert outcomes == {"first": Succeeded(), "second": Succeeded()}
    assert [one.headers["X-Request-Id"] for one in gateway.seen] == ["first", "second"]
    assert [[one.lookup_id for one in lookups] for lookups in here.answered] == [["first"], ["second"]]
    assert here.stored[0].body.decode() == ANSWER
    assert here.stored[0].reference == TRANSACTION
    assert NEVOGATE.policy.remembers_answered
    assert here.paced == []
    assert parse_time(here.stored[0].facts["asked-at"]) is not None


async def test_request_asks_as_the_sdk_does() -> None:
    recorded = PAIR["request"]
    async with serving(json_answer(ANSWER)) as gateway, world() as here:
        await fetch(gateway.url + "/", here, "first")
    (seen,) = gateway.seen
    assert (seen.method, seen.path) == (recorded["http_method"], recorded["path"])
    form = {name: values[0] for name, values in parse_qs(seen.body.decode(), strict_parsing=True).items()}
    assert form["method"] == "Result"
    assert json.loads(form["json"]) == recorded["json_value"]
    assert seen.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert seen.headers["Authorization"] == "Basic c2RrX3Rlc3Q6a2V5LTE="
    assert re.fullmatch(r"Result \| [A-Za-z0-9.-]+ \| Python \| 3\.[0-9]+\.[0-9]+\S*", seen.headers["User-Agent"])


def details(lookup_id: str = "first") -> WaitingLookup:
    one = waiting("nevogate", TRANSACTION, lookup_id=lookup_id, recovery="1")
    return replace(one, lookup=msgspec.structs.replace(one.lookup, operation="details"))


async def _details(url: str, here: World) -> object:
    (call,) = NEVOGATE.calls([details()], here.call_context())
    outcomes = await NEVOGATE.fetch(call, account("nevogate", base_url=url), here.call_context(), here.store)
    return outcomes["first"]


async def test_in_recovery_the_details_are_asked_for_and_say_what_a_result_would() -> None:
    answer = json.dumps({"CommonData": json.loads(ANSWER), "ProviderSpecificData": {"CardPan": "400000******1000"}})
    async with serving(json_answer(answer)) as gateway, world() as here:
        assert await _details(gateway.url, here) == Succeeded()
    (seen,) = gateway.seen
    form = {name: values[0] for name, values in parse_qs(seen.body.decode(), strict_parsing=True).items()}
    assert form["method"] == "Details"
    assert json.loads(form["json"]) == {"TransactionId": TRANSACTION, "GetRelatedTransactions": False}
    assert seen.headers["User-Agent"].startswith("Details | ")
    (stored,) = here.stored
    body = stored.body.decode()
    told, same = (
        NEVOGATE.interpret(replace(response(one), reference=TRANSACTION), account("nevogate")).observations[0]
        for one in (body, ANSWER)
    )
    assert told == msgspec.structs.replace(same, source="Details")


def _without_amount(**fields: str) -> str:
    result = {name: value for name, value in json.loads(ANSWER).items() if name not in ("Amount", "Currency")}
    return json.dumps({**result, **fields})


@pytest.mark.parametrize(
    ("answer", "allowed", "asked"),
    [
        (_without_amount(), True, True),
        (_without_amount(CommitState="PENDING"), True, True),
        (_without_amount(Amount="", Currency="HUF"), True, True),
        (_without_amount(), False, False),
        (_without_amount(CommitState="DECLINED"), True, False),
        (_without_amount(ResultCode="ERROR"), True, False),
        (_without_amount(Amount="0", Currency="HUF"), True, False),
        (_without_amount(Amount="100.001", Currency="HUF"), True, False),
        (ANSWER, True, False),
    ],
)
async def test_success_without_amount_has_its_details_read_once(answer: str, allowed: bool, asked: bool) -> None:
    async with serving(json_answer(answer)) as gateway, world() as here:
        shop = account("nevogate", base_url=gateway.url, recover_by_details=allowed)
        (call,) = NEVOGATE.calls([waiting("nevogate", TRANSACTION)], here.call_context())
        outcomes = await NEVOGATE.fetch(call, shop, here.call_context(), here.store)
    further = (FurtherLookup("details", TRANSACTION, {"cause": "amount missing"}),) if asked else ()
    assert outcomes == {"l-1": Succeeded(further=further)}
    assert len(here.stored) == 1


async def test_details_without_amount_are_read_no_further() -> None:
    answer = json.dumps({"CommonData": json.loads(_without_amount()), "ProviderSpecificData": {}})
    async with serving(json_answer(answer)) as gateway, world() as here:
        shop = account("nevogate", base_url=gateway.url, recover_by_details=True)
        (call,) = NEVOGATE.calls([details()], here.call_context())
        assert await NEVOGATE.fetch(call, shop, here.call_context(), here.store) == {"first": Succeeded()}


async def test_details_of_an_unknown_transaction_or_of_another_one_are_no_answer() -> None:
    beside = json_answer(json.dumps({"CommonData": None, "ResultCode": "UnknownTransaction"}))
    for scripted in (_code("UnknownTransaction"), beside):
        async with serving(scripted) as gateway, world() as here:
            outcome = await _details(gateway.url, here)
        assert isinstance(outcome, Failed)
        assert outcome.reason == "not_found"
    other = json.dumps({"CommonData": {**json.loads(ANSWER), "TransactionId": "f" * 32}})
    for answer in (other, json.dumps({"CommonData": None}), json.dumps({"CommonData": []})):
        async with serving(json_answer(answer)) as gateway, world() as here:
            with pytest.raises(ProviderUnavailableError):
                await _details(gateway.url, here)
        assert here.stored == []


def _code(code: object) -> Scripted:
    return json_answer(json.dumps({"TransactionId": None, "ResultCode": code, "ResultMessage": None}))


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (_code("WrongApikey"), ProviderRefusedError, "credentials"),
        (_code("UnauthorizedRemoteAddress"), ProviderRefusedError, "credentials"),
        (_code("UnknownStore"), ProviderRefusedError, "refused"),
        (_code("something of a provider"), ProviderRefusedError, "refused"),
        (_code(None), ProviderUnavailableError, "unavailable"),
        (_code("SUCCESSFUL"), ProviderUnavailableError, "unavailable"),
        (json_answer("<html>", 401), ProviderRefusedError, "credentials"),
        (json_answer("<html>"), ProviderUnavailableError, "unavailable"),
        (json_answer("[]"), ProviderUnavailableError, "unavailable"),
        (json_answer("null"), ProviderUnavailableError, "unavailable"),
        (json_answer(""), ProviderUnavailableError, "unavailable"),
        (json_answer("{}"), ProviderUnavailableError, "unavailable"),
        (json_answer(ANSWER, 502), ProviderUnavailableError, "unavailable"),
        (json_answer(ANSWER, 307, {"Location": "/elsewhere"}), ProviderUnavailableError, "unavailable"),
        (json_answer("", 429), RateLimitedError, "rate_limited"),
    ],
)
async def test_response_without_the_payment_is_not_stored(
    answer: Scripted, kind: type[PermanentError] | type[RetryableError], reason: str
) -> None:
    async with serving(answer) as gateway, world() as here:
        with pytest.raises(kind) as error:
            await fetch(gateway.url, here, "first")
    assert isinstance(error.value, PermanentError | RetryableError)
    assert error.value.reason == reason
    assert "something of a provider" not in str(error.value)
    assert here.stored == []
    assert len(gateway.seen) == 1


async def test_unknown_transaction_is_dead_at_once() -> None:
    async with serving(_code("UnknownTransaction")) as gateway, world() as here:
        outcome = (await fetch(gateway.url, here, "first"))["first"]
    assert isinstance(outcome, Failed)
    assert outcome.reason == "not_found"


async def test_reference_that_is_no_id_is_never_sent() -> None:
    async with serving(json_answer(ANSWER)) as gateway, world() as here:
        (call,) = NEVOGATE.calls([waiting("nevogate", "' OR 1=1")], here.call_context())
        outcomes = await NEVOGATE.fetch(
            call, account("nevogate", base_url=gateway.url), here.call_context(), here.store
        )
    assert isinstance(outcomes["l-1"], Failed)
    assert gateway.seen == []
