"""From receipt to result at a constant rate, computed from the topics alone.

A notification's ``ce_time`` is when the ingress received it; the result's time is its record's timestamp; the trace
id joins them. OmniKassa's results carry the trace of the first ping their pull served.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from paynotify.sandbox.observer import Observer, quantile
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas.errors import ClusterError
from paynotify.schemas.providers import provider_names
from paynotify.schemas.topics import notifications
from tests.bench.backlog import order
from tests.bench.ingress import UNLIMITED
from tests.bench.pipeline import PROVIDER_LATENCY_SECONDS
from tests.bench.roles import Peaks, roles_of

#: Whose payment is next, again and again: 48 + 48 notifications a second, and 24 orders that cause some five pings.
_TURNS: Final = ("trustpayments", "nevogate", "trustpayments", "nevogate", "omnikassa")
_PAYMENTS_PER_SECOND: Final = 120.0
_SECONDS: Final = 20.0
_LEAST_SECONDS: Final = 1.0
_WARM_UP_SECONDS: Final = 2.0
_RESULT_SECONDS: Final = 60.0
#: One for each core of the machine the figures are meant for, as in the pipeline's first run.
_WORKERS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds from receipt to result."""

    results: int
    p50_milliseconds: float
    p95_milliseconds: float
    p99_milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """By provider and for all of them, at the rate that was reached."""

    workers: int
    provider_latency_milliseconds: float
    notifications_per_second: float
    by_provider: dict[str, Latency]
    all: Latency


def measure(scale: float, peaks: Peaks) -> Latencies:
    """Pay at a constant rate, however slow the results are."""
    plan = Plan(
        workers=((),) * _WORKERS,
        consumers=False,
        simulators={"time_scale": 1.0, "latency_seconds": PROVIDER_LATENCY_SECONDS},
        simulator={
            "trustpayments": {"visible_within_seconds": 0.0},
            "nevogate": {"signals_within_seconds": 0.0},
            "omnikassa": {"ping_delay_seconds": 0.0, "ping_every_seconds": 0.25},
        },
        configuration=UNLIMITED,
    )
    with Sandbox(plan) as sandbox:
        witness = Observer(sandbox.bootstrap, sandbox.prefix)
        try:
            witness.start()
            _pay(sandbox, witness, _WARM_UP_SECONDS)
            warm = {provider: len(values) for provider, values in witness.measured().items()}
            if sum(warm.values()) == 0:
                raise ClusterError("No result of the warm-up can be joined with its notification.")
            witness.latencies.clear()
            received = _received(witness)
            seconds = _pay(sandbox, witness, max(_LEAST_SECONDS, _SECONDS * scale))
            measured = witness.measured()
        finally:
            witness.close()
        peaks.note("latency", roles_of(sandbox))
    return Latencies(
        workers=_WORKERS,
        provider_latency_milliseconds=PROVIDER_LATENCY_SECONDS * 1000,
        notifications_per_second=(_received(witness) - received) / seconds,
        by_provider={provider: _latency(values) for provider, values in sorted(measured.items())},
        all=_latency(sorted(value for values in measured.values() for value in values)),
    )


def _pay(sandbox: Sandbox, witness: Observer, seconds: float) -> float:
    """Pay, then wait for all results; how long the paying took.

    Raises:
        ClusterError: results are missing.
    """
    payments = round(_PAYMENTS_PER_SECOND * seconds)
    first = len(witness.payments)
    begun = time.monotonic()
    for number in range(payments):
        time.sleep(max(0.0, begun + number / _PAYMENTS_PER_SECOND - time.monotonic()))
        provider = _TURNS[number % len(_TURNS)]
        sandbox.providers[provider].pay(**order(provider, first + number))
    took = time.monotonic() - begun
    deadline = time.monotonic() + _RESULT_SECONDS
    while witness.read() or len(witness.payments) < first + payments:
        if time.monotonic() > deadline:
            raise ClusterError(f"{first + payments - len(witness.payments)} payments have no result.")
    return took


def _received(witness: Observer) -> int:
    return sum(witness.counts[notifications(provider)] for provider in provider_names())


def _latency(values: list[float]) -> Latency:
    return Latency(
        results=len(values),
        p50_milliseconds=quantile(values, 0.50) * 1000,
        p95_milliseconds=quantile(values, 0.95) * 1000,
        p99_milliseconds=quantile(values, 0.99) * 1000,
    )
