"""What traces cost: the ingress's CPU for a request and a stage's for a record, without traces, at 1 % and of all."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from paynotify.processors.resolve.stage import ResolveStage
from paynotify.processors.runtime.loop import Batch, StageLoop
from paynotify.sandbox.processes import Child
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import messages
from paynotify.schemas.records import Record
from paynotify.schemas.traceparent import new_traceparent
from tests.bench import procfs
from tests.bench.ingress import UNLIMITED, load
from tests.bench.roles import Peaks, roles_of
from tests.fakes.observations import observation
from tests.fakes.stages import KAFKA, RecordingPublisher, metrics

if TYPE_CHECKING:
    from paynotify.service.span_exporter import SpanExporter

#: The share of traced notifications in each setting; None where there are no traces.
SETTINGS: Final[Mapping[str, float | None]] = {"off": None, "1 %": 0.01, "all": 1.0}

_ROUNDS: Final = 3
_SECONDS: Final = 4.0
_LEAST_SECONDS: Final = 0.5
_WARM_UP_SECONDS: Final = 0.5
_RECORDS: Final = 40_000
_LEAST_RECORDS: Final = 2_000
_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Tracing:
    """CPU microseconds for each request and for each record, the least of some rounds, by setting."""

    request_microseconds: dict[str, float]
    record_microseconds: dict[str, float]


def measure(scale: float, peaks: Peaks) -> Tracing:
    """All settings in turns."""
    plan = Plan(workers=(), consumers=False, ingest=False, configuration=UNLIMITED)
    rounds = max(1, round(_ROUNDS * min(1.0, scale * 4)))
    with Sandbox(plan) as sandbox, _collector(sandbox.logs) as endpoint:
        requests = _requests(sandbox, endpoint, max(_LEAST_SECONDS, _SECONDS * scale), rounds)
        peaks.note("tracing", roles_of(sandbox))
        return Tracing(requests, _records(endpoint, max(_LEAST_RECORDS, round(_RECORDS * scale)), rounds))


@contextmanager
def _collector(logs: Path) -> Iterator[str]:
    child = Child("collector", [sys.executable, "-m", "tests.bench.peers.collector"], logs / "collector.log")
    try:
        yield f"http://127.0.0.1:{child.wait_for_event('listening')['port']}"
    finally:
        child.stop()


def _environment(endpoint: str, share: float | None) -> dict[str, str]:
    if share is None:
        return {}
    sampler = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": str(share)}
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **sampler}


def _requests(sandbox: Sandbox, endpoint: str, seconds: float, rounds: int) -> dict[str, float]:
    command = [sys.executable, "-m", "paynotify.ops.main", "ingest", "--config", str(sandbox.config_path)]
    command += ["--listen", "127.0.0.1:0", "--management", "127.0.0.1:0"]
    with ExitStack() as undo:
        running: dict[str, tuple[int, int]] = {}
        for name, share in SETTINGS.items():
            environment = {**os.environ, **_environment(endpoint, share)}
            child = Child("ingest", command, sandbox.logs / f"ingest-{len(running)}.log", environment=environment)
            undo.callback(child.stop)
            sandbox.wait_ready(child)
            running[name] = int(child.wait_for_event("listening")["port"]), child.pid
            load(running[name][0], _WARM_UP_SECONDS)
        return _least(rounds, {name: _Request(*place, seconds).cost for name, place in running.items()})


@dataclass(frozen=True, slots=True)
class _Request:
    port: int
    pid: int
    seconds: float

    def cost(self) -> float:
        before = procfs.cpu_seconds(self.pid)
        done = load(self.port, self.seconds)
        return (procfs.cpu_seconds(self.pid) - before) / int(done["requests"]) * 1e6


def _records(endpoint: str, count: int, rounds: int) -> dict[str, float]:
    """A stage loop with the resolve stage, and brokers that take everything at once. The exporter's thread counts."""
    # an earlier commit, which a comparison runs the other sections of, has no such parts
    from paynotify.service.span_exporter import SpanExporter
    from paynotify.service.traces import TraceSampling

    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    try:
        exporters = {
            name: SpanExporter("worker", TraceSampling.of(share)) if share is not None else None
            for name, share in SETTINGS.items()
        }
        batches = _batches(count)
        costs = {name: _Stage(exporter, batches, count).cost for name, exporter in exporters.items()}
        try:
            return _least(rounds, costs)
        finally:
            for exporter in exporters.values():
                if exporter is not None:
                    exporter.close()
    finally:
        del os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]


def _batches(count: int) -> list[list[Record]]:
    records = [
        Record(
            "observations",
            0,
            number,
            f"shop-uk/p{number}".encode(),
            messages.encode(observation(f"p{number}")),
            (("ce_id", f"o-{number}".encode()), ("traceparent", new_traceparent().encode())),
            0.0,
        )
        for number in range(count)
    ]
    return [records[start : start + _BATCH] for start in range(0, count, _BATCH)]


@dataclass(frozen=True, slots=True)
class _Stage:
    exporter: SpanExporter | None
    batches: Sequence[Sequence[Record]]
    records: int

    def cost(self) -> float:
        numbers = metrics()
        loop = StageLoop(ResolveStage(KAFKA, numbers), RecordingPublisher(), numbers, traces=self.exporter)

        async def work() -> None:
            for records in self.batches:
                await loop.process_batch(Batch(records, 1, lambda count: None, lambda: True))

        began = time.process_time()
        asyncio.run(work())
        return (time.process_time() - began) / self.records * 1e6


def _least(rounds: int, costs: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in costs}
    for _ in range(rounds):
        for name, cost in costs.items():
            found[name].append(cost())
    return {name: min(values) for name, values in found.items()}
