"""How a payment settles: when it is looked up again until it has, what makes it safe to ship before, and its order.

Settlement is a nightly batch that nobody is notified of (cards: settlestatus 0, 1 or 10 to 100). Sources: the vendor's
pages on settlement, split shipments and subscriptions, and its Magento module, which looks until 8 days after the due
date and then reports the payment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Final

from paynotify.processors.providers.daily_looks import DailyLooks
from paynotify.processors.providers.trustpayments.amounts import RecordAmounts
from paynotify.processors.providers.trustpayments.codes import RISKY, UNSETTLED, is_card
from paynotify.processors.providers.trustpayments.records import (
    TransactionRecord,
    gateway_date,
    is_reference,
    started_at,
)
from paynotify.schemas.messages import FollowUp, OrderRole

#: For so many days after its due date a payment is looked up, and a pre-authorisation, which is valid for 31 days.
_LOOK_DAYS: Final = 8
_PREAUTHORISED_LOOK_DAYS: Final = 31 + _LOOK_DAYS
#: An ordinary payment can't be deferred for longer; one that is must be a pre-authorisation.
_ORDINARY_DEFERRAL: Final = timedelta(days=7)
#: A due date further away is no due date.
_LONGEST_DEFERRAL: Final = timedelta(days=366)


def follow_up(record: TransactionRecord, looks: DailyLooks, observed_at: datetime) -> FollowUp | None:
    """When the request is looked up until it is settled or cancelled; None where it will not change any more."""
    if record.errorcode != "0" or record.settlestatus not in UNSETTLED:
        return None
    started = (started_at(record) or observed_at).date()
    due = _due_date(record, started)
    preauthorised = record.authmethod == "PRE" or due - started > _ORDINARY_DEFERRAL
    return looks.follow(
        record.transactionreference,
        first=due + timedelta(days=1),
        last=due + timedelta(days=_PREAUTHORISED_LOOK_DAYS if preauthorised else _LOOK_DAYS),
        observed_at=observed_at,
    )


def _due_date(record: TransactionRecord, started: date) -> date:
    due = gateway_date(record.settleduedate)
    return due if due is not None and abs(due - started) <= _LONGEST_DEFERRAL else started


def secured(
    record: TransactionRecord, amounts: RecordAmounts, role: OrderRole, risk_checks: Iterable[TransactionRecord]
) -> bool:
    """Whether goods may leave before the batch: a card, authorised, in full, and no risk check asks for a person."""
    return (
        record.errorcode == "0"
        and record.settlestatus in ("0", "1", "10")
        and is_card(record.paymenttypedescription)
        and (amounts.settles_in_full or (role == "part" and amounts.settling is not None))
        and not _risky(record)
        and not any(_risky(one) and _same_order(one, record) for one in risk_checks)
    )


def _risky(record: TransactionRecord) -> bool:
    return record.fraudcontrolshieldstatuscode.upper() in RISKY


def _same_order(one: TransactionRecord, other: TransactionRecord) -> bool:
    order = one.orderreference
    related = one.transactionreference == other.parent != "" or one.parent == other.transactionreference != ""
    return related or (order != "" and order == other.orderreference)


def order_role(record: TransactionRecord, records: Mapping[str, TransactionRecord]) -> OrderRole:
    """What a payment is to its order: a parcel of a split shipment and an instalment are parts of it, and a later
    payment of a subscription, which inherits the first one's order, is no second payment."""
    if record.subscriptiontype.upper() == "INSTALLMENT" or _splits(record):
        return "part"
    parent = record.parent
    if not parent:
        return "whole"
    account = record.accounttypedescription
    if account == "RECUR":
        return "repeat"
    first = records.get(parent)
    return "part" if account == "ECOM" and first is not None and _splits(first) else "whole"


def may_be_parcel(record: TransactionRecord) -> bool:
    """Whether only the parent shows if the payment is a later parcel of a split shipment."""
    return (
        record.requesttypedescription == "AUTH"
        and is_reference(record.transactionreference)
        and record.errorcode == "0"
        and record.accounttypedescription == "ECOM"
        and record.parent != ""
        and not (record.enrolled or record.threedversion)  # the 3-D Secure request is its parent then
    )


def _splits(record: TransactionRecord) -> bool:
    number = record.splitfinalnumber
    several = number.isascii() and number.isdigit() and number.lstrip("0") not in ("", "1")
    return record.requesttypedescription == "AUTH" and (record.authmethod == "SPLIT" or several)
