"""Trust Payments' codes as tables: what a query's error means, and what a record says about a payment.

Sources: the vendor's pages on settle status and error codes, its published code list (248 codes in the official
client 1.0.26), and the official plug-ins where the pages are silent. Codes are compared as text, as they are sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from paynotify.schemas.status import Status

SETTLE_STATUSES: Final = frozenset({"0", "1", "2", "3", "10", "100"})

#: AUTH with errorcode 0, by settlestatus.
AUTHORISED: Final[Mapping[str, Status]] = {
    "0": "authorised",
    "1": "authorised",
    "2": "suspended",
    "3": "cancelled",
    "10": "authorised",
    "100": "captured",
}

#: Payment types that are cards, also when a wallet sends them: authorised means that the issuer promised the money. A
#: list of what is allowed, so that a method nobody knows yet is never taken for one.
CARDS: Final = frozenset(
    (
        "AMEX",
        "DELTA",
        "DINERS",
        "DISCOVER",
        "ELECTRON",
        "JCB",
        "MAESTRO",
        "MASTERCARD",
        "MASTERCARDDEBIT",
        "PURCHASING",
        "VISA",
        "VPAY",
    )
)

#: Redirect and bank methods: settlestatus 10 means that the bank has not confirmed yet, not that money is reserved.
BANK_METHODS: Final = frozenset(
    (
        "ACH",
        "ALIPAY",
        "ATA",
        "BANCONTACT",
        "BITPAY",
        "EPS",
        "GIROPAY",
        "IDEAL",
        "MULTIBANCO",
        "MYBANK",
        "PAYBYBANK",
        "PAYSAFECARD",
        "PAYSERA",
        "PAYU",
        "POSTFINANCE",
        "PRZELEWY24",
        "QIWI",
        "REDPAGOS",
        "SAFETYPAY",
        "SEPADD",
        "SOFORT",
        "TRUSTLY",
        "UNIONPAY",
        "WECHATPAY",
        "ZIP",
    )
)

DECLINED: Final = frozenset(
    ("70000", "71000", "72000", "60022", "60036", "60042", "60043", "60044", "60045", "60107", "60500")
)

#: The vendor does not know yet itself. Never "declined" on this evidence; looked up again.
_UNCERTAIN: Final = re.compile(r"(60010|60034|70001|99999|50[0-9]{3}|60020|62000|79000|60039)\Z")

#: A field's value is refused; the response names the field.
FIELD_ERROR: Final = "30000"

#: A query that failed with one of these fails again until a person changes something. All others may pass: the
#: query only reads, so repeating it is safe.
STOP_QUERY: Final = frozenset(
    (
        "10205",
        "10600",
        "25000",
        "25002",
        "25003",
        "30000",
        "30001",
        "30006",
        "30007",
        "30008",
        "30010",
        "60018",
        "60019",
        "60023",
        "60037",
        "60040",
        "61002",
    )
)

RefundState = Literal["under_way", "settled", "ended"]

#: REFUND with errorcode 0. A suspended one may still be resumed, and is under way again then.
REFUNDS: Final[Mapping[str, RefundState]] = {
    "0": "under_way",
    "1": "under_way",
    "10": "under_way",
    "100": "settled",
    "2": "ended",
    "3": "ended",
}

#: A request that was made and is in one of these may still change, without a notification.
UNSETTLED: Final = frozenset({"0", "1", "2", "10"})

#: What the risk check of an order (RISKDEC) says where a person must look before goods leave.
RISKY: Final = frozenset({"CHALLENGE", "DENY"})

_CODE: Final = re.compile(r"[0-9]{1,9}\Z")


def is_code(text: str) -> bool:
    """Whether the text has the form of the vendor's codes, so that it may be published and shown."""
    return bool(_CODE.match(text))


def uncertain(errorcode: str) -> bool:
    """Whether the outcome is open, so that the same lookup must be made once more."""
    return bool(_UNCERTAIN.match(errorcode))


def payment_status(errorcode: str, settlestatus: str, payment_type: str) -> Status:
    """The canonical status of an AUTH record. A code without a row is ``unknown``, and never guessed."""
    if errorcode == "0":
        if settlestatus == "10" and payment_type.upper() in BANK_METHODS:
            return "pending"
        return AUTHORISED.get(settlestatus, "unknown")
    if errorcode in DECLINED:
        return "declined"
    if uncertain(errorcode):
        return "pending"
    # cancelled is final by the vendor's definition, so no later response will say more
    return "failed" if settlestatus == "3" and is_code(errorcode) else "unknown"


def is_card(payment_type: str) -> bool:
    """Whether the payment type is a card's."""
    return payment_type.upper() in CARDS
