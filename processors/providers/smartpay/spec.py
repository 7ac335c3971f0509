"""Smart Pay's spec: the provider, its recovery rule, its task, and how the tools deal with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from paynotify.processors.providers.rabobank.refresh_token import RefreshTokenProbe, order_query
from paynotify.processors.providers.smartpay.contract import CONTRACT, ORDER, SmartPayMerchant
from paynotify.processors.providers.smartpay.provider import SmartPayProvider
from paynotify.processors.providers.smartpay.published_keys import fetch_keys
from paynotify.processors.providers.spec import CaptureInspection, ProviderSpec

_PROVIDER: Final = SmartPayProvider()


def _with_keys(merchant: SmartPayMerchant, file: Path) -> SmartPayMerchant:
    return msgspec.structs.replace(merchant, jwks_url=None, jwks_file=str(file))


SPEC: Final = ProviderSpec(
    contract=CONTRACT,
    provider=_PROVIDER,
    recovery=partial(order_query, ORDER),
    probe=RefreshTokenProbe(),
    inspection=CaptureInspection(with_keys=_with_keys),
    background=partial(fetch_keys, _PROVIDER.published),
)
