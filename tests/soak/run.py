"""One soak: the system as processes on a real Kafka, at half of the peak it has just shown, for hours."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.simulators.spec import simulator_specs
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from paynotify.schemas.errors import ClusterError
from tests.bench.machine import load_average
from tests.bench.roles import broker_pid
from tests.bench.topics import Topics
from tests.soak.count import Accountant, Count
from tests.soak.load import MERCHANTS, STATES_PER_PAYMENT, Load, burst
from tests.soak.samples import Growth, Sample, Sampler, growths

_WORKERS: Final = 2
_PEAK_PAYMENTS: Final = 8_000
#: The last ones wait for retries and for the providers' pace; a peak is not what they are about.
_PEAK_SHARE: Final = 0.9
_PEAK_WITHIN_SECONDS: Final = 300.0
_EVERY_SECONDS: Final = 5.0
_CATCH_UP_SECONDS: Final = 300.0
_WARM_UP_SHARE: Final = 0.2
_LOOK_SECONDS: Final = 1.0

_SOONER: Final[dict[str, dict[str, float]]] = {
    "omnikassa": {"ping_delay_seconds": 1.0, "ping_every_seconds": 5.0},
    "trustpayments": {"visible_within_seconds": 1.0},
}

_NO_LIMITS: Final = {"rate_per_second": 1e9, "burst": 10**9}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be run. Without a ``rate`` (payments a second) the peak is measured and a half of it taken."""

    hours: float
    seed: int
    directory: Path
    share_of_peak: float = 0.5
    rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was seen. ``peak`` is in results a second."""

    peak: float | None
    rate: float
    payments: int
    behind_seconds: float
    loads: tuple[float, ...]
    samples: list[Sample]
    growths: list[Growth]
    count: Count
    ended: list[str]

    @property
    def right(self) -> bool:
        return self.count.right and not self.ended


def plan(order: Order) -> Plan:
    """Two workers; the providers' own times, patience above all, but for what would only be waited for. One in ten
    notifications comes twice, one late."""
    return Plan(
        workers=((),) * _WORKERS,
        merchants=MERCHANTS,
        with_url_token=("shop-hu",),
        consumers=False,
        simulators={
            "time_scale": 1.0,
            "latency_seconds": 0.01,
            "seed": order.seed,
            "copied_share": 0.1,
            "late_share": 0.1,
        },
        simulator={
            name: {"delivery_log": str(order.directory / f"deliveries-{name}.jsonl"), **_SOONER.get(name, {})}
            for name in simulator_specs()
        },
        configuration={
            "ingest": _NO_LIMITS,
            # the bank takes six a second: a busy machine would come closer than that
            "worker": {"calls_per_second": {"omnikassa": 5.0}, "unsigned_budget": {"per_second": 1e9, "burst": 10**9}},
        },
        logs=order.directory / "logs",
    )


def carry_out(order: Order, say: Callable[[str], Any]) -> Outcome:
    """Measure the peak, pay for hours, wait for the rest, count.

    Raises:
        PaynotifyError: a part could not be started, or the peak can't be measured.
    """
    order.directory.mkdir(parents=True, exist_ok=True)
    for name in simulator_specs():
        (order.directory / f"deliveries-{name}.jsonl").unlink(missing_ok=True)
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(plan(order)))
        loads = [load_average()]
        peak = None if order.rate else _peak(sandbox, order)
        rate = order.rate or (peak or 0.0) * order.share_of_peak / STATES_PER_PAYMENT
        measured = f"peak {peak:.0f} results/s (load {load_average():.1f}); " if peak else ""
        say(f"{measured}{rate:.0f} payments/s for {order.hours:g} h")
        sampler = _sampler(sandbox)
        load = Load(sandbox.providers, sandbox.bootstrap, sandbox.prefix, seed=order.seed, rate=rate)
        load.start()
        sampler.start()
        behind, ended = _watch(sandbox, load, order.hours * 3600, loads, say)
        sampler.stop()
        load.finish()
        say(f"{load.made} payments made; counting")
        accountant = Accountant(sandbox.bootstrap, sandbox.prefix)
        stack.callback(accountant.close)
        logs = [order.directory / f"deliveries-{name}.jsonl" for name in sandbox.providers]
        addresses = {name: control.address for name, control in sandbox.providers.items()}
        count = accountant.judge(addresses, logs, _CATCH_UP_SECONDS)
    return Outcome(
        peak=peak,
        rate=rate,
        payments=load.made,
        behind_seconds=behind,
        loads=tuple(loads),
        samples=sampler.samples,
        growths=growths(sampler.samples, order.hours * 3600 * _WARM_UP_SHARE),
        count=count,
        ended=ended,
    )


def _peak(sandbox: Sandbox, order: Order) -> float:
    """Results a second while many payments are made at once, from the first payment on, all on this machine."""
    with Topics(sandbox) as ends:
        began = time.monotonic()
        made = burst(sandbox.providers, sandbox.bootstrap, sandbox.prefix, seed=order.seed, payments=_PEAK_PAYMENTS)
        wanted = made * _PEAK_SHARE
        if not wait_for(lambda: ends.count(topics.STATUS) >= wanted, within_seconds=_PEAK_WITHIN_SECONDS, every=0.1):
            raise ClusterError(f"{made} payments had no results within {_PEAK_WITHIN_SECONDS:g} s.")
        peak = wanted / (time.monotonic() - began)
        wait_for(lambda: ends.count(topics.STATUS) >= made, within_seconds=_PEAK_WITHIN_SECONDS, every=0.5)
        return peak


def _start_again(sandbox: Sandbox) -> list[str]:
    """Start what has ended by itself, as whoever runs the processes would; what it last said."""
    ended = [child for child in sandbox.children() if not child.running]
    for child in ended:
        kind, _, number = child.name.partition("-")
        if kind == "worker":
            sandbox.start_worker(int(number))
        elif kind == "ingest":
            sandbox.start_ingest()
        else:
            raise ClusterError(f"{child.name} has ended: {child.end()}")
    return [f"{child.name}: {child.end()}" for child in ended]


def _sampler(sandbox: Sandbox) -> Sampler:
    broker = broker_pid(sandbox)
    if broker is None or sandbox.broker is None:
        raise ClusterError("A soak looks at the broker's disk: unset KAFKA, so that it starts its own.")

    def processes() -> dict[str, int]:
        return {child.name: child.pid for child in sandbox.children()} | {"kafka": broker}

    directories = {f"worker-{number}": sandbox.state_directory(number) for number in range(_WORKERS)}
    return Sampler(processes, directories, sandbox.broker.log_path.parent / "data", every_seconds=_EVERY_SECONDS)


def _watch(
    sandbox: Sandbox, load: Load, seconds: float, loads: list[float], say: Callable[[str], Any]
) -> tuple[float, list[str]]:
    """Let it run. The furthest that the load was behind its rate, and which processes ended though nobody asked."""
    until, next_word, behind = time.monotonic() + seconds, time.monotonic() + 60.0, 0.0
    ended: list[str] = []
    while time.monotonic() < until:
        time.sleep(min(_LOOK_SECONDS, max(0.0, until - time.monotonic())))
        load.check()
        behind = max(behind, load.behind_seconds)
        ended += _start_again(sandbox)
        if time.monotonic() >= next_word:
            next_word += 60.0
            loads.append(load_average())
            say(f"{load.made} payments, {until - time.monotonic():.0f} s to go, load {loads[-1]:.1f}")
    return behind, ended
