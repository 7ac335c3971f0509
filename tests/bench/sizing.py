"""What a rate needs, on paper, from the figures of a run: workers, partitions, ingresses, brokers, provider calls."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

from tests.bench.figures import Figures
from tests.bench.peers.pipelines import PROVIDER
from tests.bench.pipeline import PROVIDER_LATENCY_SECONDS
from tests.bench.text import NOTHING, Passage, number

RATES: Final = (1_000, 100_000)

#: Of a core's time: the rest is for bursts, for catching up, and for what a quiet machine does not show.
_PLANNED_SHARE: Final = 0.5
_REPLICAS: Final = 3
_BROKER_CORES: Final = 8
_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Of one rate. None where the run could not tell."""

    notifications_per_second: int
    workers: int
    partitions: int
    ingresses: int
    broker_cores: int | None
    brokers: int | None
    stored_bytes_per_second: float | None
    calls_per_second: float
    calls_at_once: float


def needs(figures: Figures, rate: int) -> Needs | None:
    """From the runs of two workers; None without the sections that it takes."""
    if figures.pipeline is None or figures.ingress is None:
        return None
    drained = figures.pipeline.run(PROVIDER, 2)
    workers = _cores(rate, drained.process_microseconds)
    kafka = drained.cpu_microseconds.get("kafka")
    ingress, _ = figures.ingress.means()
    broker_cores = None if kafka is None else _REPLICAS * _cores(rate, kafka + (ingress.kafka_microseconds or 0.0))
    stored = next((one.stored_bytes for one in figures.scaling or () if one.stored_bytes is not None), None)
    calls = rate / drained.payments_per_call
    return Needs(
        notifications_per_second=rate,
        workers=workers,
        partitions=_power_of_two(2 * workers),
        ingresses=_cores(rate, ingress.cpu_microseconds),
        broker_cores=broker_cores,
        brokers=None if broker_cores is None else max(_REPLICAS, ceil(broker_cores / _BROKER_CORES)),
        stored_bytes_per_second=None if stored is None else stored * rate,
        calls_per_second=calls,
        calls_at_once=calls * PROVIDER_LATENCY_SECONDS,
    )


def sizing(figures: Figures) -> Passage | None:
    """The table of all rates."""
    found = [one for rate in RATES if (one := needs(figures, rate)) is not None]
    if not found:
        return None
    rows = [
        ("workers, one core each", *(number(one.workers) for one in found)),
        ("partitions of each topic", *(number(one.partitions) for one in found)),
        ("ingresses, one core each", *(number(one.ingresses) for one in found)),
        (f"cores of all brokers, {_REPLICAS} replicas", *(number(one.broker_cores) for one in found)),
        (f"brokers of {_BROKER_CORES} cores", *(number(one.brokers) for one in found)),
        ("written to each replica, MB/s", *(_scaled(one.stored_bytes_per_second, 1e6) for one in found)),
        (
            "kept for each day of retention and replica, TB",
            *(_scaled(one.stored_bytes_per_second, 1e12 / _DAY_SECONDS) for one in found),
        ),
        ("calls of the provider/s", *(number(one.calls_per_second) for one in found)),
        ("of them at once", *(number(one.calls_at_once, 1) for one in found)),
    ]
    return Passage(
        "Sizing",
        "on paper, from the figures of two workers on this page, for Trust Payments",
        ("", *(f"{one.notifications_per_second:,}/s" for one in found)),
        rows,
        (
            f"{_PLANNED_SHARE:.0%} of each core is planned for. Each worker has two partitions or more, a power of two",
            "in all, so that workers can be added. Each replica is taken to cost as much CPU as the only one that was",
            "measured. The provider has to allow the calls: a merchant's quota bounds its rate, whatever the number of",
            "workers.",
        ),
    )


def _cores(rate: float, microseconds: float) -> int:
    return max(1, ceil(rate * microseconds / 1e6 / _PLANNED_SHARE))


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()


def _scaled(value: float | None, unit: float) -> str:
    return NOTHING if value is None else number(value / unit, 2 if value / unit < 10 else 0)
