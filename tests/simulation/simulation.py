"""One run: the world of a seed, its load, its faults, and what the judge says of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any, Final, cast
from unittest.mock import patch

from paynotify.processors import wiring
from paynotify.processors.metrics import Metrics
from paynotify.processors.providers.background import BackgroundContext
from paynotify.processors.providers.base import CallContext
from paynotify.processors.providers.nevogate.provider import NevogateProvider
from paynotify.processors.providers.omnikassa.provider import OmniKassaProvider
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.providers.smartpay.contract import SmartPayMerchant
from paynotify.processors.providers.smartpay.provider import SmartPayProvider
from paynotify.processors.providers.smartpay.published_keys import PublishedKeys, fetch_keys
from paynotify.processors.providers.trustpayments.provider import TrustPaymentsProvider
from paynotify.processors.runtime.failpoints import Failpoint, Reached, ignore
from paynotify.processors.runtime.partition_loops import LoopSettings
from paynotify.processors.runtime.stage import StageSpec
from paynotify.processors.transport.brokers_clock import BrokersClock
from tests.simulation import judge
from tests.simulation.broker import Broker, Trouble
from tests.simulation.expectations import SimulatedExpectations
from tests.simulation.faults import Fault, faults_of
from tests.simulation.gateways import Nevogate, OmniKassa
from tests.simulation.groups import SESSION_SECONDS, Group
from tests.simulation.history import History
from tests.simulation.installation import LOOKS_SECONDS, installed
from tests.simulation.load import Load
from tests.simulation.lot import Lot
from tests.simulation.mutants import Mutant
from tests.simulation.plan import Plan, plan_of
from tests.simulation.shop import Shop
from tests.simulation.smartpay import SmartPay
from tests.simulation.substitutes import Meters, product_time, simulated
from tests.simulation.timeline import NothingLeftError, Timeline
from tests.simulation.trustpayments import TrustPayments
from tests.simulation.wire import Gateway, Wire
from tests.simulation.wire import Trouble as WireTrouble
from tests.simulation.worker import STOP_SECONDS, Disks, Worker

PROCESSES: Final = 3

#: Slow ones keep batches in work for long, so that more of them are at work when something goes wrong.
_BROKER_SECONDS: Final = (0.01, 0.05, 0.3)
#: After the last look, with what is spread, and an answer that has to be asked for again.
_SETTLED_SECONDS: Final = LOOKS_SECONDS[-1] + 50.0
_CHECK_SECONDS: Final = 5.0
#: Whatever is not done so long after everything is well stands still.
_MOST_SECONDS: Final = 7200.0
#: A task that ends in order may need to be cancelled more than once.
_ENDINGS: Final = 20
_ENDING_SECONDS: Final = 100.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """What makes a run: the same schedule is the same history."""

    seed: int
    plan: Plan
    faults: tuple[Fault, ...]
    broker_seconds: float
    """How long a message to the brokers takes at most while nothing is wrong."""
    static: bool = False
    """Whether the groups know their members by name."""
    salt: int = 0
    """Other ones draw other delays."""

    def chance(self, purpose: str) -> Random:
        return Random(f"{self.seed}/{self.salt}/{purpose}")

    def lot(self, purpose: str) -> Lot:
        return Lot(f"{self.seed}/{self.salt}/{purpose}")

    @property
    def calls(self) -> int:
        return sum(len(one.calls) for one in self.plan.payments) + len(self.plan.garbage)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run. ``notifications`` are those stored; ``seconds`` are of the simulated clock."""

    problems: tuple[str, ...]
    digest: str
    faults: int
    notifications: int
    records: int
    seconds: float
    cpu_seconds: float
    counts: Mapping[str, int]
    errors: Mapping[str, int]


def schedule_of(seed: int, notifications: int, faults: int | None = None) -> Schedule:
    """All that a seed makes happen; with so many ``faults`` instead of the usual ones."""
    plan = plan_of(seed, notifications)
    last_call = max((call.at for one in plan.payments for call in one.calls), default=1.0)
    broker_seconds = Random(f"{seed}/broker pace").choice(_BROKER_SECONDS)
    static = Random(f"{seed}/membership").random() < 1 / 2
    return Schedule(seed, plan, faults_of(seed, last_call, PROCESSES, faults), broker_seconds, static)


def run(schedule: Schedule, mutant: Mutant | None = None, *, silent: bool = True) -> Outcome:
    """Run a schedule to its end and judge it."""
    began = time.process_time()
    loop = Timeline()
    try:
        with ExitStack() as stack:
            stack.enter_context(simulated(loop, schedule.chance("product"), silent=silent))
            for part in mutant.parts if mutant else ():
                stack.enter_context(patch.object(*part))
            directory = Path(stack.enter_context(TemporaryDirectory()))
            world = _World(loop, schedule, mutant or Mutant(), directory)
            standing = world.run()
            outcome = world.outcome(judge.problems(world.evidence(standing)))
            world.end()
            del world  # before the collector wakes, which would look for nothing in all of it
    finally:
        loop.close()
    return replace(outcome, cpu_seconds=time.process_time() - began)


class _World:
    """Everything around the processes, and the processes."""

    def __init__(self, loop: Timeline, schedule: Schedule, mutant: Mutant, directory: Path) -> None:
        plan = schedule.plan
        self.loop = loop
        self.schedule = schedule
        self.mutant = mutant
        self._directory = directory
        self.history = History()
        self.meters = Meters()
        self.ended_at = 0.0
        self.configuration = installed(mutant.delete_after_seconds)
        partitions = {name: count for name, (_, count, _) in self.configuration.wanted_topics().items()}
        self.broker = Broker(loop, schedule.lot("broker"), self.history, partitions, schedule.broker_seconds)
        self.broker.fences = mutant.fences
        self.broker.disturb = mutant.disturb(self.broker)
        trustpayments, self.nevogate, self.omnikassa = (
            TrustPayments(loop, plan),
            Nevogate(loop, plan),
            OmniKassa(loop, plan),
        )
        smartpay = SmartPay(loop, plan)
        self.load = Load(
            loop, self.broker, schedule.lot("load"), trustpayments, self.nevogate, self.omnikassa, smartpay
        )
        self.shop = Shop(loop, self.broker)
        gateways: dict[str, Gateway] = {
            "trustpayments": trustpayments,
            "nevogate": self.nevogate,
            "omnikassa": self.omnikassa,
            "smartpay": smartpay,
        }
        self.wire = Wire(loop, schedule.lot("wire"), self.history, gateways)
        self._lot = schedule.lot("worker")
        self._disks: list[Disks] = [{} for _ in range(PROCESSES)]
        self._skews = [0.0] * PROCESSES
        #: Tasks of the processes that ended by an exception.
        self._failures: list[str] = []
        self._workers: list[Worker] = []
        self._all_workers: list[Worker] = []
        self._groups: dict[str, Group] = {}

    def run(self) -> list[str]:
        """Start everything, let it happen, and return what still stands when nothing moves any more."""
        self._make_groups()
        for number in range(PROCESSES):
            self._workers.append(self._start(number))
        self.load.begin(self.schedule.plan)
        self.shop.begin(self.schedule.plan)
        for fault in self.schedule.faults:
            self.loop.call_without_process(fault.at, self._happen, fault)
        try:
            return self.loop.run_until_complete(self._until_done())
        except NothingLeftError:
            return ["nothing moves any more"]

    def end(self) -> None:
        """Let go of all that is still at work, also of what was killed, so that none of it is destroyed at work."""
        for worker in self._all_workers:
            worker.gone = False
            worker.thaw()
        for _ in range(_ENDINGS):
            tasks = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=_ENDING_SECONDS))

    def evidence(self, standing: Sequence[str]) -> judge.Evidence:
        """What the judge may look at."""
        return judge.Evidence(
            whole=self.broker.whole,
            plan=self.schedule.plan,
            results=self.nevogate.results,
            asked=self.shop.asked,
            transactions=self.nevogate.recurring.transactions,
            handed_over=self.omnikassa.handed_over,
            errors=self.meters.errors,
            standing=tuple(standing),
            failures=tuple(self._failures),
            calm=not self.schedule.faults,
        )

    def outcome(self, problems: Sequence[str]) -> Outcome:
        """What became of the run, as long as nothing more happens."""
        return Outcome(
            tuple(problems),
            self.history.digest(),
            len(self.schedule.faults),
            self.load.stored,
            self.history.records,
            self.ended_at,
            0.0,
            dict(self.history.counts),
            {f"{stage} {kind}": count for (stage, kind), count in sorted(self.meters.errors.items())},
        )

    async def _until_done(self) -> list[str]:
        ends = [fault.at + fault.seconds for fault in self.schedule.faults]
        self._healed_at = max([self.schedule.plan.until, *ends]) + 1.0
        await asyncio.sleep(self._healed_at + _SETTLED_SECONDS)
        for worker in self._workers:
            worker.unwatch()
        most = self.loop.now + _MOST_SECONDS
        while standing := [f"{name} lags by {lag}" for name, one in self._groups.items() if (lag := one.lag())]:
            if self.loop.now > most:
                break
            await asyncio.sleep(_CHECK_SECONDS)
        self.ended_at = self.loop.now
        return standing

    # --- the processes ------------------------------------------------------------------------------------

    def _works(
        self, expectations: Any, signed: SmartPayProvider, calls: CallContext, reached: Reached = ignore
    ) -> dict[str, tuple[StageSpec, ...]]:
        """The product's own wiring, with provider modules as fresh as in a process that has just begun."""
        fresh = {one.name: one for one in (OmniKassaProvider(), TrustPaymentsProvider(), NevogateProvider(), signed)}
        # without those that are not simulated
        specs = {name: replace(provider_specs()[name], provider=one) for name, one in fresh.items()}
        with patch.object(wiring, "provider_specs", lambda: specs):
            return wiring.build_stages(
                self.configuration,
                wiring.StageSelection(),
                cast(Metrics, self.meters),
                calls,
                expectations,
                reached,
            )

    async def _fetch_keys(self, published: PublishedKeys, number: int) -> None:
        """What a worker does beside its stages. The directory is as lasting as the process's disk."""
        context = BackgroundContext(self._calls(BrokersClock()), self._key_directory(number), lambda merchant, at: None)
        merchants = cast(dict[str, SmartPayMerchant], self.configuration.merchants_of("smartpay"))
        await fetch_keys(published, merchants, context)

    def _key_directory(self, number: int) -> Path:
        return self._directory / str(number)

    def _calls(self, brokers_clock: BrokersClock) -> CallContext:
        worker = self.configuration.worker
        return CallContext(
            http=self.wire,
            now=partial(product_time, self.loop),
            max_response_bytes=worker.provider_response_bytes,
            timeout_seconds=worker.provider_timeout_seconds,
            transactions_per_query=worker.transactions_per_query,
            brokers_clock=brokers_clock,
        )

    def _make_groups(self) -> None:
        for name, works in self._works(None, SmartPayProvider(), self._calls(BrokersClock())).items():
            sources = [source for work in works for source in work.sources]
            chance = self.schedule.chance(f"group {name}")
            self._groups[name] = Group(
                name, sources, self.broker, self.loop, chance, self.history, static=self.schedule.static
            )

    def _start(self, number: int) -> Worker:
        self.history.happened("start", str(number))
        worker = Worker(number, self.broker, self._lot, self._disks[number], self._skews[number], self._failures.append)
        self._all_workers.append(worker)
        expectations = SimulatedExpectations(self.broker, worker)

        def works() -> dict[str, tuple[StageSpec, ...]]:
            expectations.begin()
            signed = SmartPayProvider()
            worker.spawn(self._fetch_keys(signed.published, number))
            return self._works(expectations, signed, self._calls(worker.brokers_clock), worker.reached)

        settings = LoopSettings(
            self.configuration.worker.batch_wait_seconds,
            self.configuration.worker.dead_letter_limit,
            worker.reached,
            self.mutant.loop_class,
        )
        worker.run(works, self._groups, self.meters, settings)
        return worker

    def _restart(self, number: int) -> None:
        if self._workers[number].gone:
            self._workers[number] = self._start(number)

    def _killed(self, worker: Worker, seconds: float) -> None:
        self.history.happened("killed", str(worker.number))
        self.loop.call_without_process(SESSION_SECONDS, self._session_over, worker)
        self.loop.call_without_process(max(0.1, seconds), self._restart, worker.number)

    def _session_over(self, worker: Worker) -> None:
        if worker.gone or worker.halted or worker.cut_until > self.loop.now:
            for group in self._groups.values():
                for unit in worker.units:
                    group.leave(unit)

    # --- the faults ---------------------------------------------------------------------------------------

    def _happen(self, fault: Fault) -> None:
        self.history.happened("fault", str(fault))
        getattr(self, f"_{fault.kind}")(fault, self._workers[fault.process])

    def _kill(self, fault: Fault, worker: Worker) -> None:
        if not worker.gone:
            worker.kill()
            self._killed(worker, fault.seconds)

    def _stop(self, fault: Fault, worker: Worker) -> None:
        def ended() -> None:
            if not worker.gone:
                worker.kill()
                self._killed(worker, fault.seconds)

        if not worker.gone:
            worker.stop(ended)
            self.loop.call_without_process(STOP_SECONDS, ended)

    def _lose_disk(self, fault: Fault, worker: Worker) -> None:
        self._kill(fault, worker)
        self._disks[fault.process].clear()
        rmtree(self._key_directory(fault.process), ignore_errors=True)

    def _kill_at_step(self, fault: Fault, worker: Worker) -> None:
        worker.at_step(fault.about, Failpoint(fault.step), fault.times, lambda: self._kill(fault, worker))

    def _freeze(self, fault: Fault, worker: Worker) -> None:
        if not worker.halted:
            self.history.happened("frozen", str(worker.number))
            worker.freeze()
            self.loop.call_without_process(fault.seconds, worker.thaw)
            self.loop.call_without_process(SESSION_SECONDS, self._session_over, worker)

    def _freeze_at_step(self, fault: Fault, worker: Worker) -> None:
        worker.at_step(fault.about, Failpoint(fault.step), fault.times, lambda: self._freeze(fault, worker))

    def _cut(self, fault: Fault, worker: Worker) -> None:
        worker.cut_until = max(worker.cut_until, self.loop.now + fault.seconds)
        self.loop.call_without_process(SESSION_SECONDS, self._session_over, worker)

    def _rebalance(self, fault: Fault, worker: Worker) -> None:
        for name, group in self._groups.items():
            if name.startswith(fault.about):
                group.rebalance()

    def _brokers_stop(self, fault: Fault, worker: Worker) -> None:
        self.broker.stop_for(fault.seconds)

    def _slow_brokers(self, fault: Fault, worker: Worker) -> None:
        self._trouble(fault, slow_seconds=fault.amount)

    def _slow_storing(self, fault: Fault, worker: Worker) -> None:
        self._trouble(fault, storing_seconds=fault.amount)

    def _failing_batches(self, fault: Fault, worker: Worker) -> None:
        self._trouble(fault, failing=fault.amount)

    def _trouble(self, fault: Fault, **changes: float) -> None:
        self.broker.trouble = replace(self.broker.trouble, **changes)
        self.loop.call_without_process(fault.seconds, self._no_trouble, tuple(changes))

    def _no_trouble(self, names: Sequence[str]) -> None:
        self.broker.trouble = replace(self.broker.trouble, **{name: getattr(Trouble(), name) for name in names})

    def _skew(self, fault: Fault, worker: Worker) -> None:
        self._set_skew(fault.process, fault.amount)
        self.loop.call_without_process(fault.seconds, self._set_skew, fault.process, 0.0)

    def _set_skew(self, number: int, seconds: float) -> None:
        self._skews[number] = self._workers[number].skew_seconds = seconds

    def _provider(self, fault: Fault, worker: Worker) -> None:
        trouble = WireTrouble(fault.detail, fault.amount)  # type: ignore[arg-type]  # drawn from its words
        self.wire.troubles[fault.about] = trouble

        def over() -> None:
            if self.wire.troubles.get(fault.about) is trouble:
                del self.wire.troubles[fault.about]

        self.loop.call_without_process(fault.seconds, over)
