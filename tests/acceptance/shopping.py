"""Customers who pay at all three providers while something else happens."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from types import TracebackType
from typing import Any, Final

from paynotify.sandbox.system import Sandbox

_EVERY_SECONDS: Final = 0.1
_numbers = itertools.count(1)

#: What is bought in one go at each provider.
_ORDERS: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "omnikassa": ({}, {"status": "CANCELLED"}),
    "trustpayments": ({"settlestatus": "100"}, {"errorcode": "70000"}),
    "nevogate": ({}, {"result": "CANCELED"}),
}


def buy(sandbox: Sandbox, provider: str, times: int = 1, **details: Any) -> list[str]:
    """Payments at the provider, some of which succeed; their ids."""
    orders = [
        {"order_id": f"ACCEPT{next(_numbers):06d}", "amount": 500 + number, **order, **details}
        for number in range(times)
        for order in _ORDERS[provider]
    ]
    return sandbox.providers[provider].pay_all(orders)


class Shopping:
    """Payments again and again until the end of the block; ``payments`` are their ids by provider."""

    def __init__(self, sandbox: Sandbox, *, every_seconds: float = _EVERY_SECONDS) -> None:
        self._sandbox = sandbox
        self._every_seconds = every_seconds
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="shopping", daemon=True)
        self.payments: dict[str, list[str]] = defaultdict(list)

    def __enter__(self) -> Shopping:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def count(self) -> int:
        return sum(map(len, self.payments.values()))

    def _run(self) -> None:
        try:
            while not self._over.wait(self._every_seconds):
                for provider in self._sandbox.providers:
                    self.payments[provider] += buy(self._sandbox, provider)
        except Exception as error:  # noqa: BLE001 - told to the test in its own thread
            self._error = error
