"""Toypay's contract: a merchant's section, a route, one operation and the defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from paynotify.schemas.configuration.merchants import Merchant, Secrets
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.providers import ProviderContract
from paynotify.schemas.routes import Route

NAME: Final = "toypay"

PAYMENT: Final = "toy-payment"


class ToypayMerchant(Merchant, frozen=True, kw_only=True, tag_field="provider", tag=NAME):
    """A shop of Toypay."""

    base_url: str
    keys: Secrets

    def base_urls(self) -> Mapping[str, str]:
        return {"base_url": self.base_url}

    def signature_secrets(self) -> tuple[SecretRef, ...]:
        return self.keys


CONTRACT: Final = ProviderContract(
    name=NAME,
    merchant=ToypayMerchant,
    route=Route(methods=("POST",), transaction=re.compile(rb"(?:\A|&)payment=([a-z0-9-]{1,40})(?:&|\Z)")),
    operations=frozenset({PAYMENT}),
    duplicate_window_seconds=60.0,
    poll_schedule_seconds=(30.0, 300.0),
    calls_per_second=5.0,
)
