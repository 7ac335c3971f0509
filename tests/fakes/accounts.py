"""Accounts, notifications and vectors for the providers' tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from paynotify.processors.providers.account import Account, open_account
from paynotify.processors.providers.base import Notification, ProviderResponse, WaitingLookup
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.messages import Lookup

NOW: Final = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
OMNIKASSA_KEY: Final = "QAhFrajUoLsKowfRo15vFXIpdbCgmI2S82idk6xPiCk="
TRANSACTION: Final = "a4d6f6f27f2116da21da62d705dbd7ef"

#: The public keys of the vectors.
KEYS: Final = Path(__file__).parents[1] / "vectors" / "smartpay-keys.json"

_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "omnikassa": {"poi_id": 123, "base_url": "https://bank.example", "signing_keys": [{"value": OMNIKASSA_KEY}]},
    "trustpayments": {
        "site_reference": "test_acme98765",
        "notification_passwords": [{"value": "hunter2-URLnotify"}],
        "webservices_url": "https://gateway.example/json/",
        "username": "webservices@merchant.example",
        "password": {"value": "Passw0rd_é"},
        "extra_fields": ["baseamount", "currencyiso3a", "requesttypedescription", "parenttransactionreference"],
    },
    "smartpay": {
        "base_url": "https://bank.example/omnikassa-api",
        "jwks_file": str(KEYS),
        "refresh_token": {"value": "refresh-1"},
    },
    "nevogate": {"store_name": "sdk_test", "api_key": {"value": "key-1"}, "base_url": "https://gateway.example"},
}


def vectors(provider: str) -> Any:
    """The provider's vector file."""
    return json.loads((Path(__file__).parents[1] / "vectors" / f"{provider}.json").read_text("utf-8"))


def account(provider: str, **settings: Any) -> Account[Any]:
    """A merchant ``shop`` of the provider, with ``settings`` instead of the defaults."""
    merchant = {"id": "shop", "provider": provider, **_DEFAULTS[provider], **settings}
    text = yaml.safe_dump({"sandbox": True, "merchants": [merchant]})
    return open_account(parse(text, "test").merchants[0])


def notification(
    provider: str,
    body: str | bytes,
    *,
    method: str = "POST",
    query: str = "",
    at: datetime = NOW,
    headers: Mapping[str, str] | None = None,
) -> Notification:
    """A webhook call as the stages see it."""
    raw = body.encode() if isinstance(body, str) else body
    return Notification("n-1", provider, "shop", method, query, "", raw, at, headers=headers or {})


def response(body: str | bytes, **facts: str) -> ProviderResponse:
    """A stored answer as the stages see it."""
    raw = body.encode() if isinstance(body, str) else body
    return ProviderResponse(raw, "application/json", 200, NOW, facts=facts)


def waiting(provider: str, reference: str | None = None, *, lookup_id: str = "l-1", **arguments: str) -> WaitingLookup:
    """A lookup as it lies on the topic."""
    operations: dict[str, Any] = {
        "omnikassa": "pull",
        "trustpayments": "transaction",
        "nevogate": "result",
        "smartpay": "order",
    }
    lookup = Lookup(
        provider=provider,
        merchant="shop",
        operation=operations[provider],
        reference=reference,
        notification_id="n-1",
        received_at="2026-06-01T12:00:00.000Z",
        arguments=arguments,
    )
    return WaitingLookup(lookup_id, lookup, "", 0, NOW)
