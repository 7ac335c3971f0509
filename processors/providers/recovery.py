"""Which lookup may be made though no notification came, by provider: the rules of recovery in one place.

Sources: the provider modules' own. Trust Payments' query only reads and may be repeated. OmniKassa's single-order
endpoint is for rare recovery, by the bank's id of the order and with the webshop's refresh token; ``fetch`` charges
each such call to a budget. An order the bank does not know stays a dead lookup: only announced orders have such an id,
so it is another environment's, or kept no more, and a person must look in the bank's dashboard. Nevogate allows no
``Result`` without a call; ``Details`` is read only where the merchant switched it on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from processors.providers.base import Account
from processors.providers.nevogate.provider import is_transaction
from processors.providers.omnikassa.single_order import is_order_id
from processors.providers.trustpayments.provider import is_order_reference
from processors.providers.trustpayments.records import is_reference
from schemas.configuration.merchants import (
    Merchant,
    NevogateMerchant,
    OmniKassaMerchant,
    provider_of,
)
from schemas.messages import RECOVERY, Lookup, Operation

#: Where each recovery call is charged to the worker's ``recovery_calls_per_hour``: what comes above it ends dead.
BUDGETED: Final = frozenset({"omnikassa"})


class _Asking(NamedTuple):
    """What is asked for: the operation, the provider's id of it, and what only the provider's module understands."""

    operation: Operation
    reference: str | None
    arguments: Mapping[str, str] = MappingProxyType({})


def recovery_lookup(
    account: Account | Merchant, *, order_id: str | None, payment_id: str | None, lookup_cause: str, at: str
) -> Lookup | None:
    """The lookup that tells the truth about an order or a payment, or none where the provider's rules allow none.

    ``lookup_cause`` is a word of ours for what made it necessary (``overdue``, ``reconcile``); it stands where other
    lookups name their notification. ``at`` (RFC 3339) is when: the audit finds the lookup in that time's window, so the
    record's ``ce_time`` must be the same.
    """
    merchant = account.merchant if isinstance(account, Account) else account
    provider = provider_of(merchant)
    asking = _ASKING[provider](merchant, order_id or "", payment_id or "")
    if asking is None:
        return None
    return Lookup(
        provider=provider,
        merchant=merchant.id,
        operation=asking.operation,
        reference=asking.reference,
        notification_id=lookup_cause,
        received_at=at,
        arguments={**asking.arguments, RECOVERY: "1"},
    )


def lookup_key(lookup: Lookup) -> bytes:
    """The key of a lookup's record: a webshop of OmniKassa has one queue, elsewhere each transaction has its own."""
    shared = lookup.provider == "omnikassa" or lookup.reference is None
    return (lookup.merchant if shared else f"{lookup.merchant}/{lookup.reference}").encode()


def _trustpayments(merchant: Any, order_id: str, payment_id: str) -> _Asking | None:
    """By the order where it is known: that finds its other attempts and its refunds too, a transaction only itself."""
    if is_order_reference(order_id):
        return _Asking("transaction", None, {"orderreference": order_id})
    return _Asking("transaction", payment_id) if is_reference(payment_id) else None


def _omnikassa(merchant: OmniKassaMerchant, order_id: str, payment_id: str) -> _Asking | None:
    allowed = merchant.refresh_token is not None and is_order_id(payment_id)
    return _Asking("order", payment_id) if allowed else None


def _nevogate(merchant: NevogateMerchant, order_id: str, payment_id: str) -> _Asking | None:
    allowed = merchant.recover_by_details and is_transaction(payment_id)
    return _Asking("details", payment_id) if allowed else None


_ASKING: Final[Mapping[str, Callable[[Any, str, str], _Asking | None]]] = MappingProxyType(
    {"trustpayments": _trustpayments, "omnikassa": _omnikassa, "nevogate": _nevogate}
)
