"""Trust Payments' codes as tables: what a query's error means, and what a record says about a payment.

Sources: the vendor's pages on settle status and error codes, its published code list (248 codes in the official
client 1.0.26), and the official plug-ins where the pages are silent. Codes are compared as text, as they are sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.status import Status

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

#: Redirect and bank methods: settlestatus 10 means that the bank has not confirmed yet, not that money is reserved.
BANK_METHODS: Final = frozenset(
    (
        "ATA",
        "BANCONTACT",
        "EPS",
        "GIROPAY",
        "IDEAL",
        "MULTIBANCO",
        "MYBANK",
        "PAYBYBANK",
        "PAYU",
        "POSTFINANCE",
        "PRZELEWY24",
        "QIWI",
        "REDPAGOS",
        "SAFETYPAY",
        "SOFORT",
        "TRUSTLY",
    )
)

DECLINED: Final = frozenset({"70000", "71000", "72000", "60022", "60036", "60042", "60043", "60044", "60045", "60107"})

#: The vendor does not know yet itself. Never "declined" on this evidence; looked up again.
_UNCERTAIN: Final = re.compile(r"(60010|60034|70001|99999|50[0-9]{3}|60020|62000|79000|60039)\Z")

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

#: REFUND with errorcode 0: on its way, or settled. Suspended and cancelled refunds move no money.
REFUND_SETTLED: Final[Mapping[str, bool]] = {"0": False, "1": False, "10": False, "100": True}

#: Currencies whose amounts the vendor sends without decimals though ISO 4217 gives them some, by what brings them into
#: ISO's minor unit (the vendor's list of currencies of factor 1).
WITHOUT_DECIMALS: Final[Mapping[str, int]] = {"MGA": 100}


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
    return "pending" if uncertain(errorcode) else "unknown"
