"""Smart Pay's spec: the provider, its recovery rule, its task, and how the tools deal with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from processors.providers.account import Account
from processors.providers.base import CallContext
from processors.providers.rabobank.single_order import is_order_id, refreshed
from processors.providers.smartpay.contract import CONTRACT, ORDER, SmartPayMerchant
from processors.providers.smartpay.provider import SmartPayProvider, bank_access
from processors.providers.smartpay.published_keys import fetch_keys
from processors.providers.spec import CaptureInspection, ProviderSpec, RecoveryQuery

_PROVIDER: Final = SmartPayProvider()


def _recovery(merchant: SmartPayMerchant, order_id: str, payment_id: str) -> RecoveryQuery | None:
    """The order call, by the bank's id of the order and with the webshop's refresh token."""
    allowed = merchant.refresh_token is not None and is_order_id(payment_id)
    return RecoveryQuery(ORDER, payment_id) if allowed else None


class _SmartPayProbe:
    """One token refresh, which counts against the merchant's quota at the bank."""

    def skip_reason(self, account: Account[SmartPayMerchant], *, recovery: bool) -> str | None:
        if not recovery:
            return "pass --recovery to check them with one token refresh"
        return "no refresh_token is configured" if account.merchant.refresh_token is None else None

    async def accepted(self, account: Account[SmartPayMerchant], context: CallContext) -> bool:
        """Refresh a token; it is not used."""
        await refreshed(bank_access(account), context)
        return True

    def secret_problem(self, account: Account[SmartPayMerchant]) -> str | None:
        return None


def _with_keys(merchant: SmartPayMerchant, file: Path) -> SmartPayMerchant:
    return msgspec.structs.replace(merchant, jwks_url=None, jwks_file=str(file))


SPEC: Final = ProviderSpec(
    contract=CONTRACT,
    provider=_PROVIDER,
    recovery=_recovery,
    probe=_SmartPayProbe(),
    inspection=CaptureInspection(with_keys=_with_keys),
    background=partial(fetch_keys, _PROVIDER.published),
)
