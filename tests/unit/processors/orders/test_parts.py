"""Orders that more than one payment may pay: parts add up, subscriptions repeat, and links are open to many."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from paynotify.processors.orders.order_state import OrderState
from paynotify.processors.orders.parts import others
from paynotify.processors.orders.state_machine import (
    MAX_PARTS,
    MAX_PAYMENTS,
    ComparePayment,
    expectation_registered,
    payment_observed,
)
from paynotify.schemas.messages import Observation, PaymentSeen
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status
from paynotify.schemas.times import rfc3339
from tests.unit.processors.orders.test_stage import DUE, PRICE, Shop, expected, payers, seen
from tests.unit.processors.orders.test_state_machine import ORDER, START, expectation, news


def gbp(value: int) -> Money:
    return Money(value, "GBP")


def part(payment: str, value: int, status: Status = "captured", **changes: Any) -> Any:
    return seen(payment, status, amount=gbp(value), order_role="part", **changes)


def newest_parts(shop: Shop) -> dict[str, Money | None]:
    """What each payment was told last of the order's other parts."""
    return {one.payment_id: one.expected.other_parts for one in shop.of("observations", Observation)}


# --- several ---------------------------------------------------------------------------------------------------


async def test_order_for_several_payments_is_never_paid_twice() -> None:
    shop = Shop()
    await shop.told(expected(several=True, payment_id="p3"), seen("p1"), seen("p2"), seen("p3"))
    assert payers(shop) == []
    assert all(one.expected.several for one in shop.of("observations", Observation))


async def test_order_opened_for_several_payments_ends_that_one_is_too_many() -> None:
    shop = Shop()
    await shop.told(expected(), seen("p1"), seen("p2"))
    assert payers(shop) == [("p2", "p1")]
    await shop.told(expected(several=True))
    newest = {one.payment_id: one.expected for one in shop.of("observations", Observation)}
    assert {name: (one.paid_by, one.several) for name, one in newest.items()} == {
        "p1": (None, True),
        "p2": (None, True),
    }


async def test_order_for_several_payments_is_settled_by_the_first() -> None:
    shop = Shop()
    await shop.told(expected(several=True), seen("p1"), seen("p2", "pending"))
    assert await shop.reach(DUE + timedelta(days=9)) == []


# --- repeat ----------------------------------------------------------------------------------------------------


async def test_later_payment_of_a_subscription_is_not_one_too_many() -> None:
    shop = Shop()
    await shop.told(expected(), seen("p1"), seen("p2", order_role="repeat"), seen("p3"))
    assert payers(shop) == [("p3", "p1")]


async def test_later_payment_of_a_subscription_never_pays_the_order() -> None:
    shop = Shop()
    await shop.told(expected(), seen("p2", order_role="repeat"), seen("p1"))
    assert payers(shop) == []
    await shop.told(seen("p3"))
    assert payers(shop) == [("p3", "p1")]


# --- parts -----------------------------------------------------------------------------------------------------


async def test_each_part_is_told_what_the_others_hold_or_took() -> None:
    shop = Shop()
    await shop.told(expected(), part("a", 600, "authorised"), part("b", 300, "pending"))
    assert newest_parts(shop) == {"a": gbp(0), "b": gbp(600)}
    await shop.told(part("b", 300, "authorised"), part("c", 100, "suspended"))
    assert newest_parts(shop) == {"a": gbp(400), "b": gbp(700), "c": gbp(900)}
    await shop.told(part("c", 100, "cancelled"), part("a", 600, paid=gbp(550)))
    assert newest_parts(shop) == {"a": gbp(300), "b": gbp(550), "c": gbp(900)}, "what has ended is not told"


async def test_part_in_another_currency_adds_nothing() -> None:
    shop = Shop()
    await shop.told(expected(), part("a", 600), seen("b", amount=Money(400, "EUR"), order_role="part"))
    assert newest_parts(shop) == {"a": gbp(0), "b": gbp(600)}
    await shop.reach(DUE)
    assert shop.overdue == [("raised", "captured")]


async def test_whole_payment_adds_nothing_to_the_parts() -> None:
    shop = Shop()
    await shop.told(expected(), part("a", 600), seen("w", "authorised"))
    assert newest_parts(shop) == {"a": gbp(0), "w": None}


async def test_order_is_settled_once_its_parts_add_up() -> None:
    shop = Shop()
    await shop.told(expected(), part("a", 600))
    await shop.reach(DUE)
    assert shop.overdue == [("raised", "captured")]
    await shop.told(part("b", 300), part("c", 100, "authorised"))
    assert shop.overdue == [("raised", "captured")]
    await shop.told(part("c", 100))
    assert shop.overdue == [("raised", "captured"), ("cleared", "captured")]


async def test_shop_that_lowers_the_amount_settles_the_order_with_fewer_parts() -> None:
    shop = Shop()
    await shop.told(expected(), part("a", 600))
    await shop.reach(DUE)
    await shop.told(expected(amount=gbp(600)))
    assert [state for state, _ in shop.overdue] == ["raised", "cleared"]


async def test_parts_that_add_up_make_any_other_payment_one_too_many() -> None:
    shop = Shop()
    await shop.told(expected(), part("a", 600), part("b", 400), seen("w"), part("c", 100))
    assert payers(shop) == [("w", "b")], "a part too many is found by the sum"
    assert newest_parts(shop)["c"] == PRICE


async def test_part_of_an_order_that_was_paid_in_one_is_one_too_many() -> None:
    shop = Shop()
    await shop.told(expected(), seen("w"), part("a", 600))
    assert payers(shop) == [("a", "w")]
    assert newest_parts(shop)["a"] == PRICE, "so the sum exceeds what was expected"


async def test_refunded_part_still_counts_as_paid() -> None:
    shop = Shop()
    await shop.told(expected(), part("a", 600), part("a", 600, "refunded", sequence=9), part("b", 400), seen("w"))
    assert payers(shop) == [("w", "b")], "its goods may have left"


async def test_order_whose_parts_all_failed_is_settled() -> None:
    shop = Shop()
    await shop.told(expected(), part("a", 600, "declined"))
    assert await shop.reach(DUE + timedelta(days=9)) == []


async def test_part_compared_already_is_not_compared_again() -> None:
    shop = Shop()
    await shop.told(expected(), part("a", 600, "authorised"))
    (one,) = shop.of("observations", Observation)
    await shop.told(part("a", 600, compared=one.expected))
    assert len(shop.of("observations", Observation)) == 1


def test_parts_of_more_than_the_largest_amount_stop_no_order() -> None:
    most = gbp(10**18 - 1)
    state = expectation_registered(ORDER, OrderState(), expectation(), "1", rfc3339(START)).state
    for name in ("a", "b", "c"):
        state = payment_observed(ORDER, state, news(name, "captured", role="part", amount=most)).state
    assert others(state.payments.values(), "a", "GBP") == most


def test_payments_of_an_order_are_bounded_and_hold_two_years_of_instalments() -> None:
    state = expectation_registered(ORDER, OrderState(), expectation(), "1", rfc3339(START)).state
    for number in range(2 * MAX_PARTS):
        one = news(f"p{number}", "captured", role="part", amount=gbp(1))
        state, effects = payment_observed(ORDER, state, one)
        assert len(state.payments) <= MAX_PARTS
        assert len(effects) <= MAX_PARTS + 3
    assert MAX_PARTS >= 24
    for number in range(2 * MAX_PARTS):
        state = payment_observed(ORDER, state, news(f"w{number}", "pending")).state
    assert len(state.payments) <= MAX_PARTS
    assert MAX_PAYMENTS <= MAX_PARTS


roles = st.sampled_from(("whole", "part", "part", "repeat"))
payments = st.lists(
    st.builds(
        lambda payment, status, role, value: news(payment, status, role=role, amount=gbp(value)),
        st.sampled_from("abcd"),
        st.sampled_from(("pending", "authorised", "suspended", "captured", "declined", "refunded")),
        roles,
        st.sampled_from((250, 500, 1000)),
    ),
    max_size=20,
)


@given(payments)
def test_newest_comparison_of_each_part_has_the_sum_of_the_others(given_payments: list[PaymentSeen]) -> None:
    state = expectation_registered(ORDER, OrderState(), expectation(), "1", rfc3339(START)).state
    told: dict[str, ComparePayment] = {}
    newest: dict[str, PaymentSeen] = {}
    for one in given_payments:
        # resolve reports a payment with what it was compared with last
        known = told[one.payment_id].expectation if one.payment_id in told else None
        one = replace(one, expected=known)
        newest[one.payment_id] = one
        state, effects = payment_observed(ORDER, state, one)
        told |= {effect.payment_id: effect for effect in effects if isinstance(effect, ComparePayment)}
    for name, one in newest.items():
        if one.order_role != "part" or one.status in ("declined",):
            continue
        counted = [
            other.amount.value
            for other in newest.values()
            if other.payment_id != name
            and other.order_role == "part"
            and other.amount is not None
            and other.status in ("authorised", "suspended", "captured", "refunded")
        ]
        paid_in_one = PRICE.value if state.paid_by is not None and not state.paid_in_parts else 0
        assert told[name].expectation.other_parts == gbp(sum(counted) + paid_in_one)


@given(payments, st.booleans())
def test_payer_is_named_to_no_repeat_nor_where_several_may_pay(
    given_payments: list[PaymentSeen], several: bool
) -> None:
    shop = expectation(several=several)
    state = expectation_registered(ORDER, OrderState(), shop, "1", rfc3339(START)).state
    for one in given_payments:
        state, effects = payment_observed(ORDER, state, one)
        for effect in effects:
            if isinstance(effect, ComparePayment) and effect.expectation.paid_by is not None:
                assert not several
                assert state.payments[effect.payment_id].order_role != "repeat"
                assert effect.expectation.paid_by != effect.payment_id
    if several:
        assert state.paid_by is None
