"""What a response makes necessary to ask further: the parent of a chargeback, or of a later parcel."""

from __future__ import annotations

from typing import Any

from paynotify.processors.providers.outcomes import FurtherLookup, RetryLater, Succeeded
from tests.fakes.accounts import waiting
from tests.fakes.gateway import serving, world
from tests.fakes.gateway_records import record
from tests.fakes.record_gateway import SITE, asked_in, fetch, gateway_of, notified, observed, payment, reference


def chargeback(number: int, parent: int) -> dict[str, Any]:
    return record(
        "CHARGEBACK", transactionreference=reference(number), parenttransactionreference=reference(parent), **SITE
    )


def together(number: int, parent: int) -> FurtherLookup:
    arguments = {"references": f"{reference(number)} {reference(parent)}"}
    return FurtherLookup("transaction", None, arguments, must_exist=True)


async def test_chargeback_is_looked_up_together_with_its_parent() -> None:
    refund = payment(2, requesttypedescription="REFUND", settlestatus="100", parenttransactionreference=reference(3))
    async with serving(gateway_of(chargeback(1, 2), refund, payment(3))) as gateway, world() as here:
        outcomes = await fetch(gateway, here, notified(1))
        assert outcomes == {reference(1): Succeeded(further=(together(1, 2),))}
        assert observed(here) == set(), "never published under a guess"
        pair = waiting("trustpayments", lookup_id="p", **together(1, 2).arguments)
        outcomes = await fetch(gateway, here, pair, transactions=1)
    assert outcomes == {"p": Succeeded(follow_ups=(reference(3),))}
    assert observed(here) == {reference(3)}, "the payment that the refund was of"
    assert asked_in(gateway)[-1] == [reference(1), reference(2)], "both in one response"


async def test_chargeback_with_its_parent_in_the_response_asks_for_nothing_more() -> None:
    records = [{**one, "orderreference": "O"} for one in (chargeback(1, 2), payment(2))]
    async with serving(gateway_of(*records)) as gateway, world() as here:
        outcomes = await fetch(gateway, here, waiting("trustpayments", lookup_id="o", orderreference="O"))
    assert outcomes == {"o": Succeeded()}
    assert observed(here) == {reference(2)}


async def test_chargeback_whose_parent_is_never_found_ends_as_not_found() -> None:
    pair = waiting("trustpayments", lookup_id="p", **together(1, 2).arguments)
    async with serving(gateway_of(chargeback(1, 2))) as gateway, world() as here:
        outcome = (await fetch(gateway, here, pair))["p"]
    assert isinstance(outcome, RetryLater)
    assert outcome.reason == "not_found"
    assert here.stored == []


async def test_payout_and_account_check_ask_for_no_payment() -> None:
    payout = payment(
        1, requesttypedescription="REFUND", accounttypedescription="CFT", parenttransactionreference=reference(8)
    )
    check = payment(2, requesttypedescription="ACCOUNTCHECK", parenttransactionreference=reference(9))
    async with serving(gateway_of(payout, check)) as gateway, world() as here:
        outcomes = await fetch(gateway, here, notified(1), notified(2))
    assert outcomes == {reference(1): Succeeded(), reference(2): Succeeded()}
    assert len(here.stored) == 1
    assert observed(here) == set()


async def test_child_that_may_be_a_parcel_is_looked_up_with_its_parent() -> None:
    child = {"parenttransactionreference": reference(1)}
    records = (payment(2, **child), payment(3, **child, enrolled="Y"), payment(4, **child, errorcode="70000"))
    async with serving(gateway_of(*records)) as gateway, world() as here:
        outcomes = await fetch(gateway, here, *map(notified, (2, 3, 4)))
    pair = FurtherLookup("transaction", None, {"references": f"{reference(2)} {reference(1)}"})
    assert outcomes.pop(reference(2)) == Succeeded(further=(pair,))
    assert list(outcomes.values()) == [Succeeded(), Succeeded()], "a parent is a 3-D Secure request there, as a rule"
