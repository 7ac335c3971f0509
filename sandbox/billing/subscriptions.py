"""Bills a month of subscriptions in the sandbox, in parallel to everything else that happens there."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

from paynotify.sandbox.billing.biller import bill
from paynotify.sandbox.billing.bills import Bill, Month
from paynotify.sandbox.billing.subscribers import register
from paynotify.sandbox.simulators.nevogate.transaction import moved_by_order
from paynotify.sandbox.system import Sandbox
from paynotify.schemas.errors import PaynotifyError
from paynotify.schemas.money import from_major

MERCHANT: Final = "shop-hu"
_MONTH: Final = "2026-11"


class SubscriptionDay:
    """Customers with registered payment methods, and the biller that charges each of them once."""

    def __init__(self, sandbox: Sandbox, customers: int, *, wait_seconds: float) -> None:
        self._sandbox = sandbox
        self._customers = customers
        self._wait_seconds = wait_seconds
        self._thread = threading.Thread(target=self._bill, name="biller", daemon=True)
        self._error: PaynotifyError | None = None
        self.month = Month(MERCHANT, _MONTH, [])

    def register(self, *, notify: bool = True) -> int:
        """Let each customer make an initial payment that registers a payment method; returns the number of payments."""
        control = self._sandbox.providers["nevogate"]
        lines = register(control, MERCHANT, self._customers, month=_MONTH, notify=notify)
        bills = [
            Bill(
                customer=line["customer"],
                reference_payment_id=line["reference_payment_id"],
                amount=from_major(line["amount"], line["currency"]),
                order_id=line["order_id"],
            )
            for line in lines
        ]
        self.month = Month(MERCHANT, _MONTH, bills)
        return len(bills)

    def start(self) -> None:
        """Start the biller in its thread."""
        self._thread.start()

    def finish(self) -> None:
        """Wait for the biller.

        Raises:
            PaynotifyError: the biller failed.
        """
        if self._thread.ident is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _bill(self) -> None:
        try:
            bill(self._sandbox.configuration, self.month, self._wait_seconds)
        except PaynotifyError as error:
            self._error = error

    def differences(self, book: Mapping[str, Any]) -> list[str]:
        """The bills whose outcome differs from the money that moved at the gateway, by its ledger ``book``."""
        moved = moved_by_order(book)
        found = []
        for one in self.month.bills:
            verdict, why = self.month.verdict(one)
            money = moved.get(one.order_id, {})
            taken, times = money.get("captured", 0), money.get("moved", 0)
            if verdict == "paid" and (taken, times) != (one.amount.value, 1):
                found.append(f"{one.order_id}: published as paid, money moved {times} times, {taken} captured")
            elif verdict == "unpaid" and taken:
                found.append(f"{one.order_id}: published as unpaid ({why}), {taken} captured")
            # a worker killed between its intention and its call leaves a charge that may or may not reach the gateway:
            # `uncertain` is then the correct outcome, and a person decides
            elif verdict == "open" or (verdict == "uncertain" and times):
                found.append(f"{one.order_id}: not settled ({why}), {taken} captured")
        return found
