"""Genuine notifications, answers and records of all providers, to build hostile ones around."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, Final

from paynotify.processors.providers.omnikassa.signature import results_text
from paynotify.schemas import messages
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.records import Record
from tests.fakes.accounts import NOW, OMNIKASSA_KEY, TRANSACTION, account

ACCOUNTS: Final = {provider: account(provider) for provider in ("omnikassa", "trustpayments", "nevogate")}

ORDER_ANSWER: Final[dict[str, Any]] = {
    "order": {
        "id": "1d0a95f4-2589-439b-9562-c50aa19f9caf",
        "merchantOrderId": "order123",
        "status": "COMPLETED",
        "totalAmount": {"currency": "EUR", "amount": "4999"},
        "transactions": [{"id": "t-1", "status": "SUCCESS", "lastUpdatedAt": "2026-06-01T11:59:30.250+02:00"}],
    }
}
PASSWORD: Final = "hunter2-URLnotify"
REFERENCE: Final = "57-9-1"

PING: Final = {
    "authentication": "eyJhbGciOiJFUzI1NiJ9.eyJubyMiOjEyM30.c2ln",
    "expiry": "2099-01-01T00:00:00.000+01:00",
    "eventName": "merchant.order.status.changed",
    "poiId": 123,
}

ORDER: Final[dict[str, Any]] = {
    "merchantOrderId": "ORD-7",
    "omnikassaOrderId": "1d0a95f4-2589-439b-9562-c50aa19f9caf",
    "poiId": "123",
    "orderStatus": "COMPLETED",
    "orderStatusDateTime": "2026-06-01T12:00:00.12+01:00",
    "errorCode": "",
    "paidAmount": {"currency": "EUR", "amount": "1050"},
    "totalAmount": {"currency": "EUR", "amount": "1050"},
    "transactions": [
        {
            "id": "22b36073-57a3-4c3d-9585-87f2e55275a5",
            "paymentBrand": "IDEAL",
            "type": "PAYMENT",
            "status": "SUCCESS",
            "amount": {"currency": "EUR", "amount": "1050"},
            "confirmedAmount": None,
            "startTime": "2026-06-01T11:59:00.1+01:00",
            "lastUpdateTime": "2026-06-01T12:00:00.1+01:00",
        }
    ],
}
PAGE: Final[dict[str, Any]] = {"moreOrderResultsAvailable": False, "orderResults": [ORDER]}

FORM: Final = {
    "errorcode": "0",
    "orderreference": "ORD-7",
    "paymenttypedescription": "VISA",
    "requestreference": "A1",
    "settlestatus": "0",
    "sitereference": "test_acme98765",
    "transactionreference": REFERENCE,
    "notificationreference": "57-A1",
    "baseamount": "1050",
    "currencyiso3a": "GBP",
}

RECORD: Final = {
    "requesttypedescription": "AUTH",
    "transactionreference": REFERENCE,
    "orderreference": "ORD-7",
    "sitereference": "test_acme98765",
    "errorcode": "0",
    "settlestatus": "100",
    "baseamount": "1050",
    "settlebaseamount": "1050",
    "currencyiso3a": "GBP",
    "paymenttypedescription": "VISA",
    "maskedpan": "400000######1000",
}
REFUND: Final = {
    **RECORD,
    "requesttypedescription": "REFUND",
    "transactionreference": "57-9-2",
    "parenttransactionreference": REFERENCE,
    "settlebaseamount": "400",
    "baseamount": "400",
}
QUERY: Final[dict[str, Any]] = {
    "requestreference": "QUERY",
    "version": "1.00",
    "response": [
        {
            "errorcode": "0",
            "requesttypedescription": "TRANSACTIONQUERY",
            "found": "2",
            "transactionstartedtimestamp": "2026-06-01 12:00:00",
            "records": [RECORD, REFUND],
        }
    ],
}

CALL: Final = {"commonData": {"transactionId": TRANSACTION, "resultCode": "SUCCESSFUL"}}
RESULT: Final = {
    "StoreName": "sdk_test",
    "TransactionId": TRANSACTION,
    "ResultCode": "SUCCESSFUL",
    "ResultMessage": "ok",
    "Amount": "10.50",
    "Currency": "EUR",
    "OrderId": "ORD-7",
    "AutoCommit": "true",
    "CommitState": "APPROVED",
}

OBSERVATION: Final[dict[str, Any]] = {
    "provider": "trustpayments",
    "merchant": "shop",
    "payment_id": REFERENCE,
    "order_id": "ORD-7",
    "status": "captured",
    "amount": {"value": 1050, "currency": "GBP"},
    "paid": {"value": 1050, "currency": "GBP"},
    "refund": {"refund_id": "57-9-2", "amount": {"value": 400, "currency": "GBP"}, "settled": True},
    "reason": None,
    "provider_status": {"errorcode": "0"},
    "source": "TRANSACTIONQUERY",
    "provider_time": "2026-06-01T12:00:00.000Z",
    "observed_at": "2026-06-01T12:00:01.000Z",
}
LOOKUP: Final[dict[str, Any]] = {
    "provider": "trustpayments",
    "merchant": "shop",
    "operation": "transaction",
    "reference": REFERENCE,
    "notification_id": "n-1",
    "received_at": "2026-06-01T12:00:00.000Z",
    "arguments": {},
}

EXPECTED: Final[dict[str, Any]] = {
    "merchant": "shop",
    "order_id": "ORD-7",
    "payment_id": REFERENCE,
    "amount": {"value": 1050, "currency": "GBP"},
    "created_at": "2026-06-01T12:00:00.000Z",
    "final_by": "2026-06-01T13:00:00+01:00",
}
REQUESTED: Final[dict[str, Any]] = {
    "request_id": "r-1",
    "merchant": "shop",
    "action": "charge",
    "order_id": "ORD-7",
    "reference_payment_id": "a" * 32,
    "user_id": "c-1",
    "amount": {"value": 1050, "currency": "GBP"},
    "capture": "now",
    "again": False,
    "expires_at": "2026-06-01T12:00:00.000Z",
}

ACCESS: Final[dict[str, Any]] = {
    "token": "eyJhbGciOiJFUzI1NiJ9.e30.c2ln",
    "validUntil": "2026-06-01T13:00:00.000+0000",
    "durationInMillis": 3_600_000,
}
EXPORT: Final = (
    b"order_id,payment_id,status,amount,currency,created_at\r\n"
    b'ORD-7,57-9-1,captured,10.50,GBP,2026-06-01T12:00:00Z\r\n"a ""b"" c",,declined,,,\r\n'
)

CONFIGURATION: Final[dict[str, Any]] = {
    "sandbox": True,
    "kafka": {"bootstrap_servers": "localhost:9092", "topic_prefix": "", "security_protocol": "PLAINTEXT"},
    "topics": {"partitions": 4, "overrides": {"observations": {"partitions": 8, "settings": {"retention.bytes": "1"}}}},
    "worker": {"retry_delays_seconds": [1, 2, 3, 4, 5]},
    "merchants": [
        {
            "id": "shop-nl",
            "provider": "omnikassa",
            "poi_id": 2004,
            "base_url": "https://bank.example/omnikassa-api",
            "signing_keys": [{"file": "/run/secrets/key"}, {"env": "KEY"}],
        },
        {
            "id": "shop-hu",
            "provider": "nevogate",
            "store_name": "sdk_test",
            "api_key": {"value": "k"},
            "base_url": "http://gateway.example:8080",
        },
    ],
}


def omnikassa_signature(text: str) -> str:
    """What the bank signs with its key."""
    key = base64.b64decode(OMNIKASSA_KEY)
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), "sha512").hexdigest()


def signed_ping(ping: dict[str, Any]) -> dict[str, Any]:
    """The ping as the bank would have signed it."""
    text = ",".join(str(ping.get(name, "")) for name in ("authentication", "expiry", "eventName", "poiId"))
    return {**ping, "signature": omnikassa_signature(text)}


def signed_page(page: Any) -> Any:
    """The page as the bank would have signed it, where it can be signed at all."""
    if not isinstance(page, dict):
        return page
    try:
        return {**page, "signature": omnikassa_signature(results_text(page, 2))}
    except (UnreadableError, UnicodeError, AttributeError):
        return page


def signed_pairs(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The form's fields with the hash the gateway would have made."""
    raw = [(name.encode("utf-8", "surrogatepass"), value.encode("utf-8", "surrogatepass")) for name, value in fields]
    hashed = sorted(
        (one for one in raw if one[0] not in (b"notificationreference", b"responsesitesecurity")),
        key=lambda one: one[0],
    )
    digest = hashlib.sha256(b"".join([value for _, value in hashed]) + PASSWORD.encode()).hexdigest()
    return [*fields, ("responsesitesecurity", digest)]


def notification_record(provider: str, body: bytes, **headers: str | bytes) -> Record:
    """A stored notification; ``headers`` with underscores for hyphens replace or join the usual ones."""
    named: dict[str, str | bytes] = {
        "ce_id": "n-1",
        "ce_source": f"/notifications/{provider}/shop",
        "ce_type": messages.NOTIFICATION_RECEIVED,
        "ce_time": "2026-06-01T12:00:00.000Z",
        "http-method": "POST",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    raw = tuple((name, value if isinstance(value, bytes) else value.encode()) for name, value in named.items())
    return Record(f"notifications.{provider}", 0, 1, b"shop", body, raw, NOW.timestamp())
