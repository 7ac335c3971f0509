"""The doctor warns of fields with personal data that a merchant's notifications have."""

from __future__ import annotations

from paynotify.ops.doctor.personal_fields import check_fields
from tests.fakes.accounts import account


def test_fields_with_names_addresses_mail_and_cards_are_named() -> None:
    fields = ["baseamount", "billingfirstname", "customeremail", "BillingPostcode", "currencyiso3a", "maskedpan"]
    (finding,) = check_fields(account("trustpayments", extra_fields=fields).merchant)
    assert (finding.about, finding.verdict) == ("personal data of shop", "warning")
    assert finding.what.startswith("extra_fields has billingfirstname, customeremail, BillingPostcode, maskedpan:")


def test_fields_that_payments_need_are_no_finding() -> None:
    assert list(check_fields(account("trustpayments").merchant)) == []
    needed = ["orderreference", "settlestatus", "billingcountryiso2a", "dcccurrencyiso3a", "authcode"]
    assert list(check_fields(account("trustpayments", extra_fields=needed).merchant)) == []


def test_other_providers_have_no_such_fields() -> None:
    for provider in ("omnikassa", "nevogate", "smartpay"):
        assert list(check_fields(account(provider).merchant)) == []
