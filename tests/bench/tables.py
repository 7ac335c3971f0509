"""What each section tells of its figures."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.catch_up import CatchUp
from tests.bench.charging import Charged, Charges
from tests.bench.drain import Drained
from tests.bench.ingress import BODY_BYTES, CONNECTIONS, Ingresses, Load
from tests.bench.latency import Latencies, Latency
from tests.bench.pipeline import PROVIDER_LATENCY_SECONDS, Pipelines
from tests.bench.roles import Peaks
from tests.bench.scaling import Scaled
from tests.bench.settlement import Settled
from tests.bench.state import State
from tests.bench.text import NOTHING, Passage, number, ratio
from tests.bench.tools import Tools
from tests.bench.tracing import Tracing
from tests.bench.verification import Verification


def verification(result: Sequence[Verification]) -> Passage:
    """The cost of one judgement by provider."""
    rows = [(one.provider, f"{one.body_bytes}", number(one.microseconds, 1)) for one in result]
    return Passage("Verification", "parsing and signature of one notification", ("", "bytes", "CPU us"), rows)


def ingress(result: Ingresses) -> Passage:
    """Both ingresses round by round, and their ratio."""
    rounds = [
        (f"{name} {turn}", one)
        for turn, pair in enumerate(zip(result.paynotify, result.peer, strict=True), 1)
        for name, one in zip(("paynotify", "peer"), pair, strict=True)
    ]
    return Passage(
        "Ingress",
        f"{CONNECTIONS} keep-alive connections, bodies of {BODY_BYTES} bytes; CPU is for each request",
        ("", "acknowledged/s", "refused", "process us", "with Kafka us", "p50 ms", "p95 ms", "p99 ms"),
        [*((name, *_load(one)) for name, one in rounds), ("paynotify / peer", *_load_ratios(result))],
        (
            "Every 200 is a record on its topic.",
            "The peer: raw ASGI, uvicorn, aiokafka's idempotent producer; no limits, deadlines, ids, trace or metrics.",
        ),
    )


def tracing(result: Tracing) -> Passage:
    """Every setting, and its ratio to none."""
    requests, records = result.request_microseconds, result.record_microseconds
    return Passage(
        "Traces",
        "CPU of the ingress for a request, and of the resolve stage for a record in batches of 100, with the exporting "
        "thread; the least of three rounds in turns",
        ("notifications traced", "request us", "of off", "record us", "of off"),
        [
            (
                name,
                number(requests[name], 1),
                ratio(requests[name], requests["off"]),
                number(records[name], 1),
                ratio(records[name], records["off"]),
            )
            for name in requests
        ],
        (
            "Off, nothing of OpenTelemetry is imported. Of each batch that has a traced record there is a span.",
            "At 1 % most batches of 100 have one, so a stage pays for a span and its links with nearly each batch.",
        ),
    )


def pipeline(result: Pipelines) -> Passage:
    """Every backlog of the product and of the peers."""
    head = ("", "notifications", "per second", "of peer", "per call", "process us", "of peer", "Kafka us")
    return Passage(
        "Pipeline",
        f"stored notification to result, providers answer in {PROVIDER_LATENCY_SECONDS * 1000:.0f} ms; CPU is for each "
        "notification: of the workers or the peer, of Kafka, and of both",
        (*head, "with Kafka us", "of peer", "idle"),
        [_drained(one, result.peer_of(one)) for one in result.drained],
        (
            "The peer of a row is Benthos with one call each, where it could run, else naive Python.",
            "No peer has state, order, or durability between its steps. Naive Python asks once for each notification,",
            "by the product's own code. OmniKassa's rate is the bank's: 6 pulls/s of 100 orders.",
            *result.missing,
        ),
    )


def latency(result: Latencies) -> Passage:
    """Receipt to result by provider."""
    named = [*result.by_provider.items(), ("all", result.all)]
    return Passage(
        "Latency",
        f"receipt to result at {result.notifications_per_second:.0f} notifications/s over all providers, "
        f"{result.workers} workers, the provider's {result.provider_latency_milliseconds:.0f} ms in it",
        ("", "results", "p50 ms", "p95 ms", "p99 ms"),
        [(name, str(one.results), *_quantiles(one)) for name, one in named],
    )


def catch_up(result: CatchUp) -> Passage:
    """Each end of a worker."""
    return Passage(
        "Catch-up",
        "one of two workers ends under a constant load, "
        f"with a session timeout of {result.session_timeout_seconds:g} s and {result.partitions} partitions",
        ("", "arrivals/s", "silent s", "partitions stalled", "backlog", "worked off/s", "of arrivals"),
        [
            (
                one.ended,
                number(one.arrivals_per_second),
                number(one.silent_seconds, 1),
                str(one.stalled),
                number(one.backlog),
                number(one.worked_off_per_second),
                ratio(one.worked_off_per_second, one.arrivals_per_second),
            )
            for one in result.rounds
        ],
        (
            "Silent: the longest time from the end on in which a partition of payments.status got no result.",
            "A killed worker stays away until the other has caught up; a restarted one comes back at once.",
        ),
    )


def charges(result: Charges) -> Passage:
    """The product's charges and the peer's."""
    ours, peer = result.paynotify, result.peer
    head = ("", "charges", "per second", "of peer", "process us", "of peer", "Kafka us", "with Kafka us", "of peer")
    return Passage(
        "Charges",
        f"request to captured money by three calls of {PROVIDER_LATENCY_SECONDS * 1000:.0f} ms; CPU is for each charge",
        head,
        [_charged(one, peer) for one in (ours, peer)],
        (
            "In the product's figures: each step kept before the next, the webhook's Result, all status events.",
            "The peer keeps nothing and answers no webhook.",
        ),
    )


def settlement(one: Settled) -> Passage:
    """One morning of silent settlements."""
    rows = (
        ("payments settled in one night", number(one.payments)),
        ("queries", number(one.calls)),
        ("from the first timer to the last captured event", f"{one.seconds:.0f} s"),
        *(
            (f"CPU of {role}", f"{used:.1f} s, {one.cpu_microseconds[role]:,.0f} us a payment")
            for role, used in one.cpu_seconds.items()
        ),
    )
    pace = f"{one.calls_per_hour:,} queries an hour, over {one.partitions} partitions"
    return Passage("Settlement", f"one merchant's payments, looked up at its own pace ({pace})", ("", ""), rows)


def memory(peaks: Peaks) -> Passage:
    """The peak of every process of every run."""
    rows = [
        (run, role, ", ".join(f"{one / 1e6:.0f}" for one in held))
        for run, roles in peaks.bytes_by_run.items()
        for role, held in roles.items()
    ]
    return Passage("Memory", "the most each process has held (MB)", ("run", "role", "peak RSS"), rows)


def state(one: State) -> Passage:
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
    return Passage("State", "one worker with all stages", ("", ""), rows)


def scaling(result: Sequence[Scaled]) -> Passage:
    """Every layout, compared with the first."""
    first = result[0].drained
    return Passage(
        "Scale",
        "Trust Payments with more workers, partitions and backlog; each ratio is to the first row",
        ("workers", "partitions", "backlog", "per second", "ratio", "worker us", "ratio", "with Kafka us", "ratio"),
        [
            (
                str(one.drained.workers),
                str(one.partitions),
                number(one.drained.payments),
                number(one.drained.payments_per_second),
                ratio(one.drained.payments_per_second, first.payments_per_second),
                number(one.drained.process_microseconds),
                ratio(one.drained.process_microseconds, first.process_microseconds),
                number(one.drained.total_microseconds),
                ratio(one.drained.total_microseconds, first.total_microseconds),
            )
            for one in result
        ],
    )


def tools(one: Tools) -> Passage:
    """What the operator waits for."""
    rows = (
        ("records of payments.status", f"{one.status_records:,}"),
        ("audit", f"{one.audit_records:,} records, {one.audit_records_per_second:,.0f}/s"),
        (f"trace by key, the slowest of {len(one.trace_seconds)}", f"{max(one.trace_seconds):.1f} s"),
        (f"trace by order, the slowest of {len(one.order_trace_seconds)}", f"{max(one.order_trace_seconds):.1f} s"),
    )
    return Passage("Operator's tools", "each a process of its own", ("", ""), rows)


def _load(one: Load) -> tuple[str, ...]:
    return (
        number(one.requests_per_second),
        str(one.refused),
        number(one.cpu_microseconds),
        number(one.total_microseconds),
        number(one.p50_milliseconds, 1),
        number(one.p95_milliseconds, 1),
        number(one.p99_milliseconds, 1),
    )


def _load_ratios(result: Ingresses) -> tuple[str, ...]:
    ours, theirs = result.means()
    return (
        ratio(ours.requests_per_second, theirs.requests_per_second),
        "",
        ratio(ours.cpu_microseconds, theirs.cpu_microseconds),
        ratio(ours.total_microseconds, theirs.total_microseconds),
        ratio(ours.p50_milliseconds, theirs.p50_milliseconds),
        ratio(ours.p95_milliseconds, theirs.p95_milliseconds),
        ratio(ours.p99_milliseconds, theirs.p99_milliseconds),
    )


def _quantiles(one: Latency) -> tuple[str, ...]:
    return number(one.p50_milliseconds), number(one.p95_milliseconds), number(one.p99_milliseconds)


def _charged(one: Charged, peer: Charged) -> tuple[str, ...]:
    return (
        one.name,
        number(one.charges),
        number(one.charges_per_second),
        ratio(one.charges_per_second, peer.charges_per_second),
        number(one.process_microseconds),
        ratio(one.process_microseconds, peer.process_microseconds),
        number(one.cpu_microseconds.get("kafka") if one.is_product else None),
        number(one.total_microseconds),
        ratio(one.total_microseconds, peer.total_microseconds),
    )


def _drained(one: Drained, peer: Drained | None) -> tuple[str, ...]:
    return (
        f"{one.provider}: {one.name}",
        number(one.payments),
        number(one.payments_per_second),
        ratio(one.payments_per_second, peer.payments_per_second if peer else None),
        number(one.payments_per_call),
        number(one.process_microseconds),
        ratio(one.process_microseconds, peer.process_microseconds if peer else None),
        number(one.cpu_microseconds.get("kafka")),
        number(one.total_microseconds),
        ratio(one.total_microseconds, peer.total_microseconds if peer else None),
        NOTHING if one.idle_cores is None else f"{one.idle_cores:.1%}",
    )
