"""What the records of a response say about payments, record by record: one odd record costs only its own payment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from paynotify.processors.providers.base import Interpretation, OddElement, ProviderResponse
from paynotify.processors.providers.daily_looks import DailyLooks, daily_looks
from paynotify.processors.providers.trustpayments.amounts import amounts_of, contradicts
from paynotify.processors.providers.trustpayments.children import (
    PaymentChild,
    charged_payment,
    read_chargeback,
    read_refund,
)
from paynotify.processors.providers.trustpayments.codes import is_card, is_code, payment_status
from paynotify.processors.providers.trustpayments.contract import NAME, TrustPaymentsMerchant
from paynotify.processors.providers.trustpayments.records import (
    PAYMENT_KINDS,
    TransactionQuery,
    TransactionRecord,
    by_reference,
    is_reference,
    odd_numbers,
    started_at,
)
from paynotify.processors.providers.trustpayments.settlement import follow_up, order_role, secured
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.messages import Observation
from paynotify.schemas.reasons import ResponseWarning
from paynotify.schemas.text import is_text
from paynotify.schemas.times import rfc3339


def interpreted(query: TransactionQuery, merchant: TrustPaymentsMerchant, response: ProviderResponse) -> Interpretation:
    """What the records say: payments, refunds and chargebacks. All other request types are no payment states.

    Where a refund's or chargeback's amount, state or payment can't be read, its payment is left out as a whole, because
    without the refund it would look like money that is still there.
    """
    numbered = query.numbered_records(merchant.site_reference)
    own = [one for _, one in numbered]
    # the query's own time: between suspended and authorised, which may go both ways, the newest query wins
    asked = started_at(query)
    reading = _Reading(
        merchant=merchant,
        looks=daily_looks(merchant),
        records=by_reference(own),
        risk_checks=[one for one in own if one.requesttypedescription == "RISKDEC"],
        received_at=response.received_at,
        observed_at=rfc3339(response.received_at),
        asked_at=rfc3339(asked) if asked is not None else None,
    )
    found: list[Observation] = []
    odd = [OddElement(f"records/{number}", detail="a record is no object") for number in odd_numbers(query)]
    unreadable: set[str] = set()
    for number, record in numbered:
        try:
            observation = reading.observation(record)
        except UnreadableError as error:
            odd.append(OddElement(f"records/{number}", error.reason, str(error)))
            unreadable.add(reading.payment_of(record))
            continue
        if observation is not None:
            found.append(observation)
    warnings: tuple[ResponseWarning, ...] = ()
    if any(one.requesttypedescription in PAYMENT_KINDS and contradicts(one, merchant) for one in own):
        warnings = ("amount_decimals",)
    rest = tuple(one for one in found if one.payment_id not in unreadable)
    return Interpretation(rest, odd=tuple(odd), warnings=warnings)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The records of one response, the risk checks among them, and when it was asked for and received."""

    merchant: TrustPaymentsMerchant
    looks: DailyLooks
    records: Mapping[str, TransactionRecord]
    risk_checks: Sequence[TransactionRecord]
    received_at: datetime
    observed_at: str
    asked_at: str | None

    def observation(self, record: TransactionRecord) -> Observation | None:
        """What the record says; None where it is about no payment.

        Raises:
            UnreadableError: it is about a payment, and can't be read.
        """
        kind = record.requesttypedescription
        if kind not in PAYMENT_KINDS:
            return None
        if not is_reference(record.transactionreference):
            # of two refunds without a reference of their own the second would be taken for the first
            raise UnreadableError("a record's own reference is not three numbers joined by hyphens")
        if not is_text(record.orderreference):
            raise UnreadableError("an order reference is no text")
        if kind == "AUTH":
            return self._observation(record, self._payment(record))
        if kind == "REFUND":
            child = read_refund(record, self.merchant)
        else:
            child = read_chargeback(record, self.merchant, self.records)
        return None if child is None else self._observation(record, self._child(record, child))

    def payment_of(self, record: TransactionRecord) -> str:
        """The payment that a record is about which can't be read."""
        if record.requesttypedescription == "AUTH":
            return record.transactionreference
        return charged_payment(record, self.records) if record.requesttypedescription == "CHARGEBACK" else record.parent

    def _observation(self, record: TransactionRecord, said: Mapping[str, Any]) -> Observation:
        codes = {"errorcode": record.errorcode, "settlestatus": record.settlestatus}
        return Observation(
            provider=NAME,
            merchant=self.merchant.id,
            order_id=record.orderreference or None,
            source="TRANSACTIONQUERY",
            provider_status={name: code for name, code in codes.items() if is_code(code)},
            provider_time=self.asked_at,
            observed_at=self.observed_at,
            **said,
        )

    def _payment(self, record: TransactionRecord) -> dict[str, Any]:
        errorcode, method = record.errorcode, record.paymenttypedescription
        status = payment_status(errorcode, record.settlestatus, method)
        amounts, role = amounts_of(record, self.merchant), order_role(record, self.records)
        # of a split shipment's first parcel the merchant lowers what is settled, and the others make up the rest
        amount = amounts.settling if role == "part" and amounts.settling is not None else amounts.amount
        return {
            "payment_id": record.transactionreference,
            "status": status,
            "amount": amount,
            "paid": amounts.settling if status == "captured" else None,
            "reason": errorcode if errorcode != "0" and is_code(errorcode) else None,
            "customer_amount": amounts.customer,
            "follow": follow_up(record, self.looks, self.received_at),
            "secured": secured(record, amounts, role, self.risk_checks),
            "returnable": not is_card(method),
            "order_role": role,
        }

    def _child(self, record: TransactionRecord, child: PaymentChild) -> dict[str, Any]:
        follow = follow_up(record, self.looks, self.received_at) if child.refund is not None else None
        return {
            "payment_id": child.payment_id,
            "status": None,
            "refund": child.refund,
            "chargeback": child.chargeback,
            "follow": follow,
        }
