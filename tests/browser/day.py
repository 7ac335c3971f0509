"""What happened before somebody looks at the console: something paid, something wrong, and something put right."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.system import Sandbox
from paynotify.schemas import topics
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.times import rfc3339
from tests import topics_reader
from tests.console_process import DEADLINE_SECONDS, Console

SHOP: Final = "shop-uk"
WHY: Final = "the notification password was mended"
OPERATOR: Final = "late-shift"


@dataclass(frozen=True, slots=True)
class Day:
    """The payments by what became of them."""

    paid: str
    waiting: str
    replayed: str


class Shop:
    """The shop at the provider, whose notification password can be broken."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._gateway = sandbox.providers["trustpayments"]
        self._known = sandbox.directory / "secrets" / SHOP / "notification"
        self._theirs = ""

    def pay(self, order_id: str, amount: int = 1250) -> str:
        """A payment that the provider captures at once; its id."""
        return self._gateway.pay(order_id=order_id, amount=amount, settlestatus="100", visible_after_seconds=0.0)

    def break_key(self) -> None:
        """The provider signs with another password from now on, which our file has not."""
        self._theirs = secrets.token_urlsafe(18)
        self._gateway.change_shop(SHOP, notification_password=self._theirs)

    def mend_key(self) -> None:
        """Our file has the provider's password; a worker notices it within about a second."""
        # as careful scripts do it: another file takes the place of the first
        other = self._known.with_suffix(".next")
        other.write_text(self._theirs, "utf-8")
        other.replace(self._known)


def lived(sandbox: Sandbox, shop: Shop, console: Console) -> Day:
    """Live the day; returns when the console knows of all of it."""
    two_hours_ago = rfc3339(datetime.now(UTC) - timedelta(hours=2))
    sold = [_expected("ORD-4711", 1250), _expected("ORD-4712", 2000), _expected("ORD-4714", 990, two_hours_ago)]
    topics_reader.send(
        sandbox.bootstrap, sandbox.topic(topics.EXPECTED), [*sold, (b"early", b'{"merchant": "no"}', {})]
    )
    paid, waiting = shop.pay("ORD-4711"), shop.pay("ORD-4712", 1500)
    for payment in (paid, waiting):
        console.until(f"/payments/{SHOP}/{payment}", "captured")
    _reconcile(sandbox, paid)
    shop.break_key()
    replayed = shop.pay("ORD-4713")
    console.until("/rejected", replayed)
    shop.mend_key()
    assert wait_for(lambda: _replayed(sandbox, console, replayed), within_seconds=DEADLINE_SECONDS)
    console.until("/dead", "unreadable_expectation")
    console.until("/overdue", "ORD-4714")
    console.until("/history", WHY)
    console.until("/reconciliations?differs=yes", "the shop&#39;s export")
    return Day(paid, waiting, replayed)


def mend(shop: Shop, console: Console) -> None:
    """Mend the shop's key; returns when the worker has noticed it, as a payment tells that gets a status."""

    def is_noticed() -> bool:
        page = f"/payments/{SHOP}/{shop.pay('ORD-after')}"
        return bool(wait_for(lambda: "captured" in console.page(page)[1], within_seconds=1.0, every=0.2))

    shop.mend_key()
    assert wait_for(is_noticed, within_seconds=DEADLINE_SECONDS)


def _expected(order_id: str, amount: int, final_by: str | None = None) -> tuple[bytes, bytes, dict[str, str]]:
    """What the shop says it sold."""
    sold = {
        "merchant": SHOP,
        "order_id": order_id,
        "amount": {"value": amount, "currency": "GBP"},
        "created_at": rfc3339(),
        **({"final_by": final_by} if final_by else {}),
    }
    return order_id.encode(), json.dumps(sold).encode(), {}


def _reconcile(sandbox: Sandbox, payment: str) -> None:
    """Compare with a shop that thinks of another amount."""
    export = sandbox.directory / "export.csv"
    export.write_text(f"payment_id,amount,currency\n{payment},9.99,GBP\n", "utf-8")
    options = ("--from", "1h", "--export", str(export), "--config", str(sandbox.config_path))
    with suppress(ConfigurationError):  # its code is 1, since something differs
        sandbox.command("reconcile", "--merchant", SHOP, *options)


def _replayed(sandbox: Sandbox, console: Console, payment: str) -> bool:
    """Whether the payment was published after a replay; what is rejected anew is replayed anew."""
    choice = ("--reason", "bad_signature", "--merchant", SHOP, "--by", OPERATOR, "--why", WHY)
    sandbox.command("replay", "rejected", *choice, "--yes", "--config", str(sandbox.config_path))
    page = f"/payments/{SHOP}/{payment}"
    return bool(wait_for(lambda: "captured" in console.page(page)[1], within_seconds=2.0, every=0.2))
