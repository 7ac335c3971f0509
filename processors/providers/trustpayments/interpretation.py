"""What the records of a response say about payments, record by record: one odd record costs only its own payment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from processors.providers.base import Interpretation, OddElement, ProviderResponse
from processors.providers.daily_looks import DailyLooks, daily_looks
from processors.providers.trustpayments.amounts import amounts_of, contradicts
from processors.providers.trustpayments.children import PaymentChild, charged_payment, read_chargeback, read_refund
from processors.providers.trustpayments.codes import is_card, is_code, payment_status
from processors.providers.trustpayments.contract import NAME, TrustPaymentsMerchant
from processors.providers.trustpayments.records import (
    PAYMENT_KINDS,
    TransactionRecord,
    by_reference,
    is_reference,
    kind_of,
    odd_places,
    parent_of,
    placed_records,
    reference_of,
    started_at,
    word,
)
from processors.providers.trustpayments.settlement import follow_up, order_role, secured
from schemas.errors import UnreadableError
from schemas.messages import Observation
from schemas.reasons import ResponseWarning
from schemas.text import is_text
from schemas.times import rfc3339


def interpreted(
    query: TransactionRecord, merchant: TrustPaymentsMerchant, response: ProviderResponse
) -> Interpretation:
    """What the records say: payments, refunds and chargebacks. All other request types are no payment states.

    Where a refund's or chargeback's amount, state or payment can't be read, its payment is left out as a whole, because
    without the refund it would look like money that is still there.
    """
    placed = placed_records(query, merchant.site_reference)
    own = [one for _, one in placed]
    # the query's own time: between suspended and authorised, which may go both ways, the newest query wins
    asked = started_at(query)
    reading = _Reading(
        merchant=merchant,
        looks=daily_looks(merchant),
        records=by_reference(own),
        risk_checks=[one for one in own if kind_of(one) == "RISKDEC"],
        received_at=response.received_at,
        asked_at=rfc3339(asked) if asked is not None else None,
    )
    found: list[Observation] = []
    odd = [OddElement(place, detail="a record is no object") for place in odd_places(query)]
    unreadable: set[str] = set()
    for place, record in placed:
        try:
            observation = reading.observation(record)
        except UnreadableError as error:
            odd.append(OddElement(place, error.reason, str(error)))
            unreadable.add(reading.payment_of(record))
            continue
        if observation is not None:
            found.append(observation)
    warnings: tuple[ResponseWarning, ...] = ()
    if any(kind_of(one) in PAYMENT_KINDS and contradicts(one, merchant) for one in own):
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
    asked_at: str | None

    def observation(self, record: TransactionRecord) -> Observation | None:
        """What the record says; None where it is about no payment.

        Raises:
            UnreadableError: it is about a payment, and can't be read.
        """
        kind = kind_of(record)
        if kind not in PAYMENT_KINDS:
            return None
        if not is_reference(reference_of(record)):
            # of two refunds without a reference of their own the second would be taken for the first
            raise UnreadableError("a record's own reference is not three numbers joined by hyphens")
        if not is_text(word(record, "orderreference")):
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
        if kind_of(record) == "AUTH":
            return reference_of(record)
        return charged_payment(record, self.records) if kind_of(record) == "CHARGEBACK" else parent_of(record)

    def _observation(self, record: TransactionRecord, said: Mapping[str, Any]) -> Observation:
        codes = {name: word(record, name) for name in ("errorcode", "settlestatus")}
        return Observation(
            provider=NAME,
            merchant=self.merchant.id,
            order_id=word(record, "orderreference") or None,
            source="TRANSACTIONQUERY",
            provider_status={name: code for name, code in codes.items() if is_code(code)},
            provider_time=self.asked_at,
            observed_at=rfc3339(self.received_at),
            **said,
        )

    def _payment(self, record: TransactionRecord) -> dict[str, Any]:
        errorcode, method = word(record, "errorcode"), word(record, "paymenttypedescription")
        status = payment_status(errorcode, word(record, "settlestatus"), method)
        amounts, role = amounts_of(record, self.merchant), order_role(record, self.records)
        # of a split shipment's first parcel the merchant lowers what is settled, and the others make up the rest
        amount = amounts.settling if role == "part" and amounts.settling is not None else amounts.amount
        return {
            "payment_id": reference_of(record),
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
