"""The simulator as the sandbox runs it, and its merchants' accounts with generated secrets."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from paynotify.sandbox.simulators.spec import SandboxAccount, SimulatorSpec, write_secret
from paynotify.sandbox.simulators.trustpayments.settings import TrustPaymentsSettings
from paynotify.sandbox.simulators.trustpayments.simulator import TrustPaymentsSimulator

_EXTRA_FIELDS: Final = [
    "baseamount",
    "currencyiso3a",
    "requesttypedescription",
    "parenttransactionreference",
    "accounttypedescription",
]
#: System rules tell of payments only; the shop added a rule for refunds and chargebacks, and none for settlement.
_RULES: Final = ["STR-10", "UDR-1"]


def _open_account(name: str, number: int, directory: Path) -> SandboxAccount:
    notification, password = secrets.token_urlsafe(18), secrets.token_urlsafe(18)
    site, user = f"test_sandbox{number}", f"ws{number}@shop.example"
    return SandboxAccount(
        provider=TrustPaymentsSimulator.provider,
        name=name,
        shop={
            "merchant": name,
            "site_reference": site,
            "notification_password": notification,
            "username": user,
            "password": password,
            "extra_fields": _EXTRA_FIELDS,
            "rules": _RULES,
        },
        merchant={
            "site_reference": site,
            "notification_passwords": [write_secret(directory, "notification", notification)],
            "username": user,
            "password": write_secret(directory, "password", password),
            "extra_fields": _EXTRA_FIELDS,
        },
    )


def _base_urls(address: str) -> dict[str, str]:
    return {"webservices_url": address + "/json/"}


SIMULATOR: Final = SimulatorSpec(
    simulator=TrustPaymentsSimulator,
    settings=TrustPaymentsSettings,
    default_merchant="shop-uk",
    open_account=_open_account,
    base_urls=_base_urls,
)
