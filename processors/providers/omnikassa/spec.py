"""OmniKassa's spec: the provider, its recovery rule, and how the tools deal with it."""

from __future__ import annotations

from functools import partial
from typing import Final

from msgspec.structs import replace

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import ProviderResponse
from paynotify.processors.providers.omnikassa.contract import CONTRACT, ORDER, OmniKassaMerchant
from paynotify.processors.providers.omnikassa.provider import OmniKassaProvider
from paynotify.processors.providers.omnikassa.return_url import check_return_url
from paynotify.processors.providers.omnikassa.signature import signed
from paynotify.processors.providers.rabobank.refresh_token import RefreshTokenProbe, order_query
from paynotify.processors.providers.rabobank.single_order import KIND, order_in
from paynotify.processors.providers.spec import CaptureInspection, ProviderSpec
from paynotify.schemas.errors import SecretError


class _OmniKassaProbe(RefreshTokenProbe):
    """A token refresh; and a look at the signing keys, which no call tries."""

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
    recovery=partial(order_query, ORDER),
    probe=_OmniKassaProbe(),
    inspection=CaptureInspection(
        check_return_url=check_return_url,
        recognise=_recognise,
        signed=_is_signed,
        secret_arguments=frozenset({"token"}),
    ),
)
