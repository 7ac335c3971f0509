"""Which lookups may be made without a notification, by provider."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.recovery import lookup_key, recovery_lookup, settlement_lookup
from paynotify.schemas.configuration.merchants import provider_of
from paynotify.schemas.messages import Lookup
from tests.fakes.accounts import account

AT: Final = "2026-06-01T12:00:00.000Z"
TRANSACTION: Final = "57-9-2204417"
BANK_ORDER: Final = "1d0a95f4-2589-439b-9562-c50aa19f9caf"
GATEWAY_ID: Final = "a4d6f6f27f2116da21da62d705dbd7ef"
REFRESH: Final[dict[str, Any]] = {"refresh_token": {"value": "t"}}
DETAILS: Final[dict[str, Any]] = {"recover_by_details": True}


def lookup(provider: str, order_id: str | None, payment_id: str | None, **settings: Any) -> Lookup | None:
    return recovery_lookup(
        account(provider, **settings).merchant, order_id=order_id, payment_id=payment_id, lookup_cause="overdue", at=AT
    )


def test_trust_payments_is_asked_by_the_order_which_finds_its_refunds_too() -> None:
    found = lookup("trustpayments", "ORD-1", TRANSACTION)
    assert found is not None
    assert (found.operation, found.reference) == ("transaction", None)
    assert found.arguments == {"orderreference": "ORD-1", "recovery": "1"}
    assert (found.merchant, found.notification_id, found.received_at) == ("shop", "overdue", AT)
    assert lookup_key(found) == b"shop"


def test_trustpayments_recovery_asks_by_transaction_without_a_usable_order() -> None:
    for order_id in (None, "", "x" * 256):
        found = lookup("trustpayments", order_id, TRANSACTION)
        assert found is not None
        assert (found.reference, found.arguments) == (TRANSACTION, {"recovery": "1"})
        assert lookup_key(found) == f"shop/{TRANSACTION}".encode()
    assert lookup("trustpayments", None, "57-9") is None
    assert lookup("trustpayments", None, None) is None


def settlement(provider: str, *references: str, **settings: Any) -> Lookup | None:
    return settlement_lookup(account(provider, **settings).merchant, references, lookup_cause="settlement", at=AT)


def test_trustpayments_settlements_are_asked_for_together() -> None:
    """At most a hundred in a query, of which the gateway's pages name no maximum."""
    found = settlement("trustpayments", TRANSACTION, "57-9-2204418")
    assert found is not None
    assert (found.operation, found.reference) == ("transaction", None)
    references = f"{TRANSACTION} 57-9-2204418"
    assert found.arguments == {"references": references, "cause": "settlement due", "recovery": "1"}
    assert (found.notification_id, found.received_at) == ("settlement", AT)
    assert lookup_key(found) == b"shop", "a trace finds it in the merchant's own partition"


def test_nevogate_hold_is_asked_for_by_details_only_where_allowed() -> None:
    found = settlement("nevogate", GATEWAY_ID, **DETAILS)
    assert found is not None
    assert (found.operation, found.reference) == ("details", GATEWAY_ID)
    assert found.arguments["cause"] == "settlement due"
    assert "references" not in found.arguments
    assert settlement("nevogate", GATEWAY_ID) is None


def test_omnikassa_is_asked_for_no_settlement() -> None:
    assert settlement("omnikassa", BANK_ORDER, **REFRESH) is None


def test_omnikassa_is_asked_for_the_banks_own_id_and_only_with_a_refresh_token() -> None:
    found = lookup("omnikassa", "ORD-1", BANK_ORDER, **REFRESH)
    assert found is not None
    assert (found.operation, found.reference) == ("order", BANK_ORDER)
    assert lookup_key(found) == b"shop"  # one webshop, one queue
    assert lookup("omnikassa", "ORD-1", BANK_ORDER) is None
    assert lookup("omnikassa", "ORD-1", None, **REFRESH) is None
    assert lookup("omnikassa", "ORD-1", BANK_ORDER.upper(), **REFRESH) is None


def test_nevogate_recovery_asks_by_details_only_where_allowed_never_by_result() -> None:
    found = lookup("nevogate", "ORD-1", GATEWAY_ID, **DETAILS)
    assert found is not None
    assert (found.operation, found.reference) == ("details", GATEWAY_ID)
    assert lookup_key(found) == f"shop/{GATEWAY_ID}".encode()
    assert lookup("nevogate", "ORD-1", GATEWAY_ID) is None
    assert lookup("nevogate", "ORD-1", None, **DETAILS) is None


SHOPS: Final = (account("trustpayments"), account("omnikassa", **REFRESH), account("nevogate", **DETAILS))


@pytest.mark.parametrize("shop", SHOPS, ids=lambda shop: provider_of(shop.merchant))
@given(order_id=st.none() | st.text(max_size=300), payment_id=st.none() | st.text(max_size=300))
def test_whatever_the_ids_the_question_is_one_recovery_may_ask(
    shop: Account[Any], order_id: str | None, payment_id: str | None
) -> None:
    found = recovery_lookup(shop.merchant, order_id=order_id, payment_id=payment_id, lookup_cause="overdue", at=AT)
    if found is not None:
        assert found.arguments["recovery"] == "1"
        assert found.operation in ("transaction", "order", "details")
