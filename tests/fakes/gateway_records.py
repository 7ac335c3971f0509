"""Records of Trust Payments' TRANSACTIONQUERY responses, and what the product reads in them."""

from __future__ import annotations

import json
from typing import Any, Final

from paynotify.processors.providers.base import Interpretation
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.providers.trustpayments.records import TransactionRecord, transaction_record
from paynotify.schemas.messages import Observation
from tests.fakes.accounts import account, response

_TRUSTPAYMENTS: Final = provider_specs()["trustpayments"].provider


def record(kind: str = "AUTH", **fields: Any) -> dict[str, Any]:
    """One record as the gateway sends it: a request of ten pounds fifty."""
    base = {"transactionreference": "1-2-3", "sitereference": "test_acme98765", "errorcode": "0"}
    amounts = {"baseamount": "1050", "currencyiso3a": "GBP"}
    return {"requesttypedescription": kind, **base, **amounts, **fields}


def card(settlestatus: str, **fields: Any) -> dict[str, Any]:
    """A card's AUTH of the first of June, with what the gateway states of every card payment."""
    known = {
        "paymenttypedescription": "VISA",
        "accounttypedescription": "ECOM",
        "settlebaseamount": "1050",
        "settleduedate": "2026-06-01",
        "transactionstartedtimestamp": "2026-06-01 09:30:00",
        "splitfinalnumber": "1",
        "dccenabled": "0",
    }
    return record(settlestatus=settlestatus, **{**known, **fields})


def parsed(fields: dict[str, Any]) -> TransactionRecord:
    """A record as the product reads it."""
    one = transaction_record(fields)
    assert one is not None
    return one


def answer(*records: Any, **query: Any) -> bytes:
    """A response with these records."""
    found = {"errorcode": "0", "transactionstartedtimestamp": "2026-06-01 11:59:58", "records": list(records), **query}
    # not with the product's writer, which refuses text that is no Unicode
    return json.dumps({"requestreference": "A1", "version": "1.00", "response": [found]}).encode()


def interpreted(*records: Any, shop: dict[str, Any] | None = None, **query: Any) -> Interpretation:
    """What the product reads in a response with these records, of a merchant with these settings."""
    return _TRUSTPAYMENTS.interpret(response(answer(*records, **query)), account("trustpayments", **(shop or {})))


def read(*records: Any, shop: dict[str, Any] | None = None, **query: Any) -> tuple[Observation, ...]:
    """The observations, where all records can be read."""
    interpretation = interpreted(*records, shop=shop, **query)
    assert (interpretation.unreadable, interpretation.odd) == (None, ())
    return interpretation.observations
