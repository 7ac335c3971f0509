"""What is to be reached, and whether a run has reached it. A table, no test: a machine may be busy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from tests.bench.ingress import Ingresses
from tests.bench.latency import Latencies
from tests.bench.pipeline import Drained, Pipelines
from tests.bench.settlement import PAYMENTS as PAYMENTS_SETTLED
from tests.bench.settlement import Settled
from tests.bench.state import PAYMENTS, State
from tests.bench.tools import PAYMENTS as PAYMENTS_OF_TOOLS
from tests.bench.tools import Tools
from tests.bench.verification import Verification

_VERIFICATION_MICROSECONDS: Final = 30
_REQUESTS_PER_SECOND: Final = 5_000
_NOTIFICATIONS_PER_SECOND: Final = 1_500
_NOTIFICATIONS_PER_CALL: Final = 20
_ABOVE_PROVIDER_MILLISECONDS: Final = 300
_WORKER_BYTES: Final = 200_000_000
_PAYMENTS_IN_STATE: Final = 100_000
_LARGE_STATE_BYTES: Final = 400_000_000
_RECOVERED_PER_SECOND: Final = 100_000
_AUDITED_PER_SECOND: Final = 50_000
_TRACE_SECONDS: Final = 5.0
_SETTLEMENT_CALLS: Final = 1_100
_SETTLEMENT_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Target:
    """One line of the table. ``reached`` is none where the run was too small to tell."""

    wanted: str
    measured: str
    reached: bool | None


def of_verification(result: Sequence[Verification]) -> list[Target]:
    """The dearer provider counts."""
    worst = max(result, key=lambda one: one.microseconds)
    return [
        Target(
            f"at most {_VERIFICATION_MICROSECONDS} us CPU to judge a signed notification",
            f"{worst.microseconds:.0f} us ({worst.provider})",
            worst.microseconds <= _VERIFICATION_MICROSECONDS,
        )
    ]


def of_ingress(result: Ingresses) -> list[Target]:
    """The mean over the rounds counts."""
    rate = fmean(one.requests_per_second for one in result.paynotify)
    wanted = f"at least {_REQUESTS_PER_SECOND:,} acknowledged requests/s"
    return [Target(wanted, f"{rate:,.0f}/s", rate >= _REQUESTS_PER_SECOND)]


def of_settlement(one: Settled) -> list[Target]:
    """Only a night of full size can tell."""
    full = one.payments >= PAYMENTS_SETTLED
    return [
        Target(
            f"at most {_SETTLEMENT_CALLS:,} queries for {PAYMENTS_SETTLED:,} payments settled overnight",
            f"{one.calls:,} for {one.payments:,}",
            one.calls <= _SETTLEMENT_CALLS if full else None,
        ),
        Target(
            "all of them captured within an hour",
            f"{one.seconds:.0f} s",
            one.seconds <= _SETTLEMENT_SECONDS if full else None,
        ),
    ]


def of_pipeline(result: Pipelines) -> list[Target]:
    """The faster layout counts for the rate, the worse one for the calls."""
    runs = [one for one in result.drained if one.provider == "trustpayments"]
    best = max(runs, key=_rate)
    calls = min(one.payments_per_call for one in runs)
    return [
        Target(
            f"at least {_NOTIFICATIONS_PER_SECOND:,} Trust Payments notifications/s through all stages",
            f"{best.payments_per_second:,.0f}/s with {best.workers} worker(s)",
            best.payments_per_second >= _NOTIFICATIONS_PER_SECOND,
        ),
        Target(
            f"at least {_NOTIFICATIONS_PER_CALL} Trust Payments notifications for each provider call",
            f"{calls:.0f}",
            calls >= _NOTIFICATIONS_PER_CALL,
        ),
    ]


def of_latency(result: Latencies) -> list[Target]:
    """The slowest provider counts."""
    limit = result.provider_latency_milliseconds + _ABOVE_PROVIDER_MILLISECONDS
    name, worst = max(result.by_provider.items(), key=lambda one: one[1].p99_milliseconds)
    return [
        Target(
            f"p99 at 100/s at most {limit:.0f} ms ({result.provider_latency_milliseconds:.0f} of it the provider's)",
            f"{worst.p99_milliseconds:.0f} ms ({name})",
            worst.p99_milliseconds <= limit,
        )
    ]


def of_memory(result: Pipelines) -> list[Target]:
    """A smaller state tells nothing of a larger one, unless it is too much already."""
    reached: bool | None = result.worker_rss_bytes <= _WORKER_BYTES
    if reached and result.payments_in_state < _PAYMENTS_IN_STATE:
        reached = None
    return [
        Target(
            f"worker RSS at most {_WORKER_BYTES // 1_000_000} MB with {_PAYMENTS_IN_STATE:,} payments",
            f"{result.worker_rss_bytes / 1e6:.0f} MB with {result.payments_in_state:,}",
            reached,
        )
    ]


def lines(targets: Sequence[Target]) -> list[tuple[str, str, str]]:
    """As rows of a table."""
    words = {True: "yes", False: "NO", None: "can't tell"}
    return [(one.wanted, one.measured, words[one.reached]) for one in targets]


def _rate(one: Drained) -> float:
    return one.payments_per_second


def of_state(result: State) -> list[Target]:
    """With a million payments; a smaller run can't tell."""
    whole = result.payments >= PAYMENTS
    return [
        Target(
            f"a worker below {_LARGE_STATE_BYTES / 1e6:.0f} MB with {PAYMENTS:,} payments in its state",
            f"{result.peak_rss_bytes / 1e6:.0f} MB",
            result.peak_rss_bytes < _LARGE_STATE_BYTES if whole else None,
        ),
        Target(
            f"at least {_RECOVERED_PER_SECOND:,} payments/s recovered from an empty disk",
            f"{result.payments_per_second:,.0f}/s",
            result.payments_per_second >= _RECOVERED_PER_SECOND if whole else None,
        ),
    ]


def of_tools(result: Tools) -> list[Target]:
    """On a topic of a million records; a smaller run can't tell."""
    whole = result.status_records >= 2 * PAYMENTS_OF_TOOLS
    slowest = max(*result.trace_seconds, *result.order_trace_seconds)
    return [
        Target(
            f"an audit of at least {_AUDITED_PER_SECOND:,} records/s",
            f"{result.audit_records_per_second:,.0f}/s",
            result.audit_records_per_second >= _AUDITED_PER_SECOND if whole else None,
        ),
        Target(
            f"a trace in less than {_TRACE_SECONDS:g} s on a topic of {2 * PAYMENTS_OF_TOOLS:,} records",
            f"{slowest:.1f} s",
            slowest < _TRACE_SECONDS if whole else None,
        ),
    ]
