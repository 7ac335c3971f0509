"""A client of one running simulator's control API, for the programs that drive the sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from paynotify.sandbox.simulators.faults import FaultKind
from paynotify.schemas.errors import ProviderUnavailableError


class Control:
    """One simulator at ``address``. Every method raises `ProviderUnavailableError` if it has ended or refuses."""

    def __init__(self, provider: str, address: str) -> None:
        self.provider = provider
        self.address = address
        self._client = httpx.Client(base_url=address, timeout=30.0)

    def pay(self, **order: Any) -> str:
        """Make one payment; returns its id at the provider."""
        return str(self._ask("POST", "payments", order)["payment_id"])

    def pay_all(self, orders: Sequence[dict[str, Any]]) -> list[str]:
        """Make many payments at once; returns their ids in the same order."""
        return [str(one["payment_id"]) for one in self._ask("POST", "payments", list(orders))]

    def change(self, payment_id: str, **change: Any) -> dict[str, Any]:
        """Change a payment as the provider or the merchant's portal would."""
        changed: dict[str, Any] = self._ask("POST", f"payments/{payment_id}", change)
        return changed

    def night(self, days: int = 1) -> dict[str, Any]:
        """Let nights pass: the provider settles what is due, silently; returns what it says of it."""
        passed: dict[str, Any] = self._ask("POST", "night", {"days": days})
        return passed

    def book(self) -> dict[str, Any]:
        """The ledger: every payment's true state, counters, and breaches of the provider's rules."""
        book: dict[str, Any] = self._ask("GET", "book")
        return book

    def counters(self) -> dict[str, int]:
        counters: dict[str, int] = self._ask("GET", "counters")
        return counters

    def sent(self) -> list[dict[str, str]]:
        """The last notifications, as they were sent."""
        sent: list[dict[str, str]] = self._ask("GET", "sent")
        return sent

    def notify(self, *, target: str | None = None, paused: bool | None = None) -> None:
        """Set where notifications are sent, and whether they are paused."""
        self._ask("POST", "notifications", {"target": target, "paused": paused})

    def change_shop(self, merchant: str, **changes: Any) -> None:
        """Change a shop's account at the provider, such as its secrets."""
        self._ask("POST", f"shops/{merchant}", changes)

    def fault(self, kind: FaultKind, **details: Any) -> None:
        """Switch a fault on: `sandbox.simulators.faults.Fault` lists the details."""
        self._ask("POST", "faults", {"kind": kind, **details})

    def clear_faults(self) -> None:
        self._ask("DELETE", "faults")

    def close(self) -> None:
        self._client.close()

    def _ask(self, method: str, path: str, data: Any = None) -> Any:
        try:
            answer = self._client.request(method, f"/control/{path}", json=data)
        except httpx.HTTPError as error:
            raise ProviderUnavailableError(
                f"the simulator of {self.provider} is unreachable ({type(error).__name__})"
            ) from None
        if answer.status_code != 200:
            raise ProviderUnavailableError(
                f"the simulator of {self.provider} refused {method} {path}: {answer.text[:300]}"
            )
        return answer.json()
