"""The simulator as the sandbox runs it, and its merchants' accounts with generated secrets."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from paynotify.sandbox.simulators.smartpay.settings import SmartPaySettings
from paynotify.sandbox.simulators.smartpay.simulator import KEY_SET_PATH, SmartPaySimulator
from paynotify.sandbox.simulators.spec import SandboxAccount, SimulatorSpec, write_secret


def _open_account(name: str, number: int, directory: Path) -> SandboxAccount:
    refresh = secrets.token_urlsafe(48)
    subscriptions = [f"wsb_{secrets.token_hex(10).upper()}" for _ in range(2)]
    return SandboxAccount(
        provider=SmartPaySimulator.provider,
        name=name,
        shop={"merchant": name, "subscription_ids": subscriptions, "refresh_token": refresh},
        merchant={
            "subscription_ids": subscriptions,
            "refresh_token": write_secret(directory, "refresh-token", refresh),
        },
    )


def _base_urls(address: str) -> dict[str, str]:
    return {"base_url": address + "/omnikassa-api", "jwks_url": address + KEY_SET_PATH}


SIMULATOR: Final = SimulatorSpec(
    simulator=SmartPaySimulator,
    settings=SmartPaySettings,
    default_merchant="shop-v3",
    open_account=_open_account,
    base_urls=_base_urls,
    by_default=False,
)
