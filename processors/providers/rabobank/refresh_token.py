"""What a webshop's refresh token allows, and whether the bank accepts it: the same for each of the bank's providers."""

from __future__ import annotations

from typing import Any

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import CallContext
from paynotify.processors.providers.rabobank.single_order import bank_access, is_order_id, refreshed
from paynotify.processors.providers.spec import RecoveryQuery


def order_query(operation: str, merchant: Any, order_id: str, payment_id: str) -> RecoveryQuery | None:
    """The single-order endpoint, by the bank's id of the order and with the webshop's refresh token.

    An order the bank does not know ends as a dead-lettered lookup: only registered orders have such an id, so it is
    another environment's, or not kept any more, and a person must look in the bank's dashboard.
    """
    allowed = merchant.refresh_token is not None and is_order_id(payment_id)
    return RecoveryQuery(operation, payment_id) if allowed else None


class RefreshTokenProbe:
    """One token refresh, which counts against the merchant's quota at the bank."""

    def skip_reason(self, account: Account[Any], *, recovery: bool) -> str | None:
        if not recovery:
            return "pass --recovery to check them with one token refresh"
        return "no refresh_token is configured" if account.merchant.refresh_token is None else None

    async def accepted(self, account: Account[Any], context: CallContext) -> bool:
        """Refresh a token; it is not used."""
        await refreshed(bank_access(account), context)
        return True

    def secret_problem(self, account: Account[Any]) -> str | None:
        return None
