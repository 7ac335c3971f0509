"""Toypay's spec."""

from __future__ import annotations

from typing import Final

from paynotify.processors.providers.spec import NoProbe, ProviderSpec, RecoveryQuery
from tests.fakes.toy_provider.contract import CONTRACT, PAYMENT, ToypayMerchant
from tests.fakes.toy_provider.provider import ToypayProvider


def _recovery(merchant: ToypayMerchant, order_id: str, payment_id: str) -> RecoveryQuery | None:
    return RecoveryQuery(PAYMENT, payment_id) if payment_id else None


SPEC: Final = ProviderSpec(
    contract=CONTRACT, provider=ToypayProvider(), recovery=_recovery, probe=NoProbe("Toypay has no credentials")
)
