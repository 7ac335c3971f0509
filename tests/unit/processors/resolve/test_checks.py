"""The comparison with the shop's expectation: of whole payments, of parts, and of a subscription's later payments."""

from __future__ import annotations

from typing import Final

import pytest

from paynotify.processors.resolve.release import ReleaseRules
from paynotify.schemas.messages import Expectation, OrderRole
from paynotify.schemas.money import Money
from tests.fakes.payment_histories import EARLY, events, expected, pounds, seen

REQUIRED: Final = ReleaseRules(expected_required=True)


def checked(role: OrderRole, expectation: Expectation, rules: ReleaseRules = REQUIRED) -> tuple[str, str, str]:
    """How a captured payment of ten pounds compares: the amount, the order, and what the warehouse may do."""
    (event,) = events([seen("captured", order_role=role, expected=expectation)], rules=rules)
    return event.checks.amount, event.checks.order, event.fulfilment


@pytest.mark.parametrize(
    ("expectation", "result"),
    [
        (expected(1000), ("match", "expected", "release")),
        (expected(999), ("mismatch", "expected", "hold")),
        (expected(1000, paid_by="p0"), ("match", "unexpected", "hold")),
        (expected(1000, paid_by="p0", several=True), ("match", "expected", "release")),
    ],
)
def test_whole_payment_has_the_announced_amount_and_is_alone(expectation: Expectation, result: object) -> None:
    assert checked("whole", expectation) == result


@pytest.mark.parametrize(
    ("expectation", "result"),
    [
        (expected(1000), ("match", "expected", "release")),
        (expected(3000), ("match", "expected", "release")),
        (expected(3000, other_parts=pounds(2000)), ("match", "expected", "release")),
        (expected(3000, other_parts=pounds(2001)), ("mismatch", "expected", "hold")),
        (expected(999), ("mismatch", "expected", "hold")),
        (expected(3000, other_parts=Money(1, "EUR")), ("mismatch", "expected", "hold")),
        (expected(3000, other_parts=pounds(500), paid_by="p0"), ("match", "expected", "release")),
    ],
)
def test_parts_add_up_to_at_most_what_was_announced(expectation: Expectation, result: object) -> None:
    assert checked("part", expectation) == result


@pytest.mark.parametrize(
    ("expectation", "rules", "result"),
    [
        (expected(1000, paid_by="p0"), REQUIRED, ("match", "expected", "release")),
        (expected(1500, paid_by="p0"), REQUIRED, ("unknown", "expected", "hold")),
        (expected(1500), ReleaseRules(), ("unknown", "expected", "release")),
    ],
)
def test_later_payment_of_a_subscription_is_judged_only_by_an_equal_amount(
    expectation: Expectation, rules: ReleaseRules, result: object
) -> None:
    assert checked("repeat", expectation, rules) == result


def test_later_payment_of_a_subscription_must_be_paid_in_full() -> None:
    (event,) = events([seen("captured", order_role="repeat", paid=pounds(999), expected=expected(1500))])
    assert (event.checks.amount, event.fulfilment) == ("unknown", "hold")


def test_role_stays_although_a_response_does_not_show_it() -> None:
    """The record of a part alone does not say that its parent is a split shipment."""
    steps = [seen("authorised", 1, order_role="part", expected=expected(3000)), seen("captured", 2)]
    assert [event.checks.amount for event in events(steps)] == ["match", "match"]
    assert [event.order_role for event in events(steps)] == ["part", "part"]


def test_amount_in_the_customers_currency_is_published_beside_the_merchants() -> None:
    (event,) = events([seen("captured", customer_amount=Money(1200, "EUR"), expected=expected(1000))])
    assert (event.customer_amount, event.amount, event.checks.amount) == (Money(1200, "EUR"), pounds(1000), "match")


@pytest.mark.parametrize("known", [None, expected(0), expected(1000), expected(0, several=True)])
@pytest.mark.parametrize("role", ["whole", "part", "repeat"])
def test_capture_of_nothing_releases_nothing(known: Expectation | None, role: OrderRole) -> None:
    nothing = seen("captured", amount=pounds(0), paid=pounds(0), order_role=role, expected=known)
    assert [event.fulfilment for event in events([nothing], rules=EARLY)] == ["hold"]
