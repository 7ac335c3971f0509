"""What the gateway's records of one payment add up to: its true status and its money."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from paynotify.sandbox.simulators.ledger import Truth
from paynotify.sandbox.simulators.trustpayments.query import GatewayRecord
from paynotify.schemas.status import Status

_AFTER_AUTHORISATION: Final[Mapping[str, Status]] = {
    "0": "authorised",
    "1": "authorised",
    "2": "suspended",
    "3": "cancelled",
    "10": "authorised",
    "100": "captured",
}
UNCERTAIN: Final = frozenset({"60010", "60034", "70001", "99999", "60020", "62000"})
_UNDER_WAY: Final = frozenset({"0", "1", "10"})
#: With settlestatus 10 the bank has not confirmed these yet.
_BANK_METHODS: Final = frozenset({"ALIPAY", "ATA", "PAYBYBANK", "SAFETYPAY", "SOFORT", "TRUSTLY"})


def status_of(record: GatewayRecord) -> Status:
    """The canonical status that an AUTH record stands for."""
    code = record["errorcode"]
    if code in UNCERTAIN:
        return "pending"
    if code != "0":
        return "declined"
    if record["settlestatus"] == "10" and record["paymenttypedescription"] in _BANK_METHODS:
        return "pending"
    return _AFTER_AUTHORISATION[record["settlestatus"]]


def judge(
    truth: Truth, payment: GatewayRecord, children: Sequence[GatewayRecord], reversed_references: Collection[str]
) -> None:
    """Bring the ledger's payment up to date with its records. Payouts (CFT) are no refunds of it."""
    before = truth.status, truth.refunding, truth.refunded, truth.charged_back
    refunds = [one for one in children if one["requesttypedescription"] == "REFUND" and not is_payout(one)]
    chargebacks = [one for one in children if one["requesttypedescription"] == "CHARGEBACK"]
    captured = payment["errorcode"] == "0" and payment["settlestatus"] == "100"
    truth.paid = _merchant_amount(payment) if captured else 0
    truth.refunded = sum(_merchant_amount(one) for one in refunds if one["settlestatus"] == "100")
    truth.refunding = sum(_merchant_amount(one) for one in refunds if one["settlestatus"] in _UNDER_WAY)
    standing = [one for one in chargebacks if one["transactionreference"] not in reversed_references]
    truth.charged_back = sum(_merchant_amount(one) for one in standing)
    truth.becomes(_status(truth, payment, captured=captured))
    after = truth.status, truth.refunding, truth.refunded, truth.charged_back
    truth.steps += after != before and after[0] == before[0]


def is_payout(record: GatewayRecord) -> bool:
    """Whether a REFUND record pays money out that is nobody's refund."""
    return record["requesttypedescription"] == "REFUND" and record["accounttypedescription"] == "CFT"


def _status(truth: Truth, payment: GatewayRecord, *, captured: bool) -> Status:
    if truth.charged_back:
        return "charged_back"
    if not captured or not truth.refunded:
        return status_of(payment)
    return "refunded" if truth.refunded >= truth.paid else "partially_refunded"


def _merchant_amount(record: GatewayRecord) -> int:
    """In the merchant's currency; a converted payment is settled as a whole."""
    return int(record.get("dccbaseamount") or record["settlebaseamount"])
