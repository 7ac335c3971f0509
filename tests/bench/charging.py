"""Charges by topic: from the shop's request to the captured money, and beside it a shop that calls the gateway by hand.

Each charge is three calls of the gateway (InitRP, StartRP, Close). The peer keeps nothing: a crash or a timeout leaves
it not knowing what was charged.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from paynotify.sandbox.billing.biller import bill
from paynotify.sandbox.billing.bills import Bill, Month
from paynotify.sandbox.processes import Child
from paynotify.sandbox.simulators.nevogate.transaction import moved_by_order
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas.errors import ClusterError
from paynotify.schemas.money import Money, to_major
from tests.bench import roles
from tests.bench.roles import Peaks, roles_of

PROVIDER_LATENCY_SECONDS: Final = 0.02
CHARGES: Final = 3_000
_LEAST: Final = 100
_MERCHANT: Final = "shop-hu"
_PRICE: Final = Money(1990, "EUR")
_WAIT_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """Charges carried out. ``cpu_microseconds`` are for each charge, by role."""

    name: str
    charges: int
    seconds: float
    cpu_microseconds: dict[str, float]

    @property
    def charges_per_second(self) -> float:
        return self.charges / self.seconds

    @property
    def process_microseconds(self) -> float:
        """CPU of the worker, or of the peer."""
        return self.cpu_microseconds["worker" if self.is_product else "peer"]

    @property
    def total_microseconds(self) -> float | None:
        """With Kafka's CPU, of which the peer uses none; None on a cluster whose processes can't be seen."""
        if not self.is_product:
            return self.process_microseconds
        kafka = self.cpu_microseconds.get("kafka")
        return None if kafka is None else self.process_microseconds + kafka

    @property
    def is_product(self) -> bool:
        return "peer" not in self.cpu_microseconds


@dataclass(frozen=True, slots=True)
class Charges:
    """The product with one worker, and the peer."""

    paynotify: Charged
    peer: Charged


def measure(scale: float, peaks: Peaks) -> Charges:
    """Both on the same gateway, one after the other."""
    charges = max(_LEAST, round(CHARGES * scale))
    plan = Plan(
        merchants={"nevogate": (_MERCHANT,)},
        charges={_MERCHANT: {"call_timeout_seconds": 30}},
        consumers=False,
        simulators={"time_scale": 1.0, "latency_seconds": PROVIDER_LATENCY_SECONDS},
    )
    with Sandbox(plan) as sandbox:
        return Charges(_product(sandbox, charges, peaks), _peer(sandbox, charges, peaks))


def _references(sandbox: Sandbox, charges: int, name: str) -> list[str]:
    order = {
        "merchant": _MERCHANT,
        "amount": _PRICE.value,
        "currency": _PRICE.currency,
        "registration": "active",
        "notify": False,
        "user_id": "customer",
    }
    return sandbox.providers["nevogate"].pay_all(
        [{**order, "order_id": f"{name}-{number}"} for number in range(charges)]
    )


def _product(sandbox: Sandbox, charges: int, peaks: Peaks) -> Charged:
    bills = [
        Bill(customer=f"c{number}", reference_payment_id=reference, amount=_PRICE, order_id=f"charge-{number}")
        for number, reference in enumerate(_references(sandbox, charges, "ours"))
    ]
    month = Month(_MERCHANT, "2026-11", bills)
    running = roles_of(sandbox, provider="nevogate")
    before, began = roles.cpu_seconds(running), time.monotonic()
    bill(sandbox.configuration, month, _WAIT_SECONDS)
    charged = _charged("paynotify, 1 worker", charges, began, before, roles.cpu_seconds(running))
    peaks.note("charges, 1 worker", running)
    _check(sandbox, {one.order_id for one in bills})
    return charged


def _peer(sandbox: Sandbox, charges: int, peaks: Peaks) -> Charged:
    (account,) = sandbox.accounts
    work = Path(sandbox.directory / "peer-charges.json")
    work.write_bytes(
        orjson.dumps(
            {
                "url": sandbox.providers["nevogate"].address,
                "store": account.shop["store_name"],
                "key": account.shop["api_key"],
                "callback": sandbox.notification_url("nevogate", _MERCHANT),
                "amount": to_major(_PRICE),
                "currency": _PRICE.currency,
                "references": _references(sandbox, charges, "theirs"),
            }
        )
    )
    command = [sys.executable, "-m", "tests.bench.peers.charges", "--work", str(work)]
    child = Child("peer-charges", command, sandbox.logs / "peer-charges.log")
    try:
        child.wait_for_event("worker_started")
        running = roles_of(sandbox, provider="nevogate", peer=child)
        before, began = roles.cpu_seconds(running), time.monotonic()
        child.wait_for_event("charged", within_seconds=_WAIT_SECONDS)
        charged = _charged("peer", charges, began, before, roles.cpu_seconds(running))
        peaks.note("charges, peer", running)
    finally:
        child.stop()
    _check(sandbox, {f"peer-{number}" for number in range(charges)})
    return charged


def _charged(name: str, charges: int, began: float, before: dict[str, float], after: dict[str, float]) -> Charged:
    seconds = time.monotonic() - began
    cpu = {role: (after[role] - used) / charges * 1e6 for role, used in before.items() if role != "ingest"}
    return Charged(name=name, charges=charges, seconds=seconds, cpu_microseconds=cpu)


def _check(sandbox: Sandbox, orders: set[str]) -> None:
    """
    Raises:
        ClusterError: money did not move exactly once for each order.
    """
    moved = moved_by_order(sandbox.providers["nevogate"].book())
    wrong = [name for name in orders if moved.get(name, {}).get("moved") != 1]
    if wrong:
        raise ClusterError(f"money did not move once for {len(wrong)} of {len(orders)} orders: {json.dumps(wrong[:5])}")
