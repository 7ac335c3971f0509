"""What a payment is to its order: all of it, a parcel or an instalment, or a later payment of a subscription.

Expected values are those of the gateway's pages on split shipments and subscriptions.
"""

from __future__ import annotations

from typing import Any

import pytest

from paynotify.schemas.money import Money
from tests.fakes.gateway_records import card, read

CHILD = {"transactionreference": "1-2-4", "parenttransactionreference": "1-2-3"}


@pytest.mark.parametrize(
    ("fields", "role"),
    [
        ({}, "whole"),
        ({"splitfinalnumber": "01"}, "whole"),
        ({"splitfinalnumber": "x"}, "whole"),
        ({"authmethod": "FINAL"}, "whole"),
        ({"authmethod": "SPLIT"}, "part"),
        ({"splitfinalnumber": "2"}, "part"),
        ({"authmethod": "SPLIT", "splitfinalnumber": "3"}, "part"),
        ({"parenttransactionreference": "5-5-5"}, "whole"),  # the parent is a 3-D Secure request, as a rule
        ({"accounttypedescription": "RECUR", "parenttransactionreference": "5-5-5"}, "repeat"),
        ({"accounttypedescription": "RECUR"}, "whole"),
        ({"accounttypedescription": "RECUR", "parenttransactionreference": "x"}, "whole"),
        ({"subscriptiontype": "RECURRING"}, "whole"),
        ({"subscriptiontype": "INSTALLMENT"}, "part"),
        (
            {
                "accounttypedescription": "RECUR",
                "parenttransactionreference": "5-5-5",
                "subscriptiontype": "INSTALLMENT",
            },
            "part",
        ),
        (
            {
                "accounttypedescription": "RECUR",
                "parenttransactionreference": "5-5-5",
                "subscriptiontype": "RECURRING",
                "subscriptionnumber": "2",
            },
            "repeat",
        ),
    ],
)
def test_records_own_words_tell_its_role(fields: dict[str, Any], role: str) -> None:
    (one,) = read(card("0", **fields))
    assert one.order_role == role


def test_later_parcel_is_known_by_its_parent() -> None:
    first, later = read(card("0", authmethod="SPLIT", splitfinalnumber="2"), card("0", **CHILD))
    assert (first.order_role, later.order_role) == ("part", "part")


@pytest.mark.parametrize("account", ["RECUR", "MOTO"])
def test_child_of_another_account_is_no_parcel(account: str) -> None:
    _, later = read(card("0", splitfinalnumber="2"), card("0", **CHILD, accounttypedescription=account))
    assert later.order_role == ("repeat" if account == "RECUR" else "whole")


def test_child_of_an_ordinary_payment_is_no_parcel() -> None:
    _, later = read(card("0"), card("0", **CHILD))
    assert later.order_role == "whole"


def test_parcels_add_up_because_the_first_ones_amount_is_lowered() -> None:
    first, later = read(
        card("100", splitfinalnumber="2", settlebaseamount="400"),
        card("100", **CHILD, baseamount="650", settlebaseamount="650"),
    )
    assert (first.amount, first.paid) == (Money(400, "GBP"), Money(400, "GBP"))
    assert (later.amount, later.paid) == (Money(650, "GBP"), Money(650, "GBP"))


def test_first_parcel_may_ship_though_less_than_authorised_will_be_settled() -> None:
    (one,) = read(card("0", splitfinalnumber="2", settlebaseamount="400"))
    assert (one.amount, one.secured) == (Money(400, "GBP"), True)
