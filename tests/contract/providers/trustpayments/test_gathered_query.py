"""Many references in one query, against a real HTTP server: one refused value costs the others nothing but calls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec
import orjson
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paynotify.processors.providers.base import WaitingLookup
from paynotify.processors.providers.outcomes import Failed, RetryLater, Succeeded
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas.errors import ProviderRefusedError, ProviderUnavailableError, RateLimitedError
from tests.fakes.accounts import account, response, waiting
from tests.fakes.gateway import serving, world
from tests.fakes.record_gateway import asked_in, fetch, gateway_of, notified, observed, payment, reference, settlement

TRUSTPAYMENTS: Final = provider_specs()["trustpayments"].provider


async def test_settlement_lookup_is_one_query_for_all_its_references() -> None:
    numbers = range(100)
    async with serving(gateway_of(*map(payment, numbers))) as gateway, world() as here:
        outcomes = await fetch(gateway, here, settlement(*numbers))
    assert outcomes == {"s": Succeeded()}
    (asked,) = asked_in(gateway)
    assert sorted(asked) == sorted(map(reference, numbers))
    assert observed(here) == {reference(number) for number in numbers}
    assert [[one.lookup_id for one in lookups] for lookups in here.answered] == [["s"]]
    assert here.stored[0].reference is None


async def test_settlement_lookups_share_a_query_up_to_a_hundred_references() -> None:
    lookups = [settlement(*range(start, start + 40), lookup_id=str(start)) for start in (0, 40, 80)]
    lookups += [notified(200), notified(0, "n")]
    async with serving(gateway_of(*map(payment, [*range(120), 200]))) as gateway, world() as here:
        outcomes = await fetch(gateway, here, *lookups)
    assert [len(one) for one in asked_in(gateway)] == [80, 42]
    assert all(one == Succeeded() for one in outcomes.values())
    assert len(outcomes) == len(lookups)


async def test_settlement_lookup_is_split_where_fewer_transactions_are_configured() -> None:
    async with serving(gateway_of(*map(payment, range(50)))) as gateway, world() as here:
        outcomes = await fetch(gateway, here, settlement(*range(50)), transactions=20)
    assert outcomes == {"s": Succeeded()}
    assert [len(one) for one in asked_in(gateway)] == [20, 20, 10]
    assert len(observed(here)) == 50


async def test_reference_that_is_not_found_is_no_error_of_a_settlement_lookup() -> None:
    async with serving(gateway_of(payment(1))) as gateway, world() as here:
        outcomes = await fetch(gateway, here, settlement(1, 2, 3))
    assert outcomes == {"s": Succeeded()}
    assert observed(here) == {reference(1)}


async def test_settlement_of_a_refund_asks_for_no_parent() -> None:
    refund = payment(1, requesttypedescription="REFUND", parenttransactionreference=reference(9))
    async with serving(gateway_of(refund)) as gateway, world() as here:
        outcomes = await fetch(gateway, here, settlement(1, 2))
    assert outcomes == {"s": Succeeded()}, "the payment is known, or its refund would not be followed"


async def test_uncertain_payment_is_looked_up_by_itself_and_not_with_all_others_again() -> None:
    async with serving(gateway_of(payment(1), payment(2, errorcode="60010"))) as gateway, world() as here:
        outcomes = await fetch(gateway, here, settlement(1, 2))
    assert outcomes == {"s": Succeeded(follow_ups=(reference(2),))}


@pytest.mark.parametrize("named_in", ["errordata", "data"])
async def test_refused_value_is_found_by_halving_and_fails_alone(named_in: str) -> None:
    lookups = [notified(number) for number in range(64)]
    script = gateway_of(*map(payment, range(64)), poison=[reference(37)], named_in=named_in)
    async with serving(script) as gateway, world() as here:
        outcomes = await fetch(gateway, here, *lookups)
    refused = outcomes.pop(reference(37))
    assert isinstance(refused, Failed)
    assert (refused.reason, refused.alone) == ("refused", True)
    assert all(one == Succeeded() for one in outcomes.values())
    assert len(outcomes) == 63
    assert observed(here) == {reference(number) for number in range(64)} - {reference(37)}
    assert len(gateway.seen) == 1 + 2 * 6, "two halves for each of six halvings"
    answered = [one.lookup_id for lookups in here.answered for one in lookups]
    assert sorted(answered) == sorted(outcomes), "each lookup is answered by the response that asked for it"


async def test_refused_value_of_a_settlement_lookup_becomes_a_lookup_of_its_own() -> None:
    script = gateway_of(*map(payment, range(8)), poison=[reference(3)])
    async with serving(script) as gateway, world() as here:
        outcomes = await fetch(gateway, here, settlement(*range(8)))
        assert outcomes == {"s": Succeeded(follow_ups=(reference(3),))}
        assert observed(here) == {reference(number) for number in range(8)} - {reference(3)}
        alone = waiting("trustpayments", reference(3), lookup_id="alone", recovery="1")
        last = (await fetch(gateway, here, alone))["alone"]
    assert isinstance(last, Failed)
    assert last.reason == "refused"


async def test_refusal_that_names_no_value_is_not_halved() -> None:
    script = gateway_of(poison=[reference(1)], named_in="errormessage")
    async with serving(script) as gateway, world() as here:
        with pytest.raises(ProviderRefusedError):
            await fetch(gateway, here, notified(1), notified(2))
    assert len(gateway.seen) == 1, "an alias that is refused would be refused a hundred times"


async def test_half_that_fails_for_now_is_retried_and_the_other_is_answered() -> None:
    script = gateway_of(*map(payment, range(4)), poison=[reference(0)], down=[reference(3)])
    async with serving(script) as gateway, world() as here:
        with pytest.raises(ProviderUnavailableError):
            await fetch(gateway, here, *map(notified, range(4)))  # the whole query meets the outage first
        gateway.seen.clear()
        gateway.script = [gateway_of(poison=[reference(0)]), script]
        outcomes = await fetch(gateway, here, *map(notified, range(4)))
    assert outcomes[reference(1)] == Succeeded()
    for number, kind in ((0, Failed), (2, RetryLater), (3, RetryLater)):
        assert isinstance(outcomes[reference(number)], kind)


def tried(number: int, attempts: int) -> WaitingLookup:
    return msgspec.structs.replace(notified(number), attempts=attempts)


async def test_value_that_makes_the_gateway_fail_is_isolated_after_several_attempts() -> None:
    script = gateway_of(*map(payment, range(16)), down=[reference(5)])
    async with serving(script) as gateway, world() as here:
        with pytest.raises(ProviderUnavailableError):
            await fetch(gateway, here, *(tried(number, 2) for number in range(16)))
        assert len(gateway.seen) == 1
        outcomes = await fetch(gateway, here, *(tried(number, 3) for number in range(16)))
    blamed = outcomes.pop(reference(5))
    assert isinstance(blamed, RetryLater)
    assert blamed.reason == "unavailable"
    assert set(outcomes.values()) == {Succeeded()}
    assert len(gateway.seen) == 2 + 2 * 4


async def test_outage_costs_three_queries_for_a_batch_and_not_one_for_each_value() -> None:
    async with serving(web.Response(status=503)) as gateway, world() as here:
        with pytest.raises(ProviderUnavailableError):
            await fetch(gateway, here, *(tried(number, 9) for number in range(64)))
    assert len(gateway.seen) == 3


async def test_rate_limit_is_never_answered_with_more_queries() -> None:
    async with serving(web.Response(status=429)) as gateway, world() as here:
        with pytest.raises(RateLimitedError):
            await fetch(gateway, here, *(tried(number, 9) for number in range(64)))
    assert len(gateway.seen) == 1


async def test_record_that_is_too_long_to_be_read_costs_no_other() -> None:
    script = gateway_of(*map(payment, range(8)), payment(8, customfield1="x" * (1 << 20)))
    async with serving(script) as gateway, world() as here:
        outcomes = await fetch(gateway, here, *map(notified, range(9)))
    assert isinstance(outcomes.pop(reference(8)), RetryLater)
    assert set(outcomes.values()) == {Succeeded()}
    assert observed(here) == {reference(number) for number in range(8)}


async def test_response_that_may_be_cut_off_is_asked_for_in_halves() -> None:
    several = [payment(number) for number in (1, 2) for _ in range(260)]
    async with serving(gateway_of(*several)) as gateway, world() as here:
        outcomes = await fetch(gateway, here, notified(1), notified(2))
    assert len(gateway.seen) == 3
    assert outcomes == {reference(1): Succeeded(), reference(2): Succeeded()}
    assert observed(here) == {reference(1), reference(2)}


async def test_order_with_too_many_records_is_asked_for_by_time() -> None:
    records = [
        payment(number, orderreference="O", transactionstartedtimestamp=f"2026-05-{1 + number % 28:02} 10:00:00")
        for number in range(1200)
    ]
    async with serving(gateway_of(*records)) as gateway, world() as here:
        outcomes = await fetch(gateway, here, waiting("trustpayments", lookup_id="o", orderreference="O"))
    assert outcomes == {"o": Succeeded()}
    assert observed(here) == {reference(number) for number in range(1200)}
    assert {one.lookup_id for lookups in here.answered for one in lookups} == {"o"}
    assert len(gateway.seen) < 60


async def test_order_with_too_many_records_in_one_second_is_refused() -> None:
    records = [payment(number, orderreference="O") for number in range(500)]
    async with serving(gateway_of(*records)) as gateway, world() as here:
        with pytest.raises(ProviderRefusedError, match="too many records"):
            await fetch(gateway, here, waiting("trustpayments", lookup_id="o", orderreference="O"))
    assert here.stored == []


def text_of(number: int, odd: bytes) -> bytes:
    return orjson.dumps(payment(number, orderreference="ORD"))[:-1] + b"," + odd + b"}"


#: A record that is odd, and whether something can be said of its payment all the same.
ODD: Final[dict[str, tuple[bytes, bool]]] = {
    "half a surrogate pair in the order": (b'"orderreference":"\\ud800"', False),
    "half a surrogate pair in a name": (b'"billingfirstname":"\\ud800"', True),
    "a number beyond all": (b'"baseamount":1e400', True),
    "a number of five thousand digits": (b'"baseamount":' + b"9" * 5000, True),
    "not a number": (b'"fraudrating":NaN', True),
    "two settle statuses": (b'"settlestatus":"100"', True),
    "deep nesting": (b'"customfield1":' + b"[" * 900 + b"]" * 900, True),
}


@pytest.mark.parametrize("kind", list(ODD))
async def test_record_that_a_strict_reader_refuses_costs_only_itself(kind: str) -> None:
    odd, readable = ODD[kind]
    async with (
        serving(gateway_of(*map(payment, range(5)), raw={reference(5): text_of(5, odd)})) as gateway,
        world() as here,
    ):
        outcomes = await fetch(gateway, here, settlement(*range(6)))
    assert outcomes == {"s": Succeeded()}
    interpretation = TRUSTPAYMENTS.interpret(response(here.stored[0].body), account("trustpayments"))
    said = {one.payment_id for one in interpretation.observations}
    assert said - {reference(5)} == {reference(number) for number in range(5)}
    assert (reference(5) in said) == readable
    assert [one.place for one in interpretation.odd] == ([] if readable else ["records/5"])


async def test_shop_that_gives_all_payments_one_order_costs_no_endless_queries() -> None:
    records = [
        payment(
            number,
            orderreference="ORDER",
            transactionstartedtimestamp=f"2026-05-{1 + number % 28:02} {number % 24:02}:{number % 60:02}:00",
        )
        for number in range(60_000)
    ]
    async with serving(gateway_of(*records)) as gateway, world() as here:
        with pytest.raises(ProviderRefusedError, match="too many records"):
            await fetch(gateway, here, waiting("trustpayments", lookup_id="o", orderreference="ORDER"))
    assert len(gateway.seen) <= 102


async def test_call_of_many_queries_reports_progress_after_each() -> None:
    seen: list[int] = []
    script = gateway_of(*map(payment, range(8)), poison=[reference(3)])
    async with serving(script) as gateway, world() as here:
        context = replace(here.call_context(), progress=lambda: seen.append(len(gateway.seen)))
        shop = account("trustpayments", webservices_url=gateway.url + "/json/")
        (call,) = TRUSTPAYMENTS.calls([settlement(*range(8))], context)
        await TRUSTPAYMENTS.fetch(call, shop, context, here.store)
    assert seen == list(range(1, 8)), "or a long call would look like a stall"


BAD: Final = [
    *("poison", "failure", "too long", "missing", "uncertain"),
    *("refund of nothing", "no errorcode", "chargeback of nothing"),
    *ODD,
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 30), st.sampled_from(BAD), st.data(), st.booleans())
async def test_good_references_are_all_answered_beside_a_bad_one(
    good: int, kind: str, data: st.DataObject, gathered: bool
) -> None:
    at = data.draw(st.integers(0, good))
    numbers = [number for number in range(good + 1) if number != at]
    records: list[dict[str, Any]] = [payment(number) for number in numbers]
    bad = {
        "uncertain": payment(at, errorcode="60010"),
        "refund of nothing": payment(at, requesttypedescription="REFUND"),
        "no errorcode": payment(at, requesttypedescription="REFUND", errorcode=""),
        "chargeback of nothing": payment(at, requesttypedescription="CHARGEBACK"),
        "too long": payment(at, customfield1="x" * (1 << 20)),
    }
    records += [bad[kind]] if kind in bad else []
    raw = {reference(at): text_of(at, ODD[kind][0])} if kind in ODD else {}
    script = gateway_of(
        *records,
        poison=[reference(at)] if kind == "poison" else [],
        down=[reference(at)] if kind == "failure" else [],
        raw=raw,
    )
    lookups = [settlement(*range(good + 1))] if gathered else [notified(number) for number in range(good + 1)]
    lookups = [msgspec.structs.replace(one, attempts=3) for one in lookups]
    async with serving(script) as gateway, world() as here:
        outcomes = await fetch(gateway, here, *lookups)
    assert observed(here) >= {reference(number) for number in numbers}
    for lookup_id, outcome in outcomes.items():
        if lookup_id != reference(at):
            assert isinstance(outcome, Succeeded)
