"""Nevogate's contract: its merchant section, route, operations and defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import Meta

from paynotify.schemas.configuration.merchants import ChargingMerchant
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.providers import ProviderContract
from paynotify.schemas.routes import Route

NAME: Final = "nevogate"

RESULT: Final = "result"
DETAILS: Final = "details"


class NevogateMerchant(ChargingMerchant, frozen=True, kw_only=True, tag_field="provider", tag=NAME):
    """A store of BIG FISH / Nevogate."""

    store_name: Annotated[str, Meta(min_length=1)]
    """The store's name at the gateway."""
    api_key: SecretRef
    """The store's API key."""
    base_url: str
    """Base URL of the gateway."""
    recover_by_details: bool = False
    """Whether overdue payments, authorisations and payments without an amount are read with `Details`, which the
    gateway must allow."""
    hold_days: Annotated[int, Meta(ge=1, le=365)] = 30
    """Days for which money stays reserved at most. Until then an authorisation is looked up daily."""

    def base_urls(self) -> Mapping[str, str]:
        return {"base_url": self.base_url}


CONTRACT: Final = ProviderContract(
    name=NAME,
    merchant=NevogateMerchant,
    route=Route(
        methods=("POST", "GET"),
        transaction=re.compile(
            rb"(?:\"[Tt]ransactionId\"\s*:\s*\""  # JSON
            rb"|(?:\A|&)(?:[Cc]ommonData(?:\[|%5[Bb]))?[Tt]ransactionId(?:\]|%5[Dd])?="  # a form or a query
            rb"|[ ;]name=\"(?:[Cc]ommonData\[)?[Tt]ransactionId\]?\"(?:\r\n[^\r\n]{1,200}){0,3}\r\n\r\n)"  # multipart
            rb"([0-9a-f]{32})(?:\"|&|\r|\Z)"
        ),
        media_types=("application/json", "application/x-www-form-urlencoded", "multipart/form-data"),
        query={
            "TransactionId": "The payment's id: 32 hex digits, in lower case. A call without one is rejected later."
        },
    ),
    operations=frozenset({RESULT, DETAILS}),
    # no duplicate window: the gateway wants one Result for every call
    poll_schedule_seconds=(300.0, 3600.0, 6 * 3600.0, 24 * 3600.0),
    simulator="paynotify.sandbox.simulators.nevogate",
    id_fields=frozenset(
        ("OrderId", "TransactionId", "ReferenceTransactionId", "ProviderTransactionId", "ResponseId", "UserId")
    ),
)
