"""From a stored notification to its result: rate, CPU and provider calls; beside it the peers, on the same backlog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from paynotify.sandbox.processes import stop_all
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas.errors import ConfigurationError
from tests.bench.drain import PAYNOTIFY, Drain, Drained
from tests.bench.ingress import UNLIMITED
from tests.bench.peers.pipelines import BENTHOS_ONE_BY_ONE, NAIVE, PROVIDER, peers
from tests.bench.roles import Peaks
from tests.bench.topics import Topics

PROVIDER_LATENCY_SECONDS: Final = 0.02

#: Payments of each run. The second run of Trust Payments adds to the state of the first.
TWO_WORKERS: Final = 40_000
ONE_WORKER: Final = 60_000
OTHERS: Final = 5_000

#: A frozen worker must stay a member of its groups.
_SESSION_SECONDS: Final = 300.0
#: Heartbeats are rare then, so two workers that start together must meet in one rebalance.
_MEET_MILLISECONDS: Final = 3_000
_LEAST: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipelines:
    """All runs; ``missing`` has a sentence about each peer that could not run."""

    drained: list[Drained]
    missing: list[str] = field(default_factory=list)

    def run(self, provider: str, workers: int) -> Drained:
        """The product's run of that provider with so many workers."""
        return next(one for one in self.own if (one.provider, one.workers) == (provider, workers))

    @property
    def own(self) -> list[Drained]:
        """The product's runs."""
        return [one for one in self.drained if one.system == PAYNOTIFY]

    @property
    def benthos(self) -> Drained | None:
        """Benthos asking once for each notification, if it was there."""
        return next((one for one in self.drained if one.system == BENTHOS_ONE_BY_ONE), None)

    def peer_of(self, one: Drained) -> Drained | None:
        """What a run of Trust Payments is compared with: Benthos asking once for each, else naive Python."""
        naive = next((other for other in self.drained if other.system == NAIVE), None)
        return (self.benthos or naive) if one.provider == PROVIDER else None


def drain_plan(layout: Sequence[Sequence[str]], partitions: int) -> Plan:
    """A sandbox for backlogs: providers answer in a fixed time, nothing is limited, frozen workers stay members."""
    return Plan(
        workers=layout,
        partitions=partitions,
        consumers=False,
        simulators={"time_scale": 1.0, "latency_seconds": PROVIDER_LATENCY_SECONDS},
        simulator={"trustpayments": {"visible_within_seconds": 0.0}, "omnikassa": {"ping_delay_seconds": 0.0}},
        configuration={
            **UNLIMITED,
            "worker": {**UNLIMITED["worker"], "session_timeout_seconds": _SESSION_SECONDS},
        },
        kafka_settings={"group.initial.rebalance.delay.ms": str(_MEET_MILLISECONDS)},
    )


def measure(scale: float, peaks: Peaks, *, build: bool) -> Pipelines:
    """All runs in one sandbox."""
    layout: list[Sequence[str]] = [(), ()]
    two, one, others = (max(_LEAST, round(number * scale)) for number in (TWO_WORKERS, ONE_WORKER, OTHERS))
    beside = peers(build=build)
    with Sandbox(drain_plan(layout, partitions=4)) as sandbox, Topics(sandbox) as ends:
        drain = Drain(sandbox, ends, peaks)
        drained = [drain.by_workers(PROVIDER, two)]
        stop_all(sandbox.workers)
        missing = beside.missing
        for peer in beside.found:
            try:
                drained.append(drain.by_peer(peer, two))
            except ConfigurationError as error:
                # naive Python is made of the product's parts, which another commit may not have
                missing = [*missing, f"{peer.name} is not measured: {error}"]
        layout[:] = [()]
        sandbox.workers = [sandbox.workers[0]]
        sandbox.wait_ready(sandbox.start_worker(0))
        drained.append(replace(drain.by_workers(PROVIDER, one), idle_cores=drain.idle_cores()))
        drained += [drain.by_workers(provider, others) for provider in ("nevogate", "omnikassa")]
    return Pipelines(drained=drained, missing=missing)
