"""What is peculiar to each payment service provider, behind the protocol of `processors.providers.base`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from processors.providers.base import Provider
from processors.providers.charging import ChargeGateway
from processors.providers.nevogate.charging import NevogateChargeGateway
from processors.providers.nevogate.provider import NevogateProvider
from processors.providers.omnikassa.provider import OmniKassaProvider
from processors.providers.payment_list import PaymentLister
from processors.providers.trustpayments.payment_list import TrustPaymentsLister
from processors.providers.trustpayments.provider import TrustPaymentsProvider

#: Every provider by the word the configuration, routes and topics use for it.
PROVIDERS: Final[Mapping[str, Provider]] = MappingProxyType(
    {one.name: one for one in (OmniKassaProvider(), TrustPaymentsProvider(), NevogateProvider())}
)

#: The providers that charge registered means of payment, by the same words.
CHARGERS: Final[Mapping[str, ChargeGateway]] = MappingProxyType({one.name: one for one in (NevogateChargeGateway(),)})

#: The providers that list their payments by time. For the others a shop's export is compared.
LISTERS: Final[Mapping[str, PaymentLister]] = MappingProxyType({"trustpayments": TrustPaymentsLister()})
