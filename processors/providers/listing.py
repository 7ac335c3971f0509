"""Which providers list their payments by time."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from processors.listing import Lister
from processors.providers.trustpayments_list import TrustPaymentsList

#: OmniKassa and Nevogate have no such list: there a shop's export is compared.
LISTERS: Final[Mapping[str, Lister]] = MappingProxyType({"trustpayments": TrustPaymentsList()})
