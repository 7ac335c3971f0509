"""Benthos over a sandbox's stored notifications, as a process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from paynotify.processors.providers.account import open_account
from paynotify.processors.providers.trustpayments.contract import TrustPaymentsMerchant
from paynotify.sandbox.processes import Child
from paynotify.sandbox.system import Sandbox
from paynotify.schemas.topics import notifications
from tests.bench.peers.benthos.program import FOLDER

_PROVIDER: Final = "trustpayments"


def start(sandbox: Sandbox, program: Path, pipeline: str, results: str) -> Child:
    """Start the pipeline of that name; it writes to the topic ``results`` (its name on the cluster)."""
    command = [str(program), "-r", str(FOLDER / "steps.yaml"), "-c", str(FOLDER / f"{pipeline}.yaml")]
    environment = {**_account(sandbox), "RESULTS": results}
    return Child(f"peer-{pipeline}", command, sandbox.logs / f"peer-{pipeline}.log", environment=environment)


def _account(sandbox: Sandbox) -> Mapping[str, str]:
    configuration = sandbox.configuration
    ((name, merchant),) = configuration.merchants_of(_PROVIDER).items()
    assert isinstance(merchant, TrustPaymentsMerchant)
    account = open_account(merchant)
    return {
        "BOOTSTRAP": sandbox.bootstrap,
        "NOTIFICATIONS": sandbox.topic(notifications(_PROVIDER)),
        "MERCHANT": name,
        "SITE_REFERENCE": merchant.site_reference,
        "NOTIFICATION_PASSWORD": account.reveal(merchant.notification_passwords[0]),
        "WEBSERVICES_URL": merchant.webservices_url,
        "USERNAME": merchant.username,
        "PASSWORD": account.reveal(merchant.password),
    }
