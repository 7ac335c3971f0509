"""What belongs to a payment: refunds in all their states, payouts that are none, and chargebacks.

Expected values are those of the gateway's pages on refunds, settlement and CFT payouts, and of its code list.
"""

from __future__ import annotations

from typing import Any

import pytest

from paynotify.schemas.messages import Chargeback, Refund
from paynotify.schemas.money import Money
from tests.fakes.gateway_records import card, interpreted, read, record

POUNDS = Money(1050, "GBP")
PARENT = {"parenttransactionreference": "9-9-9"}


@pytest.mark.parametrize(
    ("errorcode", "settlestatus", "settled", "ended"),
    [
        ("0", "0", False, False),
        ("0", "1", False, False),
        ("0", "10", False, False),
        ("0", "100", True, False),
        ("0", "2", False, True),
        ("0", "3", False, True),
        ("70000", "3", False, True),
        ("60010", "", False, False),
        ("99999", "3", False, False),
    ],
)
def test_refund_is_under_way_settled_or_ended(errorcode: str, settlestatus: str, settled: bool, ended: bool) -> None:
    (one,) = read(record("REFUND", errorcode=errorcode, settlestatus=settlestatus, **PARENT))
    assert (one.payment_id, one.status) == ("9-9-9", None)
    assert one.refund == Refund(refund_id="1-2-3", amount=POUNDS, settled=settled, ended=ended)


def test_refund_settled_in_part_is_that_part() -> None:
    (one,) = read(record("REFUND", settlestatus="100", settlebaseamount="500", **PARENT))
    assert one.refund == Refund(refund_id="1-2-3", amount=Money(500, "GBP"), settled=True)


@pytest.mark.parametrize("parent", [PARENT, {}])
@pytest.mark.parametrize("settlestatus", ["0", "100", "3", "7"])
def test_payout_changes_no_payment_and_is_no_error(parent: dict[str, str], settlestatus: str) -> None:
    payout = record(
        "REFUND", accounttypedescription="CFT", settlestatus=settlestatus, baseamount="999999", errorcode="0", **parent
    )
    (one,) = read(payout, card("100", transactionreference="9-9-9"))
    assert (one.payment_id, one.refund) == ("9-9-9", None)


def test_chargeback_of_a_payment_in_the_response() -> None:
    charged, payment = read(
        record("CHARGEBACK", settlestatus="100", baseamount="400", **PARENT), card("100", transactionreference="9-9-9")
    )
    assert (charged.payment_id, charged.status, charged.follow) == ("9-9-9", None, None)
    assert charged.chargeback == Chargeback(chargeback_id="1-2-3", amount=Money(400, "GBP"))
    assert payment.status == "captured"


def test_chargeback_of_a_refund_is_one_of_the_payment_it_refunded() -> None:
    refund = record("REFUND", transactionreference="9-9-9", settlestatus="100", parenttransactionreference="5-5-5")
    charged, refunded = read(record("CHARGEBACK", **PARENT), refund)
    assert charged.payment_id == refunded.payment_id == "5-5-5"
    assert charged.chargeback == Chargeback(chargeback_id="1-2-3", amount=POUNDS)


@pytest.mark.parametrize("fields", [{"baseamount": None}, {"baseamount": "ten"}, {"currencyiso3a": ""}])
def test_chargeback_without_an_amount_is_one_of_the_whole_payment(fields: dict[str, Any]) -> None:
    charged, _ = read(record("CHARGEBACK", **{**PARENT, **fields}), card("100", transactionreference="9-9-9"))
    assert charged.chargeback == Chargeback(chargeback_id="1-2-3", amount=None)


def test_chargeback_without_its_parent_says_nothing_yet() -> None:
    """It may be about a payment or a refund. It is looked up again together with its parent."""
    assert read(record("CHARGEBACK", **PARENT)) == ()
    (one,) = read(record("CHARGEBACK", **PARENT), card("100", transactionreference="7-7-7"))
    assert one.payment_id == "7-7-7"


@pytest.mark.parametrize(
    "parent",
    [
        record("THREEDQUERY", transactionreference="9-9-9"),
        record("CHARGEBACK", transactionreference="9-9-9", errorcode="70000"),
        record("REFUND", transactionreference="9-9-9", accounttypedescription="CFT"),
        record("REFUND", transactionreference="9-9-9", errorcode="70000", settlestatus="3"),
    ],
)
def test_chargeback_of_what_is_no_payment_is_reported_and_never_published(parent: dict[str, Any]) -> None:
    found = interpreted(record("CHARGEBACK", **PARENT), parent, card("100", transactionreference="7-7-7"))
    assert [(one.place, one.reason) for one in found.odd] == [("records/0", "unreadable_answer")]
    assert [one.payment_id for one in found.observations] == ["7-7-7"]


@pytest.mark.parametrize("reference", [None, "", "x", "9-9"])
def test_chargeback_that_names_no_parent_is_reported(reference: str | None) -> None:
    found = interpreted(record("CHARGEBACK", parenttransactionreference=reference))
    assert [(one.place, one.reason) for one in found.odd] == [("records/0", "unreadable_answer")]


@pytest.mark.parametrize("kind", ["REFUND", "CHARGEBACK"])
@pytest.mark.parametrize("reference", [None, "", "x", "\ud800"])
def test_child_without_a_reference_of_its_own_is_reported(kind: str, reference: str | None) -> None:
    one = record(kind, settlestatus="100", transactionreference=reference, **PARENT)
    found = interpreted(card("100", transactionreference="7-7-7"), one)
    assert [each.place for each in found.odd] == ["records/1"]
    assert [each.payment_id for each in found.observations] == ["7-7-7"]


@pytest.mark.parametrize("errorcode", ["70000", "60010", "20021"])
def test_chargeback_that_was_not_made_says_nothing(errorcode: str) -> None:
    (one,) = read(record("CHARGEBACK", errorcode=errorcode, **PARENT), card("100", transactionreference="9-9-9"))
    assert one.chargeback is None


@pytest.mark.parametrize("kind", ["REVERSAL", "SCHEMEUPDATE", "ACCOUNTCHECK", "RISKDEC", "ORDER", "CURRENCYRATE"])
def test_other_requests_are_no_payment_states(kind: str) -> None:
    assert read(record(kind, settlestatus="100", **PARENT)) == ()
