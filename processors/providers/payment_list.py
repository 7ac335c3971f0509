"""The protocol of a provider that lists its payments by time: for reconciliation, never for results.

A list is read in parts, each with the time up to which it is complete, so that a reader can show its progress and holds
no more than it needs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import CallContext
from paynotify.schemas.messages import Observation


@dataclass(frozen=True, slots=True)
class ListedPayment:
    """What one listed record says; ``started`` is when the payment began, None for a record of a refund only."""

    observation: Observation
    started: datetime | None


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """A record of the list that can't be read, and what is wrong with it. Its payment is left out, and no other."""

    text: str


ListedRecord: TypeAlias = ListedPayment | UnreadableRecord


@dataclass(frozen=True, slots=True)
class PaymentReference:
    """A payment to query by itself, by the provider's id and, where it is known, the order's."""

    payment_id: str
    order_id: str | None


class PaymentLister(Protocol):
    """A provider's list of payments."""

    def between(
        self, account: Account[Any], context: CallContext, start: datetime, end: datetime
    ) -> AsyncIterator[tuple[datetime, Sequence[ListedRecord]]]:
        """The payments started from ``start`` to ``end``, both included, part by part with the time each reaches.

        Raises:
            RetryableError: the provider does not respond, also after several retries.
            PermanentError: the provider refuses, or has more payments at one moment than its list can hold.
        """

    def about(
        self, account: Account[Any], context: CallContext, payments: Sequence[PaymentReference]
    ) -> AsyncIterator[tuple[int, Sequence[ListedRecord]]]:
        """The state of these payments, whenever they began; part by part with how many of them each part covers.

        Raises:
            RetryableError: the provider does not respond, also after several retries.
            PermanentError: the provider refuses.
        """
