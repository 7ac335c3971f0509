"""Which providers list their payments by time, and how that list is read: for reconciliation, never for results.

A list is read in parts, each with the time up to which it is complete, so that a reader can tell how far it is and
keeps no more than it needs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol

from processors.provider import Account, Outside
from processors.providers.trustpayments_list import Named, Sighting, TrustPaymentsList


class Lister(Protocol):
    """A provider's list of payments."""

    def between(
        self, account: Account, outside: Outside, start: datetime, end: datetime
    ) -> AsyncIterator[tuple[datetime, Sequence[Sighting]]]:
        """What was started from ``start`` to ``end``, both included, part by part with the time each reaches.

        Raises:
            Retryable: the provider does not answer, also after some patience.
            Permanent: it refuses, or lists more at one moment than it can tell.
        """

    def about(
        self, account: Account, outside: Outside, payments: Sequence[Named]
    ) -> AsyncIterator[tuple[int, Sequence[Sighting]]]:
        """What the provider says of these payments, whenever they were; part by part with how many each answers.

        Raises:
            Retryable: the provider does not answer, also after some patience.
            Permanent: it refuses.
        """


#: OmniKassa and Nevogate have no such list: there a shop's export is compared.
LISTERS: Final[Mapping[str, Lister]] = MappingProxyType({"trustpayments": TrustPaymentsList()})
