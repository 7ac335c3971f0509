"""A day and a night at the simulated gateway, which tells nobody of settlement, and what the product reads then.

The simulator shares no code with the product; both are written from the gateway's pages.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace

from paynotify.processors.providers.base import WaitingLookup
from paynotify.processors.providers.outcomes import Failed, LookupOutcome, Succeeded
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.processors.resolve.transitions import advance
from paynotify.sandbox.simulators.trustpayments.simulator import TrustPaymentsSimulator
from paynotify.schemas.messages import Observation, PaymentStatus
from paynotify.schemas.money import Money
from paynotify.schemas.times import parse_time
from tests.fakes.accounts import account, response, waiting
from tests.fakes.gateway import World, world
from tests.fakes.simulated import simulated, trustpayments_gateway

TRUSTPAYMENTS: Final = provider_specs()["trustpayments"].provider


class Shop:
    """A shop at the simulated gateway, and its payments as the product knows them."""

    def __init__(self, address: str, here: World) -> None:
        self._account = account("trustpayments", webservices_url=address + "/json/")
        self._here = here
        self._states: dict[str, PaymentState] = {}
        self.newest: dict[str, Observation] = {}
        self._moment = datetime.now(UTC)

    async def look(self, *lookups: WaitingLookup) -> dict[str, LookupOutcome]:
        """Make the lookups, and all that they lead to; the outcomes of the first ones."""
        context = self._here.call_context()
        outcomes: dict[str, LookupOutcome] = {}
        for call in TRUSTPAYMENTS.calls(lookups, context):
            self._here.stored.clear()
            outcomes.update(await TRUSTPAYMENTS.fetch(call, self._account, context, self._here.store))
            for stored in list(self._here.stored):
                self._read(stored.body)
        further = [one for outcome in outcomes.values() if isinstance(outcome, Succeeded) for one in outcome.further]
        for one in further:
            await self.look(waiting("trustpayments", lookup_id="further", **one.arguments))
        follow_ups = [
            one for outcome in outcomes.values() if isinstance(outcome, Succeeded) for one in outcome.follow_ups
        ]
        for name in follow_ups:
            outcomes |= await self.look(waiting("trustpayments", name, lookup_id=name, recovery="1"))
        return outcomes

    def _read(self, body: bytes) -> None:
        self._moment += timedelta(seconds=1)
        interpretation = TRUSTPAYMENTS.interpret(replace(response(body), received_at=self._moment), self._account)
        assert interpretation.odd == ()
        for one in interpretation.observations:
            self._states[one.payment_id] = advance(self._states.get(one.payment_id, PaymentState()), one).state
            child = one.refund.refund_id if one.refund else one.payment_id
            self.newest[child] = one

    def event(self, payment: str) -> PaymentStatus:
        """The payment's newest event."""
        event = self._states[payment].last
        assert event is not None
        return event


def notified(reference: str) -> WaitingLookup:
    return waiting("trustpayments", reference, lookup_id=reference)


def morning(*references: str) -> WaitingLookup:
    return waiting(
        "trustpayments", lookup_id="morning", references=" ".join(references), recovery="1", cause="settlement due"
    )


def pay(simulator: TrustPaymentsSimulator, order_id: str, **more: Any) -> str:
    order = {"order_id": order_id, "amount": 1050, "notify": False, "visible_after_seconds": 0.0, **more}
    return str(simulator.create(order)["payment_id"])


def child(simulator: TrustPaymentsSimulator, payment: str, **change: Any) -> str:
    return str(simulator.change(payment, {"notify": False, **change})["transactionreference"])


async def test_card_and_its_refund_are_settled_in_the_night_and_found_by_one_look() -> None:
    simulator = trustpayments_gateway()
    async with simulated(simulator) as address, world() as here:
        shop, payment = Shop(address, here), pay(simulator, "O-1")
        await shop.look(notified(payment))
        assert (shop.event(payment).status, shop.event(payment).fulfilment) == ("authorised", "hold")
        follow = shop.newest[payment].follow
        assert follow is not None
        due = parse_time(follow.due or "")
        assert due is not None
        assert (due.hour, due.date() - datetime.now(UTC).date()) == (8, timedelta(days=1))
        simulator.night({})
        await shop.look(morning(payment))
        assert (shop.event(payment).status, shop.event(payment).fulfilment) == ("captured", "release")
        assert shop.newest[payment].follow is None
        refund = child(simulator, payment, refund=1050)
        await shop.look(notified(refund))
        assert (shop.event(payment).status, shop.event(payment).refunding) == ("captured", Money(1050, "GBP"))
        assert shop.newest[refund].follow is not None
        simulator.night({})
        await shop.look(morning(refund))
        assert (shop.event(payment).status, shop.event(payment).fulfilment) == ("refunded", "stop")
        assert shop.newest[refund].follow is None


async def test_deferred_payment_is_settled_on_its_day_and_a_suspended_one_lapses() -> None:
    simulator = trustpayments_gateway()
    async with simulated(simulator) as address, world() as here:
        shop = Shop(address, here)
        deferred = pay(simulator, "O-1", settles_in_days=3)
        suspended = pay(simulator, "O-2", settlestatus="2")
        await shop.look(notified(deferred), notified(suspended))
        follow = shop.newest[deferred].follow
        assert follow is not None
        settles_by = parse_time(follow.settles_by)
        assert settles_by is not None
        assert settles_by.date() - datetime.now(UTC).date() == timedelta(days=4)
        simulator.night({"days": 4})
        await shop.look(morning(deferred, suspended))
        assert (shop.event(deferred).status, shop.event(suspended).status) == ("captured", "suspended")
        assert shop.newest[suspended].follow is not None
        simulator.night({"days": 4})
        await shop.look(morning(suspended))
        assert shop.event(suspended).status == "cancelled"
        assert shop.newest[suspended].follow is None


async def test_chargeback_of_a_refund_reaches_the_payment_and_leaves_no_ghost() -> None:
    simulator = trustpayments_gateway()
    async with simulated(simulator) as address, world() as here:
        shop, payment = Shop(address, here), pay(simulator, "O-1", settlestatus="100")
        refund = child(simulator, payment, refund=400, refund_settlestatus="100")
        await shop.look(notified(payment), notified(refund))
        charged = child(simulator, refund, chargeback=250)
        await shop.look(notified(charged))
        assert (shop.event(payment).status, shop.event(payment).charged_back) == ("charged_back", Money(250, "GBP"))
        assert set(shop.newest) == {payment, refund}


async def test_payout_changes_nothing_and_account_check_is_no_payment() -> None:
    simulator = trustpayments_gateway()
    async with simulated(simulator) as address, world() as here:
        shop, payment = Shop(address, here), pay(simulator, "O-1", settlestatus="100")
        payout, check = child(simulator, payment, payout=999_999), pay(simulator, "O-2", request="ACCOUNTCHECK")
        outcomes = await shop.look(notified(payment), notified(payout), notified(check))
        assert all(one == Succeeded() for one in outcomes.values())
        assert set(shop.newest) == {payment}
        assert shop.event(payment).status == "captured"


async def test_refused_transaction_takes_no_other_with_it() -> None:
    simulator = trustpayments_gateway()
    async with simulated(simulator) as address, world() as here:
        shop = Shop(address, here)
        payments = [pay(simulator, f"O-{number}") for number in range(12)]
        refused = pay(simulator, "O-x", refused=True)
        outcomes = await shop.look(*map(notified, [*payments[:5], refused, *payments[5:]]))
        assert isinstance(outcomes.pop(refused), Failed)
        assert set(outcomes.values()) == {Succeeded()}
        assert set(shop.newest) == set(payments)


async def test_converted_payment_and_its_refund_are_each_compared_in_one_currency() -> None:
    simulator = trustpayments_gateway()
    async with simulated(simulator) as address, world() as here:
        shop = Shop(address, here)
        payment = pay(simulator, "O-1", settlestatus="100", conversion={"currency": "USD", "amount": 1300})
        await shop.look(notified(payment))
        event = shop.event(payment)
        assert (event.amount, event.paid, event.customer_amount) == (
            Money(1050, "GBP"),
            Money(1050, "GBP"),
            Money(1300, "USD"),
        )
        await shop.look(notified(child(simulator, payment, refund=1050, refund_settlestatus="100")))
        assert (shop.event(payment).status, shop.event(payment).refunded) == ("refunded", Money(1300, "USD"))


async def test_parcels_and_subscription_payments_say_what_they_are_to_their_order() -> None:
    simulator = trustpayments_gateway()
    async with simulated(simulator) as address, world() as here:
        shop = Shop(address, here)
        first = pay(simulator, "O-1", shipments=2, settles=400)
        later = child(simulator, first, shipment=650)
        started = pay(simulator, "O-2", subscription=True)
        month, instalment = (
            child(simulator, started, repeat=1050),
            child(simulator, started, repeat=500, installment=True),
        )
        await shop.look(*map(notified, (first, later, started, month, instalment)))
        roles = [shop.newest[one].order_role for one in (first, later, started, month, instalment)]
        assert roles == ["part", "part", "whole", "repeat", "part"]
        assert [shop.newest[one].amount for one in (first, later)] == [Money(400, "GBP"), Money(650, "GBP")]
