"""Figures as plain text: the same in a terminal, a log and a mail."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from tests.bench.charging import Charged
from tests.bench.ingress import BODY_BYTES, CONNECTIONS, Ingresses, Load
from tests.bench.latency import Latencies
from tests.bench.pipeline import PROVIDER_LATENCY_SECONDS, Drained, Pipelines
from tests.bench.roles import Peaks
from tests.bench.settlement import Settled
from tests.bench.state import State
from tests.bench.tools import Tools
from tests.bench.verification import Verification

_ROLES = ("worker", "peer", "kafka", "simulator")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, the first one aligned left."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *rows]
    ]
    return "\n".join(f"  {line}" for line in lines)


def verification(result: Sequence[Verification]) -> str:
    """The cost of one judgement by provider."""
    rows = [(one.provider, f"{one.body_bytes}", f"{one.microseconds:.1f}") for one in result]
    return f"Verification: parsing and signature of one notification\n{table(('', 'bytes', 'CPU us'), rows)}"


def ingress(result: Ingresses) -> str:
    """Both ingresses round by round, and their ratio."""
    rounds = [
        (f"{name} {number}", one)
        for number, pair in enumerate(zip(result.paynotify, result.peer, strict=True), 1)
        for name, one in zip(("paynotify", "peer"), pair, strict=True)
    ]
    head = ("", "acknowledged/s", "refused", "CPU us/request", "p50 ms", "p95 ms", "p99 ms")
    rows = [
        (
            name,
            f"{one.requests_per_second:,.0f}",
            str(one.refused),
            f"{one.cpu_microseconds:.0f}",
            f"{one.p50_milliseconds:.1f}",
            f"{one.p95_milliseconds:.1f}",
            f"{one.p99_milliseconds:.1f}",
        )
        for name, one in rounds
    ]
    rate = _mean_rate(result.paynotify) / _mean_rate(result.peer)
    cpu = _mean_cpu(result.paynotify) / _mean_cpu(result.peer)
    return (
        f"Ingress: {CONNECTIONS} keep-alive connections, bodies of {BODY_BYTES} bytes\n{table(head, rows)}\n"
        f"  paynotify / peer: {rate:.2f} of the rate, {cpu:.2f} times the CPU. Every 200 is a record on its topic.\n"
        "  The peer: raw ASGI, uvicorn, aiokafka idempotent send_and_wait; no limits, deadlines, ids, trace, metrics."
    )


def pipeline(result: Pipelines) -> str:
    """Every backlog, then the peer."""
    head = ("", "payments", "seconds", "per second", "per call", *(f"{role} us" for role in _ROLES), "idle")
    everything = [*result.drained, *([result.peer] if result.peer else [])]
    text = (
        f"Pipeline: stored notification to result, providers answer in {PROVIDER_LATENCY_SECONDS * 1000:.0f} ms; "
        f"CPU is for each payment\n{table(head, [_drained(one) for one in everything])}"
    )
    ours = next((one for one in result.drained if (one.provider, one.workers) == ("trustpayments", 1)), None)
    if ours and result.peer:
        rate = ours.payments_per_second / result.peer.payments_per_second
        cpu = ours.cpu_microseconds["worker"] / result.peer.cpu_microseconds["peer"]
        text += (
            f"\n  paynotify, 1 worker / peer: {rate:.2f} of the rate, {cpu:.2f} times the CPU of the process.\n"
            "  The peer: the same provider module and HTTP client, one call for each notification; no state,\n"
            "  no order, no durability between its steps. OmniKassa's rate is the bank's: 6 pulls/s of 100 orders."
        )
    return text


def latency(result: Latencies) -> str:
    """Receipt to result by provider."""
    head = ("", "results", "p50 ms", "p95 ms", "p99 ms")
    rows = [
        (
            name,
            str(one.results),
            f"{one.p50_milliseconds:.0f}",
            f"{one.p95_milliseconds:.0f}",
            f"{one.p99_milliseconds:.0f}",
        )
        for name, one in [*result.by_provider.items(), ("all", result.all)]
    ]
    return (
        f"Latency: receipt to result at {result.notifications_per_second:.0f} notifications/s over all providers, "
        f"{result.workers} workers, "
        f"the provider's {result.provider_latency_milliseconds:.0f} ms in it\n{table(head, rows)}"
    )


def charges(result: Sequence[Charged]) -> str:
    """The product's charges and the peer's."""
    head = ("", "charges", "seconds", "per second", *(f"{role} us" for role in _ROLES))
    rows = [
        (
            one.name,
            f"{one.charges:,}",
            f"{one.seconds:.1f}",
            f"{one.charges_per_second:,.0f}",
            *(f"{one.cpu_microseconds[role]:.0f}" if role in one.cpu_microseconds else "-" for role in _ROLES),
        )
        for one in result
    ]
    ours, peer = result
    rate = ours.charges_per_second / peer.charges_per_second
    cpu = ours.cpu_microseconds["worker"] / peer.cpu_microseconds["peer"]
    return (
        f"Charges: request to captured money, three calls of {PROVIDER_LATENCY_SECONDS * 1000:.0f} ms each; CPU is for "
        f"each charge\n{table(head, rows)}\n"
        f"  paynotify / peer: {rate:.2f} of the rate, {cpu:.2f} times the CPU of the process. In it: each step kept\n"
        "  before the next, the webhook's Result, all status events. The peer keeps nothing and answers no webhook."
    )


def settlement(one: Settled) -> str:
    """One morning of silent settlements."""
    rows = (
        ("payments settled in one night", f"{one.payments:,}"),
        ("queries", f"{one.calls:,}"),
        ("from the first timer to the last captured event", f"{one.seconds:.0f} s"),
        *(
            (f"CPU of {role}", f"{used:.1f} s, {one.cpu_microseconds[role]:.0f} us a payment")
            for role, used in one.cpu_seconds.items()
        ),
    )
    pace = f"{one.calls_per_hour:,} queries an hour, over {one.partitions} partitions"
    return f"Settlement: one merchant's payments, looked up at its own pace ({pace})\n{table(('', ''), rows)}"


def memory(peaks: Peaks, pipelines: Pipelines) -> str:
    """The peak of every process of every run."""
    rows = [
        (run, role, ", ".join(f"{one / 1e6:.0f}" for one in held))
        for run, roles in peaks.bytes_by_run.items()
        for role, held in roles.items()
    ]
    held_megabytes = pipelines.worker_rss_bytes / 1e6
    return (
        f"Memory: the most each process has held (MB)\n{table(('run', 'role', 'peak RSS'), rows)}\n"
        f"  A worker with {pipelines.payments_in_state:,} payments in its state holds {held_megabytes:.0f} MB."
    )


def state(one: State) -> str:
    """How fast it came, and what it takes."""
    rows = (
        ("payments in state", f"{one.payments:,} of {one.bytes_per_payment:.0f} bytes"),
        ("recovery from an empty disk", f"{one.recovery_seconds:.1f} s, {one.payments_per_second:,.0f} payments/s"),
        ("CPU of the worker until then", f"{one.recovery_cpu_seconds:.1f} s"),
        ("RSS when recovered", f"{one.recovered_rss_bytes / 1e6:.0f} MB"),
        (f"RSS after news of {one.news:,} of them", f"{one.rss_bytes / 1e6:.0f} MB"),
        ("most RSS meanwhile", f"{one.peak_rss_bytes / 1e6:.0f} MB"),
        ("on the worker's disk", f"{one.disk_bytes / 1e6:.0f} MB"),
    )
    return f"State: one worker with all stages\n{table(('', ''), rows)}"


def tools(one: Tools) -> str:
    """What the operator waits for."""
    rows = (
        ("records of payments.status", f"{one.status_records:,}"),
        ("audit", f"{one.audit_records:,} records, {one.audit_records_per_second:,.0f}/s"),
        (f"trace by key, the slowest of {len(one.trace_seconds)}", f"{max(one.trace_seconds):.1f} s"),
        (f"trace by order, the slowest of {len(one.order_trace_seconds)}", f"{max(one.order_trace_seconds):.1f} s"),
    )
    return f"Operator's tools: each a process of its own\n{table(('', ''), rows)}"


def _drained(one: Drained) -> tuple[str, ...]:
    layout = f"{one.workers} worker{'s' * (one.workers > 1)}" if one.workers else "peer"
    used = (f"{one.cpu_microseconds[role]:.0f}" if role in one.cpu_microseconds else "-" for role in _ROLES)
    idle = "-" if one.idle_cores is None else f"{one.idle_cores:.1%}"
    return (
        f"{one.provider}, {layout}",
        f"{one.payments:,}",
        f"{one.seconds:.1f}",
        f"{one.payments_per_second:,.0f}",
        f"{one.payments_per_call:.0f}",
        *used,
        idle,
    )


def _mean_rate(rounds: Sequence[Load]) -> float:
    return fmean(one.requests_per_second for one in rounds)


def _mean_cpu(rounds: Sequence[Load]) -> float:
    return fmean(one.cpu_microseconds for one in rounds)
