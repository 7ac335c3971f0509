"""The figures of a run as a flat list, by which two runs are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from tests.bench.catch_up import KILLED, RESTARTED, CatchUp
from tests.bench.charging import Charges
from tests.bench.drain import Drained
from tests.bench.figures import Figures
from tests.bench.ingress import Ingresses
from tests.bench.latency import Latencies
from tests.bench.pipeline import Pipelines
from tests.bench.scaling import Scaled
from tests.bench.settlement import Settled
from tests.bench.state import State
from tests.bench.tools import Tools
from tests.bench.tracing import Tracing
from tests.bench.verification import Verification

#: A figure's name, with its unit, and its value; None where it could not be measured.
Measure: TypeAlias = tuple[str, float | None]


def measures(figures: Figures) -> dict[str, float]:
    """Of every section that was run, in their order."""
    found: dict[str, float] = {}
    for section, of_section in _OF_SECTION.items():
        result = getattr(figures, section)
        if result is not None:
            found |= {f"{section}: {name}": value for name, value in of_section(result) if value is not None}
    return found


def _verification(result: Sequence[Verification]) -> Iterator[Measure]:
    for one in result:
        yield f"{one.provider}, CPU us", one.microseconds


def _ingress(result: Ingresses) -> Iterator[Measure]:
    ours, peer = result.means()
    yield "CPU us", ours.cpu_microseconds
    yield "CPU with Kafka us", ours.total_microseconds
    yield "CPU of peer's", ours.cpu_microseconds / peer.cpu_microseconds
    yield "requests/s", ours.requests_per_second
    yield "rate of peer's", ours.requests_per_second / peer.requests_per_second
    yield "p99 ms", ours.p99_milliseconds


def _tracing(result: Tracing) -> Iterator[Measure]:
    for setting in result.request_microseconds:
        yield f"traces {setting}: a request, CPU us", result.request_microseconds[setting]
        yield f"traces {setting}: a record of a stage, CPU us", result.record_microseconds[setting]


def _pipeline(result: Pipelines) -> Iterator[Measure]:
    for one in result.own:
        yield from _drained(f"{one.provider}, {one.workers} worker(s)", one, result.peer_of(one))


def _drained(name: str, one: Drained, peer: Drained | None) -> Iterator[Measure]:
    yield f"{name}, worker us", one.process_microseconds
    yield f"{name}, with Kafka us", one.total_microseconds
    yield f"{name}, notifications/s", one.payments_per_second
    yield f"{name}, notifications per call", one.payments_per_call
    if peer is not None:
        yield f"{name}, CPU of {peer.name}", one.process_microseconds / peer.process_microseconds
        yield f"{name}, rate of {peer.name}", one.payments_per_second / peer.payments_per_second
    if one.idle_cores is not None:
        yield f"{name}, idle % of a core", one.idle_cores * 100


def _latency(result: Latencies) -> Iterator[Measure]:
    for name, one in (*result.by_provider.items(), ("all", result.all)):
        yield f"{name}, p50 ms", one.p50_milliseconds
        yield f"{name}, p99 ms", one.p99_milliseconds


def _catch_up(result: CatchUp) -> Iterator[Measure]:
    for ended in (KILLED, RESTARTED):
        yield f"{ended}, silent s", max(one.silent_seconds for one in result.of(ended))
    ratios = [one.worked_off_ratio for one in result.rounds if one.worked_off_ratio is not None]
    yield "worked off, times the arrivals", min(ratios, default=None)


def _charges(result: Charges) -> Iterator[Measure]:
    ours, peer = result.paynotify, result.peer
    yield "worker us", ours.process_microseconds
    yield "with Kafka us", ours.total_microseconds
    yield "CPU of peer's", ours.process_microseconds / peer.process_microseconds
    yield "charges/s", ours.charges_per_second


def _settlement(result: Settled) -> Iterator[Measure]:
    yield "s", result.seconds
    yield "worker us", result.cpu_microseconds.get("worker")
    yield "Kafka us", result.cpu_microseconds.get("kafka")


def _state(result: State) -> Iterator[Measure]:
    yield "peak RSS MB", result.peak_rss_bytes / 1e6
    yield "recovered/s", result.payments_per_second


def _tools(result: Tools) -> Iterator[Measure]:
    yield "audit records/s", result.audit_records_per_second
    yield "slowest trace s", max(*result.trace_seconds, *result.order_trace_seconds)


def _scaling(result: Sequence[Scaled]) -> Iterator[Measure]:
    for one in result:
        name = f"{one.drained.workers} worker(s), {one.partitions} partition(s), {one.drained.payments:,}"
        yield from _drained(name, one.drained, None)


_OF_SECTION: Final[dict[str, Callable[[Any], Iterator[Measure]]]] = {
    "verification": _verification,
    "ingress": _ingress,
    "tracing": _tracing,
    "pipeline": _pipeline,
    "latency": _latency,
    "catch_up": _catch_up,
    "charges": _charges,
    "settlement": _settlement,
    "state": _state,
    "tools": _tools,
    "scaling": _scaling,
}
