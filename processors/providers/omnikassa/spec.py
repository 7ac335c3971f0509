"""OmniKassa's spec: the provider, its recovery rule, and how the tools deal with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from processors.providers.account import Account
from processors.providers.base import CallContext, ProviderResponse
from processors.providers.omnikassa.contract import CONTRACT, ORDER, OmniKassaMerchant
from processors.providers.omnikassa.provider import OmniKassaProvider, bank_access
from processors.providers.omnikassa.return_url import check_return_url
from processors.providers.omnikassa.signature import signed
from processors.providers.rabobank.single_order import KIND, is_order_id, order_in, refreshed
from processors.providers.spec import CaptureInspection, ProviderSpec, RecoveryQuery
from schemas.errors import SecretError


def _recovery(merchant: OmniKassaMerchant, order_id: str, payment_id: str) -> RecoveryQuery | None:
    """The single-order endpoint, by the bank's id of the order and with the webshop's refresh token.

    An order the bank does not know ends as a dead-lettered lookup: only registered orders have such an id, so it is
    another environment's, or not kept any more, and a person must look in the bank's dashboard.
    """
    allowed = merchant.refresh_token is not None and is_order_id(payment_id)
    return RecoveryQuery(ORDER, payment_id) if allowed else None


class _OmniKassaProbe:
    """One token refresh, which counts against the merchant's quota at the bank."""

    def skip_reason(self, account: Account[OmniKassaMerchant], *, recovery: bool) -> str | None:
        if not recovery:
            return "pass --recovery to check them with one token refresh"
        return "no refresh_token is configured" if account.merchant.refresh_token is None else None

    async def accepted(self, account: Account[OmniKassaMerchant], context: CallContext) -> bool:
        """Refresh a token; it is not used."""
        await refreshed(bank_access(account), context)
        return True

    def secret_problem(self, account: Account[OmniKassaMerchant]) -> str | None:
        """A signing key must be base64."""
        try:
            account.reveal_all(account.merchant.signing_keys)
        except SecretError:
            return None  # found as unreadable already
        try:
            signed("", "", account)
        except SecretError as error:
            return str(error)
        return None


def _recognise(response: ProviderResponse) -> ProviderResponse:
    """A captured response about a single order has the facts of a stored one."""
    order_id = order_in(response.body)
    return response if order_id is None else replace(response, reference=order_id, facts={"kind": KIND})


def _is_signed(response: ProviderResponse) -> bool:
    """Pages of results are signed, single orders are not."""
    return response.facts.get("kind") != KIND


SPEC: Final = ProviderSpec(
    contract=CONTRACT,
    provider=OmniKassaProvider(),
    recovery=_recovery,
    probe=_OmniKassaProbe(),
    inspection=CaptureInspection(
        check_return_url=check_return_url,
        recognise=_recognise,
        signed=_is_signed,
        secret_arguments=frozenset({"token"}),
    ),
)
