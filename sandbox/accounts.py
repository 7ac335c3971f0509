"""The sandbox's merchants with generated secrets, as the simulators and the configuration need them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from paynotify.sandbox.simulators.spec import SandboxAccount, simulator_specs, write_secret


def default_merchants() -> dict[str, Sequence[str]]:
    """The sandbox's merchants by provider, unless others are chosen."""
    return {name: (spec.default_merchant,) for name, spec in simulator_specs().items() if spec.by_default}


def open_accounts(
    merchants: Mapping[str, Sequence[str]], directory: Path, with_url_token: Collection[str] = ()
) -> list[SandboxAccount]:
    """An account for each merchant by provider; secrets are written to files below ``directory``."""
    specs = simulator_specs()
    opened = [
        specs[provider].open_account(name, number, directory / name)
        for provider, names in merchants.items()
        for number, name in enumerate(names)
    ]
    for one in opened:
        if one.name in with_url_token:
            one.shop["url_token"] = secrets.token_urlsafe(24)
            token = write_secret(directory / one.name, "url-token", one.shop["url_token"])
            one.merchant["url_tokens"] = [token]
    return opened


def write_simulator_settings(
    provider: str, accounts: Sequence[SandboxAccount], settings: Mapping[str, Any], directory: Path
) -> Path:
    """The file from which a provider's simulator reads its settings and the secrets of its accounts."""
    file = directory / f"simulator-{provider}.json"
    file.touch(mode=0o600)
    shops = [account.shop for account in accounts if account.provider == provider]
    file.write_text(json.dumps({**settings, "shops": shops}), "utf-8")
    return file
