"""What happened before somebody looks at the console: something paid, something wrong, and something put right."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from paynotify.sandbox.system import Sandbox
from paynotify.schemas import topics
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.times import rfc3339
from tests import topics_reader
from tests.console_process import Console

SHOP: Final = "shop-uk"
WHY: Final = "the notification password was mended"
OPERATOR: Final = "late-shift"


@dataclass(frozen=True, slots=True)
class Day:
    """The payments by what became of them."""

    paid: str
    waiting: str
    rejected: str
    replayed: str


class Shop:
    """The shop at the provider, whose notification password can be broken."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._gateway = sandbox.providers["trustpayments"]
        self._known = sandbox.directory / "secrets" / SHOP / "notification"

    def pay(self, order_id: str, amount: int = 1250) -> str:
        """A payment that the provider captures at once; its id."""
        return self._gateway.pay(order_id=order_id, amount=amount, settlestatus="100", visible_after_seconds=0.0)

    def break_key(self) -> None:
        """The provider has another password from now on, which our file has not."""
        self._gateway.change_shop(SHOP, notification_password=secrets.token_urlsafe(18))

    def mend_key(self, password: str) -> None:
        replace(self._known, password)


def replace(file: Path, text: str) -> None:
    """As careful scripts do it: another file takes the place of the first."""
    other = file.with_suffix(".next")
    other.write_text(text, "utf-8")
    other.replace(file)


def expect(sandbox: Sandbox, order_id: str, amount: int, *, final_by: datetime | None = None) -> None:
    """What a shop says it sold."""
    sold = {
        "merchant": SHOP,
        "order_id": order_id,
        "amount": {"value": amount, "currency": "GBP"},
        "created_at": rfc3339(),
        **({"final_by": rfc3339(final_by)} if final_by else {}),
    }
    topics_reader.send(
        sandbox.bootstrap, sandbox.topic(topics.EXPECTED), [(order_id.encode(), json.dumps(sold).encode(), {})]
    )


def reconcile(sandbox: Sandbox, payment: str) -> None:
    """Compare with a shop that thinks of another amount."""
    export = sandbox.directory / "export.csv"
    export.write_text(f"payment_id,amount,currency\n{payment},9.99,GBP\n", "utf-8")
    options = ("--from", "1h", "--export", str(export), "--config", str(sandbox.config_path))
    with suppress(ConfigurationError):  # its code is 1, since something differs
        sandbox.command("reconcile", "--merchant", SHOP, *options)


def lived(sandbox: Sandbox, console: Console) -> Day:
    """Live the day; returns when the console knows of all of it."""
    shop = Shop(sandbox)
    expect(sandbox, "ORD-4711", 1250)
    expect(sandbox, "ORD-4712", 2000)
    expect(sandbox, "ORD-4714", 990, final_by=datetime.now(UTC) - timedelta(hours=2))
    topics_reader.send(sandbox.bootstrap, sandbox.topic(topics.EXPECTED), [(b"early", b'{"merchant": "none"}', {})])
    paid, waiting = shop.pay("ORD-4711"), shop.pay("ORD-4712", 1500)
    console.until(f"/payments/{SHOP}/{paid}", "captured")
    console.until(f"/payments/{SHOP}/{waiting}", "captured")
    reconcile(sandbox, paid)
    console.until("/reconciliations?differs=yes", "the shop&#39;s export")
    return Day(paid, waiting, "", "")
