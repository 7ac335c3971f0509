"""What is to be reached, and whether a run has reached it. A table, no test: a machine may be busy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tests.bench.catch_up import KILLED, RESTARTED, CatchUp
from tests.bench.charging import Charges
from tests.bench.figures import Figures
from tests.bench.ingress import Ingresses
from tests.bench.latency import Latencies
from tests.bench.peers.pipelines import PROVIDER
from tests.bench.pipeline import Pipelines
from tests.bench.scaling import Scaled
from tests.bench.settlement import PAYMENTS as PAYMENTS_SETTLED
from tests.bench.settlement import Settled
from tests.bench.state import PAYMENTS, State
from tests.bench.text import Passage, number
from tests.bench.tools import PAYMENTS as PAYMENTS_OF_TOOLS
from tests.bench.tools import Tools
from tests.bench.verification import Verification

#: A run of smaller amounts measures starts and first batches more than the work.
_TELLING_SCALE: Final = 0.25

_VERIFICATION_MICROSECONDS: Final = 30
_INGRESS_MICROSECONDS: Final = 55
_INGRESS_RATE_OF_PEER: Final = 0.7
_WORKER_OF_BENTHOS: Final = 1.4
_TOTAL_OF_BENTHOS: Final = 1.5
_RATE_OF_BENTHOS: Final = 1.5
_PROVIDER_MICROSECONDS: Final = {"nevogate": 700, "omnikassa": 350}
_CHARGE_MICROSECONDS: Final = 3_000
_SILENT_SECONDS: Final = {KILLED: 12.0, RESTARTED: 3.0}
_WORKED_OFF_OF_ARRIVALS: Final = 2.0
_NOTIFICATIONS_PER_CALL: Final = 20
_LOAD_PER_SECOND: Final = 90
_ABOVE_PROVIDER_MILLISECONDS: Final = 60
_STATE_BYTES: Final = 250_000_000
_RECOVERED_PER_SECOND: Final = 100_000
_AUDITED_PER_SECOND: Final = 50_000
_TRACE_SECONDS: Final = 5.0
_DEAREST_OF_CHEAPEST: Final = 1.1
_SETTLEMENT_CALLS: Final = 1_100
_SETTLEMENT_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Target:
    """One line of the table. ``reached`` is none where the run can't tell."""

    wanted: str
    measured: str
    reached: bool | None


def targets(figures: Figures) -> list[Target]:
    """Of every section that was run."""
    found: list[Target] = []
    for name, of_section in _OF_SECTION.items():
        result = getattr(figures, name)
        if result is None:
            continue
        tells = figures.measured[name].scale >= _TELLING_SCALE
        found += (one if tells else replace(one, reached=None) for one in of_section(result))
    return found


def table(reached: Sequence[Target]) -> Passage:
    """As a table."""
    words = {True: "yes", False: "NO", None: "can't tell"}
    rows = [(one.wanted, one.measured, words[one.reached]) for one in reached]
    return Passage("Targets", "", ("", "measured", "reached"), rows)


def _at_most(wanted: str, measured: float | None, limit: float, digits: int, unit: str) -> Target:
    """Nothing measured tells nothing."""
    return Target(
        f"{wanted}: at most {limit:,g}{unit}",
        _text(measured, digits, unit),
        None if measured is None else measured <= limit,
    )


def _at_least(wanted: str, measured: float | None, limit: float, digits: int, unit: str) -> Target:
    return Target(
        f"{wanted}: at least {limit:,g}{unit}",
        _text(measured, digits, unit),
        None if measured is None else measured >= limit,
    )


def _text(measured: float | None, digits: int, unit: str) -> str:
    """Of a ratio the number alone says enough."""
    return number(measured, digits) + ("" if measured is None or unit.startswith(" of ") else unit)


def _verification(result: Sequence[Verification]) -> Iterator[Target]:
    """The dearer provider counts."""
    worst = max(result, key=lambda one: one.microseconds)
    yield _at_most(
        f"CPU to judge a signed notification ({worst.provider})",
        worst.microseconds,
        _VERIFICATION_MICROSECONDS,
        1,
        " us",
    )


def _ingress(result: Ingresses) -> Iterator[Target]:
    """The mean over the rounds counts."""
    ours, peer = result.means()
    yield _at_most("ingress: CPU of a request", ours.cpu_microseconds, _INGRESS_MICROSECONDS, 0, " us")
    rate = ours.requests_per_second / peer.requests_per_second
    yield _at_least("ingress: rate", rate, _INGRESS_RATE_OF_PEER, 2, " of the peer's")
    p99 = ours.p99_milliseconds / peer.p99_milliseconds
    yield _at_most("ingress: p99 at 64 connections", p99, 1.0, 2, " of the peer's")


def _pipeline(result: Pipelines) -> Iterator[Target]:
    """Two workers beside Benthos with one call for each notification."""
    ours, benthos = result.run(PROVIDER, 2), result.benthos
    worker = total = rate = None
    if benthos is not None:
        worker = ours.process_microseconds / benthos.process_microseconds
        rate = ours.payments_per_second / benthos.payments_per_second
        if ours.total_microseconds is not None and benthos.total_microseconds is not None:
            total = ours.total_microseconds / benthos.total_microseconds
    what, unit = "Trust Payments, 2 workers", " of Benthos' with one call each"
    yield _at_most(f"{what}: worker CPU", worker, _WORKER_OF_BENTHOS, 2, unit)
    yield _at_most(f"{what}: CPU with Kafka", total, _TOTAL_OF_BENTHOS, 2, unit)
    yield _at_least(f"{what}: rate", rate, _RATE_OF_BENTHOS, 2, unit)
    yield _at_least(f"{what}: notifications per call", ours.payments_per_call, _NOTIFICATIONS_PER_CALL, 0, "")
    for provider, limit in _PROVIDER_MICROSECONDS.items():
        yield _at_most(f"{provider}: worker CPU", result.run(provider, 1).process_microseconds, limit, 0, " us")


def _latency(result: Latencies) -> Iterator[Target]:
    """The slowest provider counts. A machine that can't make the load tells nothing of it."""
    limit = result.provider_latency_milliseconds + _ABOVE_PROVIDER_MILLISECONDS
    name, worst = max(result.by_provider.items(), key=lambda one: one[1].p99_milliseconds)
    what = f"p99 from receipt to result at 100/s ({name}), the provider's time in it"
    loaded = result.notifications_per_second >= _LOAD_PER_SECOND
    yield _at_most(what, worst.p99_milliseconds if loaded else None, limit, 0, " ms")


def _catch_up(result: CatchUp) -> Iterator[Target]:
    """The worst round counts."""
    for ended, limit in _SILENT_SECONDS.items():
        worst = max(one.silent_seconds for one in result.of(ended))
        yield _at_most(f"first result after {ended} of one of two workers", worst, limit, 1, " s")
    slowest = min((one.worked_off_ratio for one in result.rounds if one.worked_off_ratio is not None), default=None)
    yield _at_least("backlog worked off", slowest, _WORKED_OFF_OF_ARRIVALS, 1, " of the arrival rate")


def _charges(result: Charges) -> Iterator[Target]:
    yield _at_most("a charge: worker CPU", result.paynotify.process_microseconds, _CHARGE_MICROSECONDS, 0, " us")


def _settlement(one: Settled) -> Iterator[Target]:
    """Only a night of full size can tell."""
    full = one.payments >= PAYMENTS_SETTLED
    what = f"{PAYMENTS_SETTLED:,} payments settled overnight"
    yield _at_most(f"{what}: queries", one.calls if full else None, _SETTLEMENT_CALLS, 0, "")
    yield _at_most(f"{what}: all captured", one.seconds if full else None, _SETTLEMENT_SECONDS, 0, " s")


def _state(result: State) -> Iterator[Target]:
    """With a million payments; a smaller run can't tell."""
    full = result.payments >= PAYMENTS
    what = f"{PAYMENTS:,} payments in a worker's state"
    yield _at_most(f"{what}: RSS", result.peak_rss_bytes / 1e6 if full else None, _STATE_BYTES / 1e6, 0, " MB")
    recovered = result.payments_per_second if full else None
    yield _at_least(f"{what}: recovery", recovered, _RECOVERED_PER_SECOND, 0, "/s")


def _tools(result: Tools) -> Iterator[Target]:
    """On a topic of a million records; a smaller run can't tell."""
    full = result.status_records >= 2 * PAYMENTS_OF_TOOLS
    what = f"a topic of {2 * PAYMENTS_OF_TOOLS:,} results"
    audited = result.audit_records_per_second if full else None
    slowest = max(*result.trace_seconds, *result.order_trace_seconds)
    yield _at_least(f"{what}: audit", audited, _AUDITED_PER_SECOND, 0, " records/s")
    yield _at_most(f"{what}: trace", slowest if full else None, _TRACE_SECONDS, 1, " s")


def _scaling(result: Sequence[Scaled]) -> Iterator[Target]:
    costs = [one.drained.process_microseconds for one in result]
    what = "workers, partitions, backlogs: dearest notification"
    yield _at_most(what, max(costs) / min(costs), _DEAREST_OF_CHEAPEST, 2, " of the cheapest")


_OF_SECTION: Final[dict[str, Callable[[Any], Iterator[Target]]]] = {
    "verification": _verification,
    "ingress": _ingress,
    "pipeline": _pipeline,
    "latency": _latency,
    "catch_up": _catch_up,
    "charges": _charges,
    "settlement": _settlement,
    "state": _state,
    "tools": _tools,
    "scaling": _scaling,
}
