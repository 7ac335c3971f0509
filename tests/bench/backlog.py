"""Notifications that wait: paid at the simulators, sent through the ingress, stored, and nobody works on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.system import Sandbox
from paynotify.schemas.errors import ClusterError

_PAID_AT_ONCE: Final = 1000
#: A simulator refuses payments while 200,000 notifications wait.
_STORED_AT_ONCE: Final = 100_000
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
    first = sandbox.providers[provider].counters().get("payments", 0)
    for start in range(first, first + payments, _STORED_AT_ONCE):
        _pile_up(sandbox, provider, range(start, min(start + _STORED_AT_ONCE, first + payments)))


def _pile_up(sandbox: Sandbox, provider: str, numbers: range) -> None:
    control = sandbox.providers[provider]
    before = control.counters().get("webhooks.acknowledged", 0)
    for start in numbers[::_PAID_AT_ONCE]:
        control.pay_all([order(provider, number) for number in range(start, min(start + _PAID_AT_ONCE, numbers.stop))])
    # OmniKassa's next ping always waits already, and one is enough
    wanted = before + (1 if provider == "omnikassa" else len(numbers))
    if not wait_for(
        lambda: control.counters().get("webhooks.acknowledged", 0) >= wanted, within_seconds=_STORE_SECONDS, every=0.25
    ):
        raise ClusterError(f"{len(numbers)} notifications of {provider} were not stored within {_STORE_SECONDS:g} s.")
