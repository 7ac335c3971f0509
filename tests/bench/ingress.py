"""How many requests the ingress acknowledges, and what each costs; beside it a minimal peer, in turns."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

from paynotify.sandbox.processes import Child
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas.errors import ClusterError
from paynotify.schemas.topics import notifications
from tests.bench import procfs
from tests.bench.roles import Peaks, broker_pid, roles_of
from tests.bench.topics import Topics, create_topic

CONNECTIONS: Final = 64
BODY_BYTES: Final = 600
_ROUNDS: Final = 2
_SECONDS: Final = 5.0
_LEAST_SECONDS: Final = 0.5
_WARM_UP_SECONDS: Final = 1.0
_PEER_TOPIC: Final = "peer.notifications"

#: A limit would be measured instead: the routes' rates, and what a merchant's unsigned calls may cost in lookups.
UNLIMITED: Final[Mapping[str, Mapping[str, Any]]] = {
    "ingest": {"rate_per_second": 1e9, "burst": 10**9},
    "worker": {"unsigned_budget": {"per_second": 1e9, "burst": 10**9, "known_burst": 10**9}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One round against one ingress. ``cpu_microseconds`` is the ingress process's; Kafka's is None where its processes
    can't be seen.
    """

    requests: int
    refused: int
    requests_per_second: float
    cpu_microseconds: float
    kafka_microseconds: float | None
    p50_milliseconds: float
    p95_milliseconds: float
    p99_milliseconds: float

    @property
    def total_microseconds(self) -> float | None:
        return None if self.kafka_microseconds is None else self.cpu_microseconds + self.kafka_microseconds


@dataclass(frozen=True, slots=True)
class Ingresses:
    """All rounds, in the order in which they took turns. Every acknowledged request was found on its topic."""

    paynotify: list[Load]
    peer: list[Load]

    def means(self) -> tuple[Load, Load]:
        """The mean round of the product and of the peer."""
        return _mean(self.paynotify), _mean(self.peer)


def measure(scale: float, peaks: Peaks) -> Ingresses:
    """Load both in turns: A B A B."""
    plan = Plan(workers=(), consumers=False, configuration=UNLIMITED)
    with Sandbox(plan) as sandbox, Topics(sandbox) as ends:
        assert sandbox.ingest is not None
        ours = int(sandbox.ingest_address.rpartition(":")[2])
        topic = create_topic(sandbox, _PEER_TOPIC)
        command = [sys.executable, "-m", "tests.bench.peers.ingress"]
        command += ["--bootstrap", sandbox.bootstrap, "--topic", topic]
        peer = Child("peer-ingress", command, sandbox.logs / "peer-ingress.log")
        try:
            theirs = int(peer.wait_for_event("listening")["port"])
            warm = [load(port, _WARM_UP_SECONDS)["requests"] for port in (ours, theirs)]
            result, kafka = Ingresses([], []), broker_pid(sandbox)
            seconds = max(_LEAST_SECONDS, _SECONDS * scale)
            for _ in range(_ROUNDS):
                result.paynotify.append(_round(ours, sandbox.ingest.pid, kafka, seconds))
                result.peer.append(_round(theirs, peer.pid, kafka, seconds))
            _check(ends, notifications("trustpayments"), warm[0], result.paynotify)
            _check(ends, _PEER_TOPIC, warm[1], result.peer)
            peaks.note("ingress", roles_of(sandbox, peer=peer))
            return result
        finally:
            peer.stop()


def _check(ends: Topics, topic: str, warm: int, rounds: list[Load]) -> None:
    """A fast ingress that loses what it acknowledged would win this comparison.

    Raises:
        ClusterError: fewer records are on the topic than were acknowledged.
    """
    acknowledged, stored = warm + sum(one.requests for one in rounds), ends.count(topic)
    if stored < acknowledged:
        raise ClusterError(f"{acknowledged} requests were acknowledged, but only {stored} records are on {topic}.")


def _round(port: int, pid: int, kafka: int | None, seconds: float) -> Load:
    pids = [pid] if kafka is None else [pid, kafka]
    before = [procfs.cpu_seconds(one) for one in pids]
    done = load(port, seconds)
    used = [procfs.cpu_seconds(one) - since for one, since in zip(pids, before, strict=True)]
    if not done["requests"]:
        raise ClusterError(f"None of {done['refused']} requests to port {port} was acknowledged. See the logs.")
    return Load(
        requests_per_second=done["requests"] / done.pop("seconds"),
        cpu_microseconds=used[0] / done["requests"] * 1e6,
        kafka_microseconds=used[1] / done["requests"] * 1e6 if kafka is not None else None,
        **done,
    )


def _mean(rounds: Sequence[Load]) -> Load:
    kafka = [one.kafka_microseconds for one in rounds if one.kafka_microseconds is not None]
    return Load(
        requests=round(fmean(one.requests for one in rounds)),
        refused=round(fmean(one.refused for one in rounds)),
        requests_per_second=fmean(one.requests_per_second for one in rounds),
        cpu_microseconds=fmean(one.cpu_microseconds for one in rounds),
        kafka_microseconds=fmean(kafka) if kafka else None,
        p50_milliseconds=fmean(one.p50_milliseconds for one in rounds),
        p95_milliseconds=fmean(one.p95_milliseconds for one in rounds),
        p99_milliseconds=fmean(one.p99_milliseconds for one in rounds),
    )


def load(port: int, seconds: float, *, body_bytes: int = BODY_BYTES) -> dict[str, Any]:
    """One run of the load generator against the ingress on that port."""
    path = "/notifications/trustpayments/shop-uk"
    command = [sys.executable, "-m", "tests.bench.ingest_bench", "--port", str(port), "--path", path]
    command += ["--seconds", str(seconds), "--connections", str(CONNECTIONS), "--body-bytes", str(body_bytes)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=seconds + 60)
    result: dict[str, Any] = json.loads(done.stdout)
    return result
