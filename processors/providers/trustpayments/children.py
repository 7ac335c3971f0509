"""The requests that are about a payment: refunds, payouts that look like them, and chargebacks.

Those that are read here have references of their own: `processors.providers.trustpayments.interpretation` sees to it.

Sources: the vendor's pages on refunds, updates and CFT payouts, and its code list, by which a chargeback's parent is an
AUTH or a REFUND.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from paynotify.processors.providers.trustpayments.amounts import requested, settled
from paynotify.processors.providers.trustpayments.codes import REFUNDS, RefundState, uncertain
from paynotify.processors.providers.trustpayments.contract import TrustPaymentsMerchant
from paynotify.processors.providers.trustpayments.records import (
    TransactionRecord,
    is_reference,
)
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.messages import Chargeback, Refund


@dataclass(frozen=True, slots=True)
class PaymentChild:
    """A refund or a chargeback, and the payment that it belongs to."""

    payment_id: str
    refund: Refund | None = None
    chargeback: Chargeback | None = None


def is_payout(record: TransactionRecord) -> bool:
    """Whether a REFUND is a payout (CFT): money sent to a card, which changes no payment."""
    return record.requesttypedescription == "REFUND" and record.accounttypedescription == "CFT"


def read_refund(record: TransactionRecord, merchant: TrustPaymentsMerchant) -> PaymentChild | None:
    """The refund, accepted or ended; None where it was never made.

    Raises:
        UnreadableError: its state, its amount or its payment can't be read.
    """
    if is_payout(record):
        return None
    errorcode, state = _errorcode(record), _refund_state(record)
    amount = settled(record, merchant) if state == "settled" else requested(record, merchant)
    parent = record.parent
    if errorcode != "0" and state == "ended" and (amount is None or not parent):
        return None  # declined, so that it never was under way
    if amount is None:
        raise UnreadableError("a refund's amount can't be read")
    if not parent:
        raise UnreadableError("a refund names no payment")
    refund_id = record.transactionreference
    refund = Refund(refund_id=refund_id, amount=amount, settled=state == "settled", ended=state == "ended")
    return PaymentChild(parent, refund=refund)


def _refund_state(record: TransactionRecord) -> RefundState:
    errorcode = record.errorcode
    if uncertain(errorcode):
        return "under_way"  # the gateway doesn't know itself; it is looked up again
    if errorcode != "0":
        return "ended"
    state = REFUNDS.get(record.settlestatus)
    if state is None:
        raise UnreadableError("a refund's settlestatus is not a known one")
    return state


def read_chargeback(
    record: TransactionRecord, merchant: TrustPaymentsMerchant, records: Mapping[str, TransactionRecord]
) -> PaymentChild | None:
    """The chargeback, of the whole payment where it has no amount; None where it was not made, or its parent, without
    which its payment is not known, is not among the records: it is looked up together with its parent then.

    Raises:
        UnreadableError: it names no payment.
    """
    if _errorcode(record) != "0":
        return None
    if _unresolved(record, records):
        return None
    payment_id = charged_payment(record, records)
    if not payment_id:
        raise UnreadableError("a chargeback names no payment")
    chargeback = Chargeback(chargeback_id=record.transactionreference, amount=requested(record, merchant))
    return PaymentChild(payment_id, chargeback=chargeback)


def charged_payment(record: TransactionRecord, records: Mapping[str, TransactionRecord]) -> str:
    """The payment that a chargeback is about: its parent, or the payment that the parent refunded. Empty if none is."""
    parent = records.get(record.parent)
    if parent is None:
        return ""
    if parent.requesttypedescription == "REFUND" and not is_payout(parent):
        return parent.parent
    return parent.transactionreference if parent.requesttypedescription == "AUTH" else ""


def unresolved_chargebacks(
    records: Iterable[TransactionRecord], known: Mapping[str, TransactionRecord]
) -> list[tuple[str, str]]:
    """The references of the chargebacks among ``records`` whose parents are not known, each with its parent's."""
    return [
        (one.transactionreference, one.parent)
        for one in records
        if one.requesttypedescription == "CHARGEBACK"
        and one.errorcode == "0"
        and is_reference(one.transactionreference)
        and _unresolved(one, known)
    ]


def _unresolved(record: TransactionRecord, records: Mapping[str, TransactionRecord]) -> bool:
    parent = record.parent
    return parent != "" and parent not in records


def _errorcode(record: TransactionRecord) -> str:
    errorcode = record.errorcode
    if not errorcode:
        raise UnreadableError("a refund or chargeback does not say whether it was made")
    return errorcode
