"""Payments that settled overnight: from the morning's first timer to the last captured event, by one worker.

The payments are authorised in resolve's state before. The gateway settles all of them in one night and tells nobody.
From the moment at which their look is due, the clock and the calls count: timers, lookups, queries, responses,
observations and events, at the pace that a merchant has by default.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import messages, topics
from paynotify.schemas.configuration.worker import SettlementSettings
from paynotify.schemas.errors import ClusterError
from paynotify.schemas.messages import FollowUp, Observation
from paynotify.schemas.money import Money
from paynotify.schemas.times import rfc3339
from tests.bench import roles
from tests.bench.roles import Peaks, roles_of
from tests.bench.topics import Topics
from tests.topics_reader import send_all, whole

PAYMENTS: Final = 100_000
PROVIDER_LATENCY_SECONDS: Final = 0.02
_PROVIDER: Final = "trustpayments"
_MERCHANT: Final = "shop-uk"
_PRICE: Final = Money(1050, "GBP")
_LEAST: Final = 200
_AT_ONCE: Final = 1000
#: How many a worker takes over a second at least, on a machine that does other work too.
_SEEDED_PER_SECOND: Final = 500
_START_SECONDS: Final = 20.0
_LEAST_START_SECONDS: Final = 5.0
_HOUR_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """One morning's work. ``cpu_microseconds`` are for each payment, by role."""

    payments: int
    calls: int
    seconds: float
    calls_per_hour: int
    partitions: int
    cpu_seconds: dict[str, float]

    @property
    def cpu_microseconds(self) -> dict[str, float]:
        return {role: used / self.payments * 1e6 for role, used in self.cpu_seconds.items()}


def measure(scale: float, peaks: Peaks) -> Settled:
    """One worker with all stages, and the product's own pace; without jitter, which would only begin later.

    Small runs gather for a shorter time too.
    """
    payments = max(_LEAST, round(PAYMENTS * scale))
    pace = SettlementSettings()
    gather_seconds = pace.gather_seconds * min(1.0, scale)
    settings = {"gather_seconds": gather_seconds, "jitter_seconds": 0, "calls_per_hour": pace.calls_per_hour}
    plan = Plan(
        merchants={_PROVIDER: (_MERCHANT,)},
        consumers=False,
        simulators={"time_scale": 1.0, "latency_seconds": PROVIDER_LATENCY_SECONDS},
        simulator={_PROVIDER: {"visible_within_seconds": 0.0}},
        configuration={"worker": {"settlement": settings}},
    )
    with Sandbox(plan) as sandbox, Topics(sandbox) as ends:
        names = _sell(sandbox, payments)
        start_seconds = max(_LEAST_START_SECONDS, _START_SECONDS * min(1.0, scale)) + payments / _SEEDED_PER_SECOND
        due = datetime.now(UTC) + timedelta(seconds=start_seconds)
        asyncio.run(send_all(sandbox.bootstrap, {sandbox.topic(topics.OBSERVATIONS): _authorised(names, due)}))
        _await(ends, payments, (due - datetime.now(UTC)).total_seconds())
        sandbox.providers[_PROVIDER].night()
        time.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))
        running = roles_of(sandbox, provider=_PROVIDER)
        calls, before, began = _calls(sandbox), roles.cpu_seconds(running), time.monotonic()
        _await(ends, 2 * payments, _HOUR_SECONDS)
        seconds, after = time.monotonic() - began, roles.cpu_seconds(running)
        peaks.note("settlement, 1 worker", running)
        settled = Settled(
            payments=payments,
            calls=_calls(sandbox) - calls,
            seconds=seconds,
            calls_per_hour=pace.calls_per_hour,
            partitions=plan.partitions,
            cpu_seconds={role: after[role] - used for role, used in before.items()},
        )
        _check(sandbox, names)
        return settled


def _sell(sandbox: Sandbox, payments: int) -> list[str]:
    """Payments of the day, of which the gateway tells nobody here."""
    control = sandbox.providers[_PROVIDER]
    orders = [
        {"merchant": _MERCHANT, "order_id": f"NIGHT{number}", "amount": _PRICE.value, "notify": False}
        for number in range(payments)
    ]
    return [
        name for start in range(0, payments, _AT_ONCE) for name in control.pay_all(orders[start : start + _AT_ONCE])
    ]


def _authorised(names: Sequence[str], due: datetime) -> Iterator[tuple[bytes, bytes, dict[str, str]]]:
    """What the first query after each sale has told."""
    observed_at = rfc3339(datetime.now(UTC))
    for number, name in enumerate(names):
        one = Observation(
            provider=_PROVIDER,
            merchant=_MERCHANT,
            payment_id=name,
            order_id=f"NIGHT{number}",
            status="authorised",
            amount=_PRICE,
            provider_status={"errorcode": "0", "settlestatus": "0"},
            source="TRANSACTIONQUERY",
            observed_at=observed_at,
            follow=FollowUp(
                reference=name, due=rfc3339(due), until=rfc3339(due + timedelta(days=8)), settles_by=rfc3339(due)
            ),
        )
        headers = {"ce_id": f"sold-{number}", "ce_type": messages.PAYMENT_OBSERVED}
        yield f"{_MERCHANT}/{name}".encode(), messages.encode(one), headers


def _await(ends: Topics, events: int, within_seconds: float) -> None:
    """
    Raises:
        ClusterError: the events are not there in time.
    """
    if not wait_for(lambda: ends.count(topics.STATUS) >= events, within_seconds=within_seconds, every=0.5):
        raise ClusterError(f"{ends.count(topics.STATUS)} of {events} events after {within_seconds:.0f} s.")


def _calls(sandbox: Sandbox) -> int:
    return sandbox.providers[_PROVIDER].counters().get("calls", 0)


def _check(sandbox: Sandbox, names: Sequence[str]) -> None:
    """
    Raises:
        ClusterError: a payment is not captured, or was looked up twice.
    """
    latest = whole(sandbox.bootstrap, sandbox.topic(topics.LATEST))
    status = {record.key: orjson.loads(record.value)["status"] for record in latest}
    lookups = whole(sandbox.bootstrap, sandbox.topic(topics.lookups(_PROVIDER)))
    asked = [name for one in lookups for name in orjson.loads(one.value)["arguments"]["references"].split()]
    captured = sum(one == "captured" for one in status.values())
    if captured != len(names) or sorted(asked) != sorted(names):
        raise ClusterError(f"{captured} of {len(names)} payments are captured, {len(asked)} were asked for.")
