"""Lookups that no notification caused (recovery): for overdue payments, for reconciliation, and for settlement.

Which of them a provider allows is its own rule (`processors.providers.spec.RecoveryRule` and ``FollowRule``).
"""

from __future__ import annotations

from dataclasses import replace

from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.providers.spec import RecoveryQuery
from paynotify.schemas.configuration.merchants import Merchant, provider_of
from paynotify.schemas.messages import CAUSE, RECOVERY, REFERENCES, SETTLEMENT_DUE, Lookup
from paynotify.schemas.providers import provider_contracts


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
    return _lookup(spec.name, merchant, query, lookup_cause, at)


def settlement_lookup(merchant: Merchant, references: tuple[str, ...], *, lookup_cause: str, at: str) -> Lookup | None:
    """The lookup of payments and refunds whose settlement is due; None where the provider's rules allow none.

    It names its cause, and all references where it asks for several: `paynotify trace` finds it by them.
    """
    spec = provider_specs()[provider_of(merchant)]
    query = spec.follow.query(merchant, references) if spec.follow else None
    if query is None:
        return None
    several = {REFERENCES: " ".join(references)} if query.reference is None else {}
    arguments = {**several, **query.arguments, CAUSE: SETTLEMENT_DUE}
    return _lookup(spec.name, merchant, replace(query, arguments=arguments), lookup_cause, at)


def _lookup(provider: str, merchant: Merchant, query: RecoveryQuery, lookup_cause: str, at: str) -> Lookup:
    return Lookup(
        provider=provider,
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
