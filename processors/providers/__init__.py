"""What is peculiar to each payment service provider, behind the protocol of `processors.provider`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from processors.provider import Provider
from processors.providers.nevogate import Nevogate
from processors.providers.omnikassa import OmniKassa
from processors.providers.trustpayments import TrustPayments

#: Every provider by the word the configuration, routes and topics use for it.
PROVIDERS: Final[Mapping[str, Provider]] = MappingProxyType(
    {one.name: one for one in (OmniKassa(), TrustPayments(), Nevogate())}
)
