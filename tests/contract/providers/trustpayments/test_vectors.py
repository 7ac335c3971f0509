"""Trust Payments' vectors, judged by the vendor's own modules, through the provider's code."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
import pytest

from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.providers.trustpayments.codes import payment_status
from paynotify.schemas.errors import RejectedNotificationError
from tests.fakes.accounts import account, notification, response, vectors

TRUSTPAYMENTS: Final = provider_specs()["trustpayments"].provider


def _signature_vectors() -> list[Any]:
    return [pytest.param(one, id=one["id"]) for one in vectors("trustpayments")["signature_vectors"]]


def _account(vector: Any, **settings: Any) -> Any:
    site = "test_site12345" if "test_site12345" in vector["body"] else "test_acme98765"
    return account(
        "trustpayments", site_reference=site, notification_passwords=[{"value": vector["password"]}], **settings
    )


def _names(vector: Any) -> list[str]:
    return [name for name, _ in vector["decoded_fields_in_wire_order"]]


@pytest.mark.parametrize("vector", _signature_vectors())
def test_hashes_are_judged_as_the_vendors_modules_judge_them(vector: Any) -> None:
    names = _names(vector)
    shop = _account(vector, extra_fields=sorted(set(names)), repeated_fields=["errordata"])
    call = notification("trustpayments", vector["body"])
    claim = TRUSTPAYMENTS.parse(call, shop)
    assert [name.decode() for name, _ in claim.detail.fields] == names
    if vector["expect_signature_valid"] is False:
        with pytest.raises(RejectedNotificationError) as rejected:
            TRUSTPAYMENTS.verify(claim, call, shop)
        assert rejected.value.reason == "bad_signature"
        return
    assert TRUSTPAYMENTS.verify(claim, call, shop) == "authentic"
    lookup = TRUSTPAYMENTS.plan(claim, call)
    if "transactionreference" in names:
        assert (lookup.reference, lookup.arguments) == (
            dict(parse_qsl(vector["body"]))["transactionreference"],
            {},
        )
    else:
        assert (lookup.reference, lookup.arguments) == (None, {"orderreference": "customerorder1"})


DEFAULT: Final = {
    *("notificationreference", "responsesitesecurity", "transactionreference", "requestreference", "orderreference"),
    *("sitereference", "errorcode", "settlestatus", "paymenttypedescription"),
    *("baseamount", "currencyiso3a", "requesttypedescription", "parenttransactionreference"),
}


@pytest.mark.parametrize(
    "vector",
    [
        pytest.param(one, id=one["id"])
        for one in vectors("trustpayments")["signature_vectors"]
        if one["expect_signature_valid"] is not False and set(_names(one)) - DEFAULT
    ],
)
def test_fields_nobody_asked_for_are_looked_up_and_counted(vector: Any) -> None:
    shop = _account(vector)
    call = notification("trustpayments", vector["body"])
    claim = TRUSTPAYMENTS.parse(call, shop)
    assert claim.warnings == ("unexpected_field",)
    assert TRUSTPAYMENTS.verify(claim, call, shop) == "authentic"
    lookup = TRUSTPAYMENTS.plan(claim, call)
    assert (lookup.reference, lookup.arguments) == (dict(parse_qsl(vector["body"]))["transactionreference"], {})


#: Words of the vectors that say more than the canonical status; refunds never are a payment's status.
CANONICAL: Final = {"error": "unknown"}


#: Whether such a refund will not happen as things stand.
REFUNDS: Final = {"refund_pending": False, "refund_suspended": True, "refund_declined": True}


@pytest.mark.parametrize(
    "row",
    [pytest.param(one, id=str(number)) for number, one in enumerate(vectors("trustpayments")["status_mapping"])],
)
def test_records_map_as_recommended(row: Any) -> None:
    expected = row["canonical"].partition(" ")[0]
    kind = row["requesttypedescription"]
    if kind == "AUTH":
        status = payment_status(row["errorcode"], row["settlestatus"], row["paymenttypedescription"])
        assert status == CANONICAL.get(expected, expected)
        return
    record = {
        **{name: row[name] for name in ("requesttypedescription", "errorcode", "settlestatus")},
        "transactionreference": "1-2-4",
        "parenttransactionreference": "1-2-3",
        "baseamount": "500",
        "currencyiso3a": "GBP",
    }
    observed = TRUSTPAYMENTS.interpret(response(_answer([record])), account("trustpayments")).observations
    if expected in REFUNDS:
        (one,) = observed
        assert one.payment_id == "1-2-3"
        assert one.status is None
        assert one.refund is not None
        assert (one.refund.settled, one.refund.ended) == (False, REFUNDS[expected])
    else:
        assert observed == ()


def _answer(records: list[dict[str, str]]) -> bytes:
    query = {"errorcode": "0", "requesttypedescription": "TRANSACTIONQUERY", "records": records}
    return orjson.dumps({"requestreference": "A1", "version": "1.00", "response": [query]})


STATUSES: Final = {
    "tq-res-01": [("57-9-2204417", "authorised")],
    "tq-res-02": [("57-9-2204417", "captured")],
    "tq-res-03": [("57-9-2204417", "declined")],
    "tq-res-04": [("57-9-2204417", "cancelled")],
    "tq-res-05": [("57-9-2204417", "suspended")],
    "tq-res-06": [("57-9-2204417", "authorised")],
    "tq-res-07": [("57-9-2204416", "declined"), ("57-9-2204417", "captured"), ("57-9-2204417", None)],
    "tq-res-08": [],
}


@pytest.mark.parametrize(
    "vector", [pytest.param(one, id=one["id"]) for one in vectors("trustpayments")["transactionquery"]["responses"]]
)
def test_answers_are_read_record_by_record(vector: Any) -> None:
    observed = TRUSTPAYMENTS.interpret(response(vector["server_sends"]["body"]), account("trustpayments")).observations
    assert [(one.payment_id, one.status) for one in observed] == STATUSES[vector["id"]]
    for one in observed:
        assert one.provider_time == "2024-05-01T10:16:00.000Z"
        assert one.order_id == "ORD-2024-000481"


@pytest.mark.parametrize("sequence", vectors("trustpayments")["sequences"], ids=lambda one: one["id"])
def test_retry_is_a_duplicate_and_a_new_notification_is_not(sequence: Any) -> None:
    shop = account("trustpayments", notification_passwords=[{"value": sequence["password"]}])
    keys = [
        TRUSTPAYMENTS.parse(notification("trustpayments", step["deliver"]), shop).duplicate_key
        for step in sequence["steps"]
    ]
    bodies = [step["deliver"] for step in sequence["steps"]]
    assert len(set(keys)) == len(set(bodies))
