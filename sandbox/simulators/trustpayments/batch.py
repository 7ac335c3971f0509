"""What the gateway does at night, without a word to anybody: settle what is due, and let what is suspended lapse.

Sources: the gateway's pages on settlement (a daily batch; 0 and 1 settle at ``settleduedate``, 2 lapses after 7 days,
after 31 for a pre-authorisation), on refunds (settled in the same batch), and on PayPal (10, then 1, then 100).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from paynotify.sandbox.simulators.trustpayments.query import GatewayRecord
from paynotify.sandbox.simulators.trustpayments.settings import SettleStatus

_CARDS: Final = frozenset(
    (
        "VISA",
        "DELTA",
        "ELECTRON",
        "PURCHASING",
        "MASTERCARD",
        "MASTERCARDDEBIT",
        "MAESTRO",
        "AMEX",
        "DINERS",
        "DISCOVER",
        "JCB",
        "VPAY",
    )
)
_SETTLED: Final[Mapping[str, SettleStatus]] = {"0": "100", "1": "100", "10": "100"}
_PAYPAL: Final[Mapping[str, SettleStatus]] = {"0": "10", "10": "1", "1": "100"}
#: A bank confirms its payments itself, at any time.
_BANK: Final[Mapping[str, SettleStatus]] = {"0": "100", "1": "100"}
_RESERVED: Final[Mapping[str, timedelta]] = {"PRE": timedelta(days=31)}
_RESERVED_OTHERWISE: Final = timedelta(days=7)


def after_night(record: GatewayRecord, night: date) -> SettleStatus | None:
    """The settle status after the night at the end of this date; None where it stays."""
    kind, settlestatus = record["requesttypedescription"], record["settlestatus"]
    if record["errorcode"] != "0" or kind not in ("AUTH", "REFUND"):
        return None
    if settlestatus == "2":
        made = date.fromisoformat(record["transactionstartedtimestamp"][:10])
        return "3" if night >= made + _RESERVED.get(record["authmethod"], _RESERVED_OTHERWISE) else None
    due = settlestatus == "10" or date.fromisoformat(record["settleduedate"]) <= night
    return _steps(kind, record["paymenttypedescription"]).get(settlestatus) if due else None


def _steps(kind: str, payment_type: str) -> Mapping[str, SettleStatus]:
    if kind == "REFUND" or payment_type in _CARDS:
        return _SETTLED
    return _PAYPAL if payment_type == "PAYPAL" else _BANK
