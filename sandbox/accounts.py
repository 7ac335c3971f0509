"""The merchants of the sandbox with freshly made secrets, as both sides need to know them."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

#: Which merchants the sandbox has, if nothing else is asked for.
MERCHANTS: Final[Mapping[str, Sequence[str]]] = {
    "omnikassa": ("shop-nl",),
    "trustpayments": ("shop-uk",),
    "nevogate": ("shop-hu",),
}

_EXTRA_FIELDS: Final = ["baseamount", "currencyiso3a", "requesttypedescription", "parenttransactionreference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxAccount:
    """One merchant. ``shop`` is for the simulator, ``merchant`` for the configuration (without its address)."""

    provider: str
    name: str
    shop: dict[str, Any]
    merchant: dict[str, Any]

    def configured(self, address: str) -> dict[str, Any]:
        """The merchant's entry in the configuration, with the simulator at ``address``."""
        key, path = _ADDRESSES[self.provider]
        return {"id": self.name, "provider": self.provider, key: address + path, **self.merchant}


_ADDRESSES: Final[Mapping[str, tuple[str, str]]] = {
    "omnikassa": ("base_url", "/omnikassa-api"),
    "trustpayments": ("webservices_url", "/json/"),
    "nevogate": ("base_url", ""),
}


def open_accounts(
    merchants: Mapping[str, Sequence[str]], directory: Path, with_url_token: Collection[str] = ()
) -> list[SandboxAccount]:
    """An account for each merchant by provider; secrets are written to files below ``directory``."""
    opened = [
        _OPENERS[provider](name, number, directory / name)
        for provider, names in merchants.items()
        for number, name in enumerate(names)
    ]
    for account in opened:
        if account.name in with_url_token:
            account.shop["url_token"] = secrets.token_urlsafe(24)
            account.merchant["url_tokens"] = [_kept(directory / account.name, "url-token", account.shop["url_token"])]
    return opened


def _kept(directory: Path, name: str, text: str) -> dict[str, str]:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = directory / name
    file.touch(mode=0o600)
    file.write_text(text, "utf-8")
    return {"file": str(file)}


def _omnikassa(name: str, number: int, directory: Path) -> SandboxAccount:
    key, refresh = base64.b64encode(secrets.token_bytes(32)).decode(), secrets.token_urlsafe(48)
    poi_id = 2004 + number
    return SandboxAccount(
        provider="omnikassa",
        name=name,
        shop={"merchant": name, "poi_id": poi_id, "signing_keys": [key], "refresh_token": refresh},
        merchant={
            "poi_id": poi_id,
            "signing_keys": [_kept(directory, "signing-key", key)],
            "refresh_token": _kept(directory, "refresh-token", refresh),
        },
    )


def _trust_payments(name: str, number: int, directory: Path) -> SandboxAccount:
    notification, password = secrets.token_urlsafe(18), secrets.token_urlsafe(18)
    site, user = f"test_sandbox{number}", f"ws{number}@shop.example"
    return SandboxAccount(
        provider="trustpayments",
        name=name,
        shop={
            "merchant": name,
            "site_reference": site,
            "notification_password": notification,
            "username": user,
            "password": password,
            "extra_fields": _EXTRA_FIELDS,
        },
        merchant={
            "site_reference": site,
            "notification_passwords": [_kept(directory, "notification", notification)],
            "username": user,
            "password": _kept(directory, "password", password),
            "extra_fields": _EXTRA_FIELDS,
        },
    )


def _nevogate(name: str, number: int, directory: Path) -> SandboxAccount:
    store, key = f"sandbox_{number}", secrets.token_hex(16)
    return SandboxAccount(
        provider="nevogate",
        name=name,
        shop={"merchant": name, "store_name": store, "api_key": key},
        merchant={"store_name": store, "api_key": _kept(directory, "api-key", key)},
    )


_OPENERS: Final[Mapping[str, Callable[[str, int, Path], SandboxAccount]]] = {
    "omnikassa": _omnikassa,
    "trustpayments": _trust_payments,
    "nevogate": _nevogate,
}
