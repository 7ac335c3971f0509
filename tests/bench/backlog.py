"""Notifications that wait: paid at the simulators, sent through the ingress, stored, and nobody works on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.system import Sandbox
from paynotify.schemas.errors import ClusterError

_AT_ONCE: Final = 1000
_STORE_SECONDS: Final = 300.0

#: One payment, such that it causes one result: paid, and told once (OmniKassa's ping tells of all of them).
ORDERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "trustpayments": {"settlestatus": "100"},
    "nevogate": {"response_url": False},
    "omnikassa": {},
}


def order(provider: str, number: int) -> dict[str, Any]:
    """The payment of that number."""
    return {"order_id": f"BENCH{number}", "amount": 1000 + number, **ORDERS[provider]}


def pile_up(sandbox: Sandbox, provider: str, payments: int) -> None:
    """Make so many payments and wait until their notifications are stored.

    Raises:
        ClusterError: they were not stored in time.
    """
    control = sandbox.providers[provider]
    before = control.counters()
    first = before.get("payments", 0)
    for start in range(first, first + payments, _AT_ONCE):
        control.pay_all([order(provider, number) for number in range(start, min(start + _AT_ONCE, first + payments))])
    # OmniKassa's next ping always waits already, and one is enough
    wanted = before.get("webhooks.acknowledged", 0) + (1 if provider == "omnikassa" else payments)
    if not wait_for(
        lambda: control.counters().get("webhooks.acknowledged", 0) >= wanted, within_seconds=_STORE_SECONDS, every=0.25
    ):
        raise ClusterError(f"{payments} notifications of {provider} were not stored within {_STORE_SECONDS:g} s.")
