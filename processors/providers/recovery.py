"""Lookups that no notification caused (recovery), for overdue payments and for reconciliation.

Which of them a provider allows is its own rule (`processors.providers.spec.RecoveryRule`).
"""

from __future__ import annotations

from processors.providers.registry import provider_specs
from schemas.configuration.merchants import Merchant, provider_of
from schemas.messages import RECOVERY, Lookup
from schemas.providers import provider_contracts


def recovery_lookup(
    merchant: Merchant, *, order_id: str | None, payment_id: str | None, lookup_cause: str, at: str
) -> Lookup | None:
    """The lookup that returns the state of an order or a payment; None where the provider's rules allow no lookup.

    ``lookup_cause`` is the product's own name for what made it necessary (``overdue``, ``reconcile``); it stands where
    other lookups name their notification. ``at`` (RFC 3339) is when: the audit finds the lookup in that time's window,
    so the record's ``ce_time`` must be the same.
    """
    spec = provider_specs()[provider_of(merchant)]
    query = spec.recovery(merchant, order_id or "", payment_id or "")
    if query is None:
        return None
    return Lookup(
        provider=spec.name,
        merchant=merchant.id,
        operation=query.operation,
        reference=query.reference,
        notification_id=lookup_cause,
        received_at=at,
        arguments={**query.arguments, RECOVERY: "1"},
    )


def lookup_key(lookup: Lookup) -> bytes:
    """The key of a lookup's record: of a provider with one queue the merchant, else each transaction has its own."""
    shared = lookup.reference is None or provider_contracts()[lookup.provider].one_queue_per_merchant
    return (lookup.merchant if shared else f"{lookup.merchant}/{lookup.reference}").encode()
