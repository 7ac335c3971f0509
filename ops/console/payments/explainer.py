"""Explains payments and orders from the index: for pages, and for the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from paynotify.ops.console.payments.explanation import Explanation, explained
from paynotify.ops.console.payments.facts import payment_facts
from paynotify.ops.console.payments.payment_rows import PaymentRows, announced_payment, of_unreported_order
from paynotify.ops.console.queries import IndexQueries
from paynotify.schemas.configuration.merchants import Merchant, provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.times import utc_now


class Explainer:
    """Reads what decides, and says it in a sentence. Any thread may use it."""

    def __init__(self, configuration: Configuration, queries: IndexQueries) -> None:
        self._configuration = configuration
        self._queries = queries

    def rows(self, merchant: Merchant, payment_id: str) -> PaymentRows:
        """What decides about one payment's goods, of one moment."""
        return self._queries.payment_rows(provider_of(merchant), merchant.id, payment_id)

    def explained(self, merchant: Merchant, rows: PaymentRows, retry: tuple[str, str] | None = None) -> Explanation:
        """The sentence about what the rows tell. ``retry`` is why and until when a lookup waits."""
        return explained(payment_facts(rows, self._configuration, merchant, utc_now(), retry))

    def unreported(self, merchant: Merchant, found: Mapping[str, Sequence[dict[str, Any]]]) -> Explanation:
        """The sentence about an order of which no payment is reported; ``found`` is what is known of it, by table."""
        rows = self.rows(merchant, announced_payment(found))
        return self.explained(merchant, of_unreported_order(rows, found))
