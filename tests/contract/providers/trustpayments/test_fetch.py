"""The TRANSACTIONQUERY, against a real HTTP server: many transactions per call, each answered for itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
import pytest
from aiohttp import web

from paynotify.processors.providers.base import Call, WaitingLookup
from paynotify.processors.providers.outcomes import Failed, LookupOutcome, RetryLater, Succeeded
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas.errors import PermanentError, ProviderRefusedError, ProviderUnavailableError, RetryableError
from tests.fakes.accounts import account, response, vectors, waiting
from tests.fakes.gateway import Gateway, Scripted, World, json_answer, serving, world

TRUSTPAYMENTS: Final = provider_specs()["trustpayments"].provider


def record(reference: str, kind: str = "AUTH", **fields: str) -> dict[str, str]:
    """One record as the gateway sends it."""
    known = {"errorcode": "0", "settlestatus": "0", "baseamount": "100", "currencyiso3a": "GBP"}
    return {
        "requesttypedescription": kind,
        "transactionreference": reference,
        "sitereference": "test_acme98765",
        **known,
        **fields,
    }


def answering(*records: Mapping[str, str], errorcode: str = "0", echo: bool = True, **query: Any) -> Scripted:
    """A gateway that finds these records whatever it is asked."""

    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        reference = json.loads(body)["request"][0]["requestreference"]
        found = {"errorcode": errorcode, "requesttypedescription": "TRANSACTIONQUERY", "records": records, **query}
        return json_answer(
            orjson.dumps({"requestreference": reference if echo else "A0", "version": "1.00", "response": [found]})
        )

    return answer


def asked(reference: str, lookup_id: str | None = None) -> WaitingLookup:
    return waiting("trustpayments", reference, lookup_id=lookup_id or reference)


async def fetch(gateway: Gateway, here: World, *lookups: WaitingLookup) -> Mapping[str, LookupOutcome]:
    shop = account("trustpayments", webservices_url=gateway.url + "/json/")
    outcomes: dict[str, LookupOutcome] = {}
    for call in TRUSTPAYMENTS.calls(lookups, here.call_context()):
        outcomes.update(await TRUSTPAYMENTS.fetch(call, shop, here.call_context(), here.store))
    return outcomes


async def test_request_is_the_official_clients_in_what_matters() -> None:
    (official,) = [one for one in vectors("trustpayments")["transactionquery"]["requests"] if one["id"] == "tq-req-02"]
    async with serving(answering(record("57-9-2204417"))) as gateway, world() as here:
        await fetch(gateway, here, asked("57-9-2204417"))
    (seen,) = gateway.seen
    sent, expected = json.loads(seen.body), official["json_body"]
    assert (seen.method, seen.path) == ("POST", official["path"])
    assert (sent["alias"], sent["version"]) == (expected["alias"], expected["version"])
    for name in ("filter", "requesttypedescriptions"):
        assert sent["request"][0][name] == expected["request"][0][name]
    assert len(sent["request"][0]["requestreference"]) == 9
    assert seen.headers["Content-Type"] == official["headers"]["Content-Type"]
    # webservices@merchant.example:Passw0rd_é, of which the official client encodes the last letter in one byte
    assert seen.headers["Authorization"].startswith("Basic d2Vic2VydmljZXNAbWVyY2hhbnQuZXhhbXBsZTpQYXNzdzByZF/p")


async def test_one_call_asks_for_many_and_each_gets_its_own_outcome() -> None:
    refund = record("1-1-4", "REFUND", parenttransactionreference="1-1-9")
    inside = record("1-1-5", "REFUND", parenttransactionreference="1-1-1")
    records = (record("1-1-1"), record("1-1-2", errorcode="60010"), refund, inside, record("9-9-9"))
    lookups = (asked("1-1-1", "a"), asked("1-1-1", "b"), asked("1-1-2"), asked("1-1-3"), asked("1-1-4"), asked("1-1-5"))
    async with serving(answering(*records)) as gateway, world() as here:
        outcomes = await fetch(gateway, here, *lookups)
    assert outcomes["a"] == outcomes["b"] == Succeeded()
    assert outcomes["1-1-2"] == Succeeded(again="uncertain")
    missing = outcomes["1-1-3"]
    assert isinstance(missing, RetryLater)
    assert missing.reason == "not_found"
    assert outcomes["1-1-4"] == Succeeded(follow_ups=("1-1-9",))
    assert outcomes["1-1-5"] == Succeeded()
    assert len(gateway.seen) == 1
    (stored,) = here.stored
    assert stored.reference is None
    assert {one.lookup_id for one in here.answered[-1]} == {"a", "b", "1-1-2", "1-1-4", "1-1-5"}


def test_calls_hold_no_more_transactions_than_configured() -> None:
    class _Limit:
        transactions_per_query = 3

    lookups = [asked(f"1-1-{number % 7}", str(number)) for number in range(14)]
    orders = [waiting("trustpayments", lookup_id=f"o{number}", orderreference=f"O{number % 2}") for number in range(4)]
    calls = list(TRUSTPAYMENTS.calls([*lookups, *orders], _Limit()))  # type: ignore[arg-type]  # only the limit is read
    sizes = [len({(one.lookup.reference, *one.lookup.arguments.values()) for one in call.lookups}) for call in calls]
    assert sizes == [3, 3, 1, 1, 1]
    assert sorted(one.lookup_id for call in calls for one in call.lookups) == sorted(
        one.lookup_id for one in [*lookups, *orders]
    )
    assert len({call.queue for call in calls}) == len(calls)


async def test_single_transactions_answer_carries_its_reference() -> None:
    async with serving(answering(record("1-1-1"))) as gateway, world() as here:
        await fetch(gateway, here, asked("1-1-1"))
    assert here.stored[0].reference == "1-1-1"


async def test_without_a_transaction_the_order_is_asked_for() -> None:
    first = record("1-1-1", orderreference="ORD-7", errorcode="70000", settlestatus="3")
    lookup = waiting("trustpayments", lookup_id="o", orderreference="ORD-7")
    async with serving(answering(first, record("1-1-2", orderreference="ORD-7"))) as gateway, world() as here:
        outcomes = await fetch(gateway, here, lookup)
    sent = json.loads(gateway.seen[0].body)["request"][0]["filter"]
    assert sent == {"sitereference": [{"value": "test_acme98765"}], "orderreference": [{"value": "ORD-7"}]}
    assert outcomes == {"o": Succeeded()}
    assert here.stored[0].reference is None


@pytest.mark.parametrize("query", [{"records": []}, {"records": None}, {"found": "0"}])
async def test_success_without_records_is_not_found_and_not_stored(query: dict[str, Any]) -> None:
    async with serving(answering(**query)) as gateway, world() as here:
        outcomes = await fetch(gateway, here, asked("1-1-1"))
    assert isinstance(outcomes["1-1-1"], RetryLater)
    assert here.stored == []


async def test_in_recovery_knowing_nothing_is_an_answer_and_stored() -> None:
    lookup = waiting("trustpayments", lookup_id="o", orderreference="ORD-7", recovery="1")
    async with serving(answering()) as gateway, world() as here:
        outcomes = await fetch(gateway, here, lookup)
    assert outcomes == {"o": Succeeded()}
    (stored,) = here.stored
    assert [one.lookup_id for one in here.answered[-1]] == ["o"]
    assert TRUSTPAYMENTS.interpret(response(stored.body), account("trustpayments")).observations == ()


async def test_notifications_lookup_waits_though_one_of_recovery_in_its_call_does_not() -> None:
    recovery = waiting("trustpayments", "1-1-2", lookup_id="r", recovery="1")
    async with serving(answering()) as gateway, world() as here:
        outcomes = await fetch(gateway, here, asked("1-1-1"), recovery)
    assert outcomes["r"] == Succeeded()
    assert isinstance(outcomes["1-1-1"], RetryLater)
    assert [[one.lookup_id for one in lookups] for lookups in here.answered] == [["r"]]


async def test_another_sites_record_answers_nothing() -> None:
    async with serving(answering(record("1-1-1", sitereference="other"))) as gateway, world() as here:
        outcomes = await fetch(gateway, here, asked("1-1-1"))
    assert isinstance(outcomes["1-1-1"], RetryLater)


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (answering(errorcode="30000"), ProviderRefusedError, "refused"),
        (answering(errorcode="60019"), ProviderRefusedError, "refused"),
        (answering(errorcode="50003"), ProviderUnavailableError, "unavailable"),
        (answering(errorcode="12345"), ProviderUnavailableError, "unavailable"),
        (answering(record("1-1-1"), echo=False), ProviderUnavailableError, "unavailable"),
        (json_answer("{}"), ProviderUnavailableError, "unavailable"),
        (json_answer("[]"), ProviderUnavailableError, "unavailable"),
        (json_answer("null"), ProviderUnavailableError, "unavailable"),
        (json_answer(""), ProviderUnavailableError, "unavailable"),
        (json_answer("<html>"), ProviderUnavailableError, "unavailable"),
        (json_answer("{}", 401), ProviderRefusedError, "credentials"),
        (json_answer("", 401, {"Content-Encoding": "gzip"}), ProviderRefusedError, "credentials"),
        (json_answer("", 403, {"Content-Encoding": "br"}), ProviderRefusedError, "credentials"),
        (json_answer("{}", 400), ProviderRefusedError, "refused"),
        (json_answer("{}", 404), ProviderUnavailableError, "unavailable"),
    ],
)
async def test_errors_follow_the_vendors_policy(
    answer: Scripted, kind: type[PermanentError] | type[RetryableError], reason: str
) -> None:
    async with serving(answer) as gateway, world() as here:
        with pytest.raises(kind) as error:
            await fetch(gateway, here, asked("1-1-1"))
    assert isinstance(error.value, PermanentError | RetryableError)
    assert error.value.reason == reason
    assert here.stored == []


async def test_lookup_that_names_nothing_is_dead() -> None:
    bad: Sequence[WaitingLookup] = (waiting("trustpayments"), waiting("trustpayments", "x' OR 1", lookup_id="l-2"))
    async with serving(answering()) as gateway, world() as here:
        outcomes = await fetch(gateway, here, *bad)
    assert gateway.seen == []
    for outcome in outcomes.values():
        assert isinstance(outcome, Failed)
        assert outcome.reason == "unreadable_lookup"
    assert isinstance(Call("transactions", tuple(bad)), Call)
