"""The list of a period's payments over real HTTP: complete, however many there are, or said not to be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from aiohttp import web

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.http import exchange
from paynotify.processors.providers.payment_list import ListedPayment, ListedRecord, PaymentReference, UnreadableRecord
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.providers.trustpayments.client import query
from paynotify.processors.providers.trustpayments.gathered_query import MAX_RECORDS
from paynotify.processors.providers.trustpayments.payment_list import TrustPaymentsLister
from paynotify.sandbox.simulators.trustpayments.simulator import TrustPaymentsSimulator
from paynotify.schemas.errors import ProviderRefusedError, ProviderUnavailableError
from tests.fakes.accounts import account
from tests.fakes.gateway import World, json_answer, serving, world
from tests.fakes.record_gateway import asked_in, gateway_of, payment
from tests.fakes.simulated import simulated, trustpayments_gateway

START: Final = datetime(2026, 11, 22, tzinfo=UTC)
DAY: Final = timedelta(days=1)
LIST: Final = TrustPaymentsLister(waits_seconds=(0.0, 0.0))


def pay(simulator: TrustPaymentsSimulator, at: datetime, order_id: str = "O", **more: Any) -> str:
    order = {"order_id": order_id, "amount": 100, "notify": False, "visible_after_seconds": 0.0, **more}
    created = simulator.create({**order, "started_at": at.strftime("%Y-%m-%d %H:%M:%S")})
    return str(created["payment_id"])


def shop_at(address: str) -> Account[Any]:
    return account("trustpayments", webservices_url=address + "/json/")


async def listed(
    address: str, here: World, start: datetime, end: datetime, lister: TrustPaymentsLister = LIST
) -> tuple[list[ListedPayment], list[datetime]]:
    found: list[ListedPayment] = []
    reached = []
    context = here.call_context(max_response_bytes=4 << 20)
    async for until, sightings in lister.between(shop_at(address), context, start, end):
        found += readable(sightings)
        reached.append(until)
    return found, reached


def readable(listed: Sequence[ListedRecord]) -> list[ListedPayment]:
    found = [one for one in listed if isinstance(one, ListedPayment)]
    assert len(found) == len(listed)
    return found


def payments(found: Sequence[ListedPayment]) -> set[str]:
    return {one.observation.payment_id for one in found if one.started is not None}


async def test_quiet_period_is_a_few_queries_and_nothing_outside_of_it_is_listed() -> None:
    simulator = trustpayments_gateway()
    inside = {pay(simulator, START + timedelta(hours=hour)) for hour in (0, 5, 23)}
    for outside in (START - timedelta(seconds=1), START + DAY + timedelta(seconds=1)):
        pay(simulator, outside)
    async with simulated(simulator) as address, world() as here:
        found, reached = await listed(address, here, START, START + DAY)
    assert payments(found) == inside
    assert reached == sorted(set(reached))
    assert reached[-1] == START + DAY
    assert len(here.paced) <= 4, "every query waits for its turn, and there are few"
    assert {one.started for one in found} == {START + timedelta(hours=hour) for hour in (0, 5, 23)}


async def test_busy_hour_is_split_until_no_answer_is_cut_off() -> None:
    simulator = trustpayments_gateway()
    made = {pay(simulator, START + timedelta(seconds=number)) for number in range(3 * MAX_RECORDS)}
    made |= {pay(simulator, START + timedelta(seconds=7)) for _ in range(MAX_RECORDS - 10)}
    async with simulated(simulator) as address, world() as here:
        found, _ = await listed(address, here, START, START + DAY)
    assert payments(found) == made


async def test_two_full_seconds_side_by_side_are_told_apart() -> None:
    simulator = trustpayments_gateway()
    made = {pay(simulator, START + timedelta(seconds=number % 2)) for number in range(2 * (MAX_RECORDS - 1))}
    async with simulated(simulator) as address, world() as here:
        found, _ = await listed(address, here, START, START + timedelta(seconds=10))
    assert payments(found) == made


async def test_second_that_is_too_full_is_named_and_nothing_passes_for_complete() -> None:
    simulator = trustpayments_gateway()
    for _ in range(MAX_RECORDS):
        pay(simulator, START + timedelta(seconds=5))
    async with simulated(simulator) as address, world() as here:
        with pytest.raises(ProviderRefusedError, match=r"within one second \(2026-11-22 00:00:0[45] GMT\)"):
            await listed(address, here, START, START + DAY)


@pytest.mark.parametrize(("seconds", "complete"), [(3, True), (1, False)])
async def test_gateway_that_leaves_a_periods_end_out_loses_no_payment(seconds: int, complete: bool) -> None:
    """Its answer to one moment is empty, which must not pass for a second without payments."""
    times = [f"2026-11-22 00:00:0{number % seconds}" for number in range(MAX_RECORDS + 100)]
    records = [
        {
            "requesttypedescription": "AUTH",
            "transactionreference": f"1-1-{number}",
            "sitereference": "test_acme98765",
            "errorcode": "0",
            "settlestatus": "0",
            "transactionstartedtimestamp": started,
        }
        for number, started in enumerate(times)
    ]

    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        asked = json.loads(body)["request"][0]
        start, end = (asked["filter"][name][0]["value"] for name in ("starttimestamp", "endtimestamp"))
        inside = [one for one in records if start <= one["transactionstartedtimestamp"] < end]
        found = {"errorcode": "0", "records": inside[:MAX_RECORDS]}
        return json_answer(json.dumps({"requestreference": asked["requestreference"], "response": [found]}))

    async with serving(answer) as bank, world() as here:
        if complete:
            found, _ = await listed(bank.url, here, START, START + DAY)
            assert payments(found) == {one["transactionreference"] for one in records}
        else:
            with pytest.raises(ProviderRefusedError, match="within one second"):
                await listed(bank.url, here, START, START + DAY)


async def test_refunds_are_seen_with_their_payment_and_whenever_they_were() -> None:
    simulator = trustpayments_gateway()
    payment = pay(simulator, START, "ORD-1", settlestatus="100")
    async with simulated(simulator) as address, world() as here:
        simulator.change(payment, {"refund": 40, "notify": False})  # now, long after the period
        found, _ = await listed(address, here, START, START + DAY)
        asked = [
            one async for one in LIST.about(shop_at(address), here.call_context(), [PaymentReference(payment, "ORD-1")])
        ]
        alone = [
            one async for one in LIST.about(shop_at(address), here.call_context(), [PaymentReference(payment, None)])
        ]
    assert [one.observation.refund for one in found] == [None]
    ((count, listed_records),) = asked
    sightings = readable(listed_records)
    refunds = [one.observation.refund for one in sightings if one.observation.refund is not None]
    assert (count, len(sightings), refunds[0].amount.value) == (1, 2, 40)
    assert [one.started for one in sightings if one.observation.refund is not None] == [None]
    assert payments(readable(alone[0][1])) == {payment}


async def test_many_orders_are_asked_for_together_and_split_where_an_answer_may_be_cut_off() -> None:
    simulator = trustpayments_gateway()
    named = [
        PaymentReference(pay(simulator, START, f"ORD-{number % 25}"), f"ORD-{number % 25}") for number in range(1000)
    ]
    async with simulated(simulator) as address, world() as here:
        parts = [
            one async for one in LIST.about(shop_at(address), here.call_context(max_response_bytes=4 << 20), named)
        ]
    assert sum(count for count, _ in parts) == len(named)
    assert {one.observation.payment_id for _, part in parts for one in readable(part)} == {
        one.payment_id for one in named
    }


async def test_outage_is_waited_out_for_a_while_and_a_refusal_is_not() -> None:
    simulator = trustpayments_gateway()
    payment = pay(simulator, START)
    async with simulated(simulator) as address, world() as here:
        shop = shop_at(address)

        async def failing(request: web.Request, body: bytes) -> web.StreamResponse:
            raise web.HTTPServiceUnavailable

        async def passed_on(request: web.Request, body: bytes) -> web.StreamResponse:
            headers = {name: request.headers[name] for name in ("Authorization", "Content-Type")}
            answer = await exchange(
                here.call_context(), "POST", shop.merchant.webservices_url, headers=headers, content=body
            )
            return json_answer(answer.body)

        async with serving(failing, failing, passed_on) as between:
            found, _ = await listed(between.url, here, START, START + timedelta(hours=1))
            assert payments(found) == {payment}
        async with serving(failing) as between:
            with pytest.raises(ProviderUnavailableError):
                await listed(between.url, here, START, START + timedelta(hours=1))
            assert len(between.seen) == 3
        async with serving(json_answer("", 401)) as between:
            with pytest.raises(ProviderRefusedError):
                await listed(between.url, here, START, START + timedelta(hours=1))
            assert len(between.seen) == 1


async def test_period_that_is_no_time_is_refused_and_does_not_list_everything() -> None:
    simulator = trustpayments_gateway()
    pay(simulator, START)
    async with simulated(simulator) as address, world() as here:
        with pytest.raises(ProviderRefusedError, match="60019"):
            await query({"starttimestamp": ["2026-11-22T00:00:00Z"]}, shop_at(address), here.call_context())


def test_trust_payments_alone_has_a_list() -> None:
    assert [name for name, spec in provider_specs().items() if spec.lister] == ["trustpayments"]


def listed_record(reference: str, kind: str, started: str, **fields: str) -> dict[str, str]:
    return payment(0) | {
        "transactionreference": reference,
        "requesttypedescription": kind,
        "transactionstartedtimestamp": started,
        **fields,
    }


async def test_chargeback_is_listed_for_a_payment_of_another_period_and_nothing_else_of_it() -> None:
    old = listed_record("1-1-1", "AUTH", "2026-01-01 10:00:00", settlestatus="100")
    refund = listed_record("1-1-2", "REFUND", "2026-01-02 10:00:00", parenttransactionreference="1-1-1")
    charged = listed_record("1-1-3", "CHARGEBACK", "2026-11-22 10:00:00", parenttransactionreference="1-1-2")
    new = listed_record("1-1-4", "AUTH", "2026-11-22 11:00:00")
    async with serving(gateway_of(old, refund, charged, new)) as bank, world() as here:
        found, _ = await listed(bank.url, here, START, START + DAY)
    assert payments(found) == {"1-1-4"}
    disputes = [one.observation for one in found if one.observation.chargeback is not None]
    assert [(one.payment_id, one.status) for one in disputes] == [("1-1-1", None)]
    assert all(one.observation.refund is None for one in found)


async def test_chargeback_whose_payment_is_refused_costs_no_other_and_is_named() -> None:
    at = "2026-11-22 10:00:00"
    old = [listed_record(f"1-1-{one}", "AUTH", "2026-01-01 10:00:00", settlestatus="100") for one in range(9)]
    charged = [
        listed_record(f"2-1-{one}", "CHARGEBACK", at, parenttransactionreference=f"1-1-{one}") for one in range(9)
    ]
    async with serving(gateway_of(*old, *charged, poison=["1-1-4"])) as bank, world() as here:
        parts = LIST.between(shop_at(bank.url), here.call_context(transactions=6), START, START + DAY)
        found = [one async for _, listed in parts for one in listed]
    disputed = {one.observation.payment_id for one in found if isinstance(one, ListedPayment)}
    assert disputed == {f"1-1-{one}" for one in range(9) if one != 4}
    texts = {one.text for one in found if isinstance(one, UnreadableRecord) and "refuses" in one.text}
    assert texts == {"2-1-4: the gateway refuses to tell its payment"}
    assert max(len(values) for values in asked_in(bank)) == 6


async def test_order_that_the_gateway_refuses_costs_no_other_order() -> None:
    records = [
        listed_record(f"1-1-{number}", "AUTH", "2026-11-22 10:00:00", orderreference=f"O-{number}")
        for number in range(9)
    ]
    named = [PaymentReference(f"1-1-{number}", f"O-{number}") for number in range(9)]
    async with serving(gateway_of(*records, poison=["O-4"])) as bank, world() as here:
        parts = [one async for one in LIST.about(shop_at(bank.url), here.call_context(), named)]
    assert sum(count for count, _ in parts) == 9
    assert {one.observation.payment_id for _, part in parts for one in readable(part)} == {
        f"1-1-{n}" for n in range(9) if n != 4
    }


async def test_record_that_can_not_be_read_is_named_and_costs_no_other() -> None:
    at = "2026-11-22 10:00:00"
    records = [
        listed_record("1-1-1", "AUTH", at),
        listed_record("1-1-2", "REFUND", at),  # of no payment
        listed_record("1-1-3", "AUTH", at),
        listed_record("no reference", "AUTH", at),
    ]
    async with serving(gateway_of(*records)) as bank, world() as here:
        parts = LIST.between(shop_at(bank.url), here.call_context(), START, START + DAY)
        found = [one async for _, listed in parts for one in listed]
    assert payments([one for one in found if isinstance(one, ListedPayment)]) == {"1-1-1", "1-1-3"}
    assert sorted({one.text for one in found if isinstance(one, UnreadableRecord)}) == [
        "1-1-2: a refund names no payment",
        "a record: a record's own reference is not three numbers joined by hyphens",
    ]
