"""Nevogate's spec: the provider, its recovery rule, its charge gateway, and how the tools deal with it."""

from __future__ import annotations

from typing import Final

from paynotify.processors.providers.nevogate.charging import NevogateChargeGateway
from paynotify.processors.providers.nevogate.contract import CONTRACT, DETAILS, NevogateMerchant
from paynotify.processors.providers.nevogate.interpretation import is_transaction
from paynotify.processors.providers.nevogate.provider import NevogateProvider
from paynotify.processors.providers.spec import FollowRule, NoProbe, ProviderSpec, RecoveryQuery


def _recovery(merchant: NevogateMerchant, order_id: str, payment_id: str) -> RecoveryQuery | None:
    """No ``Result`` is allowed without a call; ``Details`` are read only where the merchant switched it on."""
    allowed = merchant.recover_by_details and is_transaction(payment_id)
    return RecoveryQuery(DETAILS, payment_id) if allowed else None


def _follow(merchant: NevogateMerchant, references: tuple[str, ...]) -> RecoveryQuery | None:
    """One Details for each hold: the gateway has no query for many transactions."""
    return _recovery(merchant, "", references[0])


SPEC: Final = ProviderSpec(
    contract=CONTRACT,
    provider=NevogateProvider(),
    recovery=_recovery,
    probe=NoProbe("the gateway does not allow a query that no notification caused"),
    follow=FollowRule(references_per_lookup=1, query=_follow),
    charge_gateway=NevogateChargeGateway(),
)
