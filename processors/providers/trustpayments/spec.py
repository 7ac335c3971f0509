"""Trust Payments' spec: the provider, its recovery rule, its list of payments, and how the tools deal with it."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Final

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import CallContext, Notification
from paynotify.processors.providers.spec import CaptureInspection, FollowRule, ProviderSpec, RecoveryQuery
from paynotify.processors.providers.trustpayments.client import query
from paynotify.processors.providers.trustpayments.contract import CONTRACT, NAME, TRANSACTION, TrustPaymentsMerchant
from paynotify.processors.providers.trustpayments.payment_list import TrustPaymentsLister
from paynotify.processors.providers.trustpayments.provider import TrustPaymentsProvider
from paynotify.processors.providers.trustpayments.records import is_order_reference, is_reference
from paynotify.schemas.messages import REFERENCES

#: No maximum is documented; a query for so many is far below the 500 records of a response.
MAX_REFERENCES: Final = 100

_PROVIDER: Final = TrustPaymentsProvider()


def _recovery(merchant: TrustPaymentsMerchant, order_id: str, payment_id: str) -> RecoveryQuery | None:
    """A query only reads and may be repeated. By the order where it is known: that finds the order's other attempts and
    its refunds too, a transaction only itself."""
    if is_order_reference(order_id):
        return RecoveryQuery(TRANSACTION, None, {"orderreference": order_id})
    return RecoveryQuery(TRANSACTION, payment_id) if is_reference(payment_id) else None


def _settlement(merchant: TrustPaymentsMerchant, references: tuple[str, ...]) -> RecoveryQuery:
    """One query for the payments and refunds that the nightly batch may have settled."""
    return RecoveryQuery(TRANSACTION, None, {REFERENCES: " ".join(references)})


class _TrustPaymentsProbe:
    """A query for an order that does not exist: an empty response shows that the credentials are accepted."""

    def skip_reason(self, account: Account[TrustPaymentsMerchant], *, recovery: bool) -> str | None:
        return None

    async def accepted(self, account: Account[TrustPaymentsMerchant], context: CallContext) -> bool:
        """Make the query."""
        await query({"orderreference": [f"paynotify-doctor-{secrets.token_hex(8)}"]}, account, context)
        return True

    def secret_problem(self, account: Account[TrustPaymentsMerchant]) -> str | None:
        return None


def _check_return_url(query: bytes, account: Account[TrustPaymentsMerchant], received_at: datetime) -> None:
    """The customer comes back with the notification's fields in the query, hashed alike."""
    form = Notification("inspect", NAME, account.merchant.id, "POST", "", "", query, received_at)
    _PROVIDER.verify(_PROVIDER.parse(form, account), form, account)


SPEC: Final = ProviderSpec(
    contract=CONTRACT,
    provider=_PROVIDER,
    recovery=_recovery,
    probe=_TrustPaymentsProbe(),
    inspection=CaptureInspection(check_return_url=_check_return_url),
    lister=TrustPaymentsLister(),
    follow=FollowRule(MAX_REFERENCES, _settlement),
)
