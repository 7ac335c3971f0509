"""What is peculiar to each payment service provider, behind the protocol of `processors.provider`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from processors.charger import Charger
from processors.provider import Provider
from processors.providers.nevogate import Nevogate
from processors.providers.nevogate_charge import NevogateCharger
from processors.providers.omnikassa import OmniKassa
from processors.providers.trustpayments import TrustPayments

#: Every provider by the word the configuration, routes and topics use for it.
PROVIDERS: Final[Mapping[str, Provider]] = MappingProxyType(
    {one.name: one for one in (OmniKassa(), TrustPayments(), Nevogate())}
)

#: The providers that charge registered means of payment, by the same words.
CHARGERS: Final[Mapping[str, Charger]] = MappingProxyType({one.name: one for one in (NevogateCharger(),)})
