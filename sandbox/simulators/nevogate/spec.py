"""The simulator as the sandbox runs it, and its merchants' accounts with generated secrets."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from paynotify.sandbox.simulators.nevogate.settings import NevogateSettings
from paynotify.sandbox.simulators.nevogate.simulator import NevogateSimulator
from paynotify.sandbox.simulators.spec import SandboxAccount, SimulatorSpec, write_secret


def _open_account(name: str, number: int, directory: Path) -> SandboxAccount:
    store, key = f"sandbox_{number}", secrets.token_hex(16)
    return SandboxAccount(
        provider=NevogateSimulator.provider,
        name=name,
        shop={"merchant": name, "store_name": store, "api_key": key},
        merchant={"store_name": store, "api_key": write_secret(directory, "api-key", key)},
    )


def _base_urls(address: str) -> dict[str, str]:
    return {"base_url": address}


SIMULATOR: Final = SimulatorSpec(
    simulator=NevogateSimulator,
    settings=NevogateSettings,
    default_merchant="shop-hu",
    open_account=_open_account,
    base_urls=_base_urls,
)
