"""What goes wrong in a run, as data: drawn from a seed before it begins, so that a run may have fewer faults."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from paynotify.processors.runtime.failpoints import Failpoint
from tests.simulation.wire import WIRE_FAULTS

Kind = Literal[
    "kill",
    "stop",
    "kill_at_step",
    "freeze",
    "freeze_at_step",
    "cut",
    "rebalance",
    "brokers_stop",
    "slow_brokers",
    "slow_storing",
    "failing_batches",
    "lose_disk",
    "skew",
    "provider",
]

#: The first parts of the units' names, and the stages in them.
_UNITS: Final = ("verify", "fetch", "interpret", "resolve", "orders", "charge")
_STAGES: Final = (*_UNITS, "requeue", "announce", "requested", "charge")
_PROVIDERS: Final = ("omnikassa", "trustpayments", "nevogate", "smartpay")

#: How often each kind comes, by weight.
_WEIGHTS: Final[dict[Kind, int]] = {
    "kill": 3,
    "stop": 3,
    "kill_at_step": 6,
    "freeze": 3,
    "freeze_at_step": 6,
    "cut": 3,
    "rebalance": 3,
    "brokers_stop": 1,
    "slow_brokers": 2,
    "slow_storing": 3,
    "failing_batches": 3,
    "lose_disk": 2,
    "skew": 1,
    "provider": 6,
}

_OF_A_PROCESS: Final = frozenset(
    ("kill", "stop", "kill_at_step", "freeze", "freeze_at_step", "cut", "lose_disk", "skew")
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what, when, for how long, whom it hits, how hard.

    ``about`` is a unit's prefix, a provider or empty; ``step`` and ``times`` are the loop's step and how often it is
    reached before the process is killed.
    """

    kind: Kind
    at: float
    seconds: float
    process: int = 0
    about: str = ""
    detail: str = ""
    step: int = 0
    times: int = 1
    amount: float = 0.0

    def __str__(self) -> str:
        words = [f"{self.at:8.3f} s  {self.kind}"]
        if self.kind in _OF_A_PROCESS:
            words.append(f"process {self.process}")
        if self.step:
            words.append(f"{self.about} after {Failpoint(self.step).name.lower()}, time {self.times}")
        elif self.about:
            words.append(f"{self.about} {self.detail}".rstrip())
        if self.amount:
            words.append(f"{self.amount:.3f}")
        return ", ".join([*words, f"for {self.seconds:.3f} s"])


def faults_of(seed: int, span_seconds: float, processes: int, count: int | None = None) -> tuple[Fault, ...]:
    """The faults of a seed over so many seconds; some seeds have none, unless it is said how many."""
    chance = Random(f"{seed}/faults")
    usual = chance.choice((0, 2, 5, 10, 20))
    count = usual if count is None else count
    kinds = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=count)
    return tuple(sorted((_fault(chance, kind, span_seconds, processes) for kind in kinds), key=lambda one: one.at))


def _frozen_seconds(chance: Random) -> float:
    """Shorter or longer than a session."""
    return chance.choice((1.0, 12.0, 25.0)) * (0.8 + chance.random())


def _fault(chance: Random, kind: Kind, span_seconds: float, processes: int) -> Fault:
    at, process = 1.0 + chance.random() * span_seconds, chance.randrange(processes)
    seconds = chance.choice((0.5, 5.0, 15.0)) * (0.5 + chance.random())
    match kind:
        case "kill_at_step" | "freeze_at_step":
            stage = chance.choice(_STAGES)
            step = chance.randint(
                Failpoint.TAKEN, Failpoint.PROVIDER_CALLED if stage == "charge" else Failpoint.SOURCE_ACKNOWLEDGED
            )
            seconds = seconds if kind == "kill_at_step" else _frozen_seconds(chance)
            return Fault(kind, at, seconds, process, stage, step=step, times=chance.randint(1, 20))
        case "freeze" | "cut":
            return Fault(kind, at, _frozen_seconds(chance), process)
        case "rebalance":
            return Fault(kind, at, 0.0, about=chance.choice(_UNITS))
        case "slow_brokers":
            return Fault(kind, at, seconds, amount=chance.choice((0.1, 1.0, 3.0)))
        case "slow_storing":
            return Fault(kind, at, seconds, amount=chance.choice((0.1, 1.0, 4.0, 20.0)))
        case "failing_batches":
            return Fault(kind, at, seconds, amount=chance.choice((0.02, 0.2, 0.6)))
        case "skew":
            return Fault(kind, at, seconds, process, amount=chance.uniform(-3.0, 3.0))
        case "provider":
            share = chance.choice((0.1, 0.5, 1.0))
            return Fault(kind, at, seconds, 0, chance.choice(_PROVIDERS), chance.choice(WIRE_FAULTS), amount=share)
        case _:
            return Fault(kind, at, seconds, process)
