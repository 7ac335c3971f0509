"""The amounts of a record: in the merchant's currency, in its minor unit, and proved where the record can prove them.

Sources: the vendor's pages on amounts and dynamic currency conversion, and its JavaScript library, whose currencies
have the decimals of ISO 4217.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from paynotify.processors.providers.trustpayments.contract import TrustPaymentsMerchant
from paynotify.processors.providers.trustpayments.records import TransactionRecord
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.money import Money, exponent, from_minor

_MAJOR: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?\Z")
_MINOR: Final = re.compile(r"[0-9]{1,18}\Z")


@dataclass(frozen=True, slots=True)
class RecordAmounts:
    """What a record says of money; None where it says nothing or can't be read.

    ``amount`` is what was requested, ``settling`` what is or will be settled of it, both in the merchant's currency.
    ``customer`` is the amount in the customer's currency, where that is another.
    """

    amount: Money | None
    settling: Money | None
    customer: Money | None = None

    @property
    def settles_in_full(self) -> bool:
        """Whether all that was requested is or will be settled."""
        return self.amount is not None and self.settling == self.amount


def amounts_of(record: TransactionRecord, merchant: TrustPaymentsMerchant) -> RecordAmounts:
    """The record's amounts. With dynamic currency conversion the ordinary fields are in the customer's currency, and
    fields of their own in the merchant's."""
    converted = record.dccenabled != "0" and bool(record.dcccurrencyiso3a)
    if _contradicts(record, merchant) or (converted and _contradicts_converted(record, merchant)):
        # the currency has other decimals than we think
        return RecordAmounts(None, None)
    amount = _money(record.baseamount, record.currencyiso3a, merchant)
    settling = amount
    if record.settlebaseamount not in ("", record.baseamount):
        settling = _money(record.settlebaseamount, record.currencyiso3a, merchant)
    if not converted:
        return RecordAmounts(amount, settling)
    own = _money(record.dccbaseamount, record.dcccurrencyiso3a, merchant)
    # a part of it can't be converted: the gateway names no rate
    return RecordAmounts(own, own if settling == amount else None, customer=amount)


def requested(record: TransactionRecord, merchant: TrustPaymentsMerchant) -> Money | None:
    """What a refund or chargeback asked for, in the customer's currency."""
    if _contradicts(record, merchant):
        return None
    return _money(record.baseamount, record.currencyiso3a, merchant)


def contradicts(record: TransactionRecord, merchant: TrustPaymentsMerchant) -> bool:
    """Whether the record has an amount in major units that is not the one in minor units."""
    return _contradicts(record, merchant) or _contradicts_converted(record, merchant)


def settled(record: TransactionRecord, merchant: TrustPaymentsMerchant) -> Money | None:
    """What was settled of a refund."""
    if _contradicts(record, merchant):
        return None
    return _money(record.settlebaseamount, record.currencyiso3a, merchant) or requested(record, merchant)


def _contradicts(record: TransactionRecord, merchant: TrustPaymentsMerchant) -> bool:
    return _differ(record.mainamount, record.baseamount, record.currencyiso3a, merchant)


def _contradicts_converted(record: TransactionRecord, merchant: TrustPaymentsMerchant) -> bool:
    return _differ(record.dccmainamount, record.dccbaseamount, record.dcccurrencyiso3a, merchant)


def _differ(major: str, minor: str, currency: str, merchant: TrustPaymentsMerchant) -> bool:
    if not (_MAJOR.match(major) and _MINOR.match(minor)):
        return False  # one of them is absent, or no amount: it proves nothing
    return Decimal(major).scaleb(_decimals(currency, merchant)) != int(minor)


def _decimals(currency: str, merchant: TrustPaymentsMerchant) -> int:
    return merchant.currency_decimals.get(currency, exponent(currency))


def _money(minor: str, currency: str, merchant: TrustPaymentsMerchant) -> Money | None:
    """The amount, or None where it can't be read: one odd record must not lose the other payments of the response."""
    try:
        money = from_minor(minor, currency)
        if money.currency not in merchant.currency_decimals:
            return money
        # into ISO's minor unit, which all amounts are published in
        value = Decimal(money.value).scaleb(exponent(money.currency) - _decimals(money.currency, merchant))
        return Money(int(value), money.currency) if value == value.to_integral_value() else None
    except (UnreadableError, ValueError):
        return None
