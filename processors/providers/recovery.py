"""Which lookup may be made without a notification, provider by provider."""

from __future__ import annotations

from schemas.configuration import Merchant, NevogateMerchant, OmniKassaMerchant, provider_of
from schemas.messages import RECOVERY, Lookup, Operation


def recovery_lookup(
    merchant: Merchant, *, order_id: str | None, payment_id: str | None, lookup_cause: str, at: str
) -> Lookup | None:
    """The lookup that the provider's rules allow for an order or payment, or none."""
    operation: Operation = "transaction"
    arguments = {RECOVERY: "1"}
    if isinstance(merchant, OmniKassaMerchant):
        if payment_id is None or merchant.refresh_token is None:
            return None
        operation = "order"
    elif isinstance(merchant, NevogateMerchant):
        if payment_id is None or not merchant.recover_by_details:
            return None
        operation = "details"
    elif payment_id is None:
        arguments["orderreference"] = order_id or ""
    return Lookup(
        provider=provider_of(merchant), merchant=merchant.id, operation=operation, reference=payment_id,
        notification_id=lookup_cause, received_at=at, arguments=arguments,
    )  # fmt: skip
