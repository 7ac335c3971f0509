"""What the sandbox knows of a simulator: its `SimulatorSpec`, found through the provider's contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from paynotify.sandbox.simulators.base import Settings, Simulator
from paynotify.schemas.providers import provider_contracts


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxAccount:
    """One merchant with generated secrets. ``shop`` is for the simulator, ``merchant`` for the configuration, without
    id, provider and URLs."""

    provider: str
    name: str
    shop: dict[str, Any]
    merchant: dict[str, Any]

    def configured(self, address: str) -> dict[str, Any]:
        """The merchant's section of the configuration, with the simulator at ``address``."""
        urls = simulator_specs()[self.provider].base_urls(address)
        return {"id": self.name, "provider": self.provider, **urls, **self.merchant}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSpec:
    """One provider's simulator. ``open_account`` takes the merchant's id, its number among the provider's, and a folder
    for secret files; ``base_urls`` are the configuration's keys for a simulator at an address. ``by_default``: the
    sandbox has a merchant of it unless others are chosen."""

    simulator: type[Simulator[Any]]
    settings: type[Settings]
    default_merchant: str
    open_account: Callable[[str, int, Path], SandboxAccount]
    base_urls: Callable[[str], Mapping[str, str]]
    by_default: bool = True


def simulator_specs() -> dict[str, SimulatorSpec]:
    """Every simulator by its provider's name; providers without one are left out."""
    modules = {name: one.simulator for name, one in provider_contracts().items() if one.simulator is not None}
    return {name: import_module(f"{module}.spec").SIMULATOR for name, module in modules.items()}


def write_secret(directory: Path, name: str, text: str) -> dict[str, str]:
    """Write a secret file that only its owner can read; the configuration's reference to it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = directory / name
    file.touch(mode=0o600)
    file.write_text(text, "utf-8")
    return {"file": str(file)}
