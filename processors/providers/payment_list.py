"""What a provider that lists its payments by time offers: for reconciliation, never for results.

A list is read in parts, each with the time up to which it is complete, so that a reader can tell how far it is and
keeps no more than it needs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from processors.providers.base import Account, CallContext
from schemas.messages import Observation


@dataclass(frozen=True, slots=True)
class ListedPayment:
    """What one listed record says; ``started`` is when the payment was, none where it speaks of a refund only."""

    observation: Observation
    started: datetime | None


@dataclass(frozen=True, slots=True)
class PaymentReference:
    """A payment that is asked about for itself, by the provider's id and, where it is known, the order's."""

    payment_id: str
    order_id: str | None


class PaymentLister(Protocol):
    """A provider's list of payments."""

    def between(
        self, account: Account, outside: CallContext, start: datetime, end: datetime
    ) -> AsyncIterator[tuple[datetime, Sequence[ListedPayment]]]:
        """What was started from ``start`` to ``end``, both included, part by part with the time each reaches.

        Raises:
            RetryableError: the provider does not answer, also after some patience.
            PermanentError: it refuses, or lists more at one moment than it can tell.
        """

    def about(
        self, account: Account, outside: CallContext, payments: Sequence[PaymentReference]
    ) -> AsyncIterator[tuple[int, Sequence[ListedPayment]]]:
        """What the provider says of these payments, whenever they were; part by part with how many each answers.

        Raises:
            RetryableError: the provider does not answer, also after some patience.
            PermanentError: it refuses.
        """
