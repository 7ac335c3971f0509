"""The simulator as the sandbox runs it, and its merchants' accounts with generated secrets."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import Final

from paynotify.sandbox.simulators.omnikassa.settings import OmniKassaSettings
from paynotify.sandbox.simulators.omnikassa.simulator import OmniKassaSimulator
from paynotify.sandbox.simulators.spec import SandboxAccount, SimulatorSpec, write_secret


def _open_account(name: str, number: int, directory: Path) -> SandboxAccount:
    key, refresh = base64.b64encode(secrets.token_bytes(32)).decode(), secrets.token_urlsafe(48)
    poi_id = 2004 + number
    return SandboxAccount(
        provider=OmniKassaSimulator.provider,
        name=name,
        shop={"merchant": name, "poi_id": poi_id, "signing_keys": [key], "refresh_token": refresh},
        merchant={
            "poi_id": poi_id,
            "signing_keys": [write_secret(directory, "signing-key", key)],
            "refresh_token": write_secret(directory, "refresh-token", refresh),
        },
    )


def _base_urls(address: str) -> dict[str, str]:
    return {"base_url": address + "/omnikassa-api"}


SIMULATOR: Final = SimulatorSpec(
    simulator=OmniKassaSimulator,
    settings=OmniKassaSettings,
    default_merchant="shop-nl",
    open_account=_open_account,
    base_urls=_base_urls,
)
