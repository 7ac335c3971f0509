"""The worker process: which units it runs, with what, and how it starts and stops. All wiring is here."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import httpx
from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry, ProcessCollector

from processors import failpoint, sabotage
from processors.allowance import Allowance
from processors.announce import Announce
from processors.budget import share
from processors.charge import Charge, ChargeClock
from processors.desk import Shops
from processors.expectations import Expectations, ExpectationsView
from processors.failpoint import Reached
from processors.fetch import Fetch
from processors.interpret import Interpret
from processors.lag import LagWatch
from processors.metrics import Metrics
from processors.orders import RAISE, Orders, OrdersClock, look_lane
from processors.pace import Pace
from processors.provider import Account, Outside, Provider, account_of
from processors.providers import CHARGERS, PROVIDERS
from processors.providers.http import open_client
from processors.providers.recovery import lookup_key, recovery_lookup
from processors.reputation import Reputation
from processors.requested import Requested
from processors.requeue import Requeue
from processors.resolve import Resolve
from processors.retention import Retention
from processors.unit import REQUEST_SECONDS, Unit, Work
from processors.verify import Verify
from schemas import topics
from schemas.configuration import Configuration
from schemas.configuration import Worker as WorkerSettings
from schemas.errors import ClusterUnready, ConfigurationError
from schemas.merchants import Merchant, provider_of
from schemas.messages import Lookup
from schemas.secrets import Secret
from service import cluster, expiry
from service.aiokafka_client import aiokafka_settings
from service.logs import event
from service.management import Management

logger = logging.getLogger("paynotify.worker")

_OF_A_PROVIDER: Final = ("verify", "fetch", "interpret")
STAGES: Final = (*_OF_A_PROVIDER, "resolve", "orders", "charge")

#: Raw answers are large; fewer of them are held at a time.
_RESPONSES_AT_A_TIME: Final = 50
#: They wait for their time while earlier ones are published: after a rebalance the whole batch comes again.
_RETRIES_AT_A_TIME: Final = 50
_BROKER_SILENCE_SECONDS: Final = 30.0
_LOOP_SILENCE_SECONDS: Final = 30.0
_ASK_AGAIN_SECONDS: Final = 2.0
_TURN_SECONDS: Final = 0.5
_STATE_MARGIN: Final = 2
#: A batch at work may take most of it to end well; whoever runs processes kills after 30 s as a rule.
_STOP_SECONDS: Final = 24.0
_DAY_SECONDS: Final = 24 * 3600.0
_KNOWN_IDS_SECONDS: Final = 3 * 24 * 3600
#: As long as ``payments.expected`` is kept.
_ORDERS_SECONDS: Final = 90 * 24 * 3600
#: As long as the changelog of the charges is kept.
_CHARGES_SECONDS: Final = 400 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Choice:
    """Which part of the work this process does; empty means all."""

    providers: Collection[str] = ()
    stages: Collection[str] = ()

    def takes(self, stage: str, provider: str | None) -> bool:
        """Whether the stage is chosen. resolve serves all providers and goes with each choice of one."""
        if provider is not None and self.providers and provider not in self.providers:
            return False
        return not self.stages or stage in self.stages


def works_of(
    configuration: Configuration,
    choice: Choice,
    metrics: Metrics,
    http: httpx.AsyncClient,
    expectations: Expectations,
    reached: Reached,
) -> dict[str, tuple[Work, ...]]:
    """The units chosen, by name, and what each does."""
    works: dict[str, tuple[Work, ...]] = {}
    for provider in PROVIDERS.values():
        merchants = configuration.merchants_of(provider.name)
        stages = [stage for stage in _OF_A_PROVIDER if choice.takes(stage, provider.name)]
        if not merchants or not stages:
            continue  # and their secrets need not be where this process runs
        accounts = {name: account_of(one) for name, one in merchants.items()}
        makers: Mapping[str, Callable[[], tuple[Work, ...]]] = {
            "verify": lambda p=provider, a=accounts: _verify(configuration, p, a, metrics),  # type: ignore[misc]  # defaults bind the loop's values
            "fetch": lambda p=provider, a=accounts: _fetch(configuration, p, a, metrics, http),  # type: ignore[misc]  # defaults bind the loop's values
            "interpret": lambda p=provider, a=accounts: _interpret(configuration, p, a, metrics, expectations),  # type: ignore[misc]  # defaults bind the loop's values
        }
        for stage in stages:
            works[f"{stage}.{provider.name}"] = makers[stage]()
    if choice.takes("resolve", None):
        works["resolve"] = _resolve(configuration, metrics)
    if choice.takes("orders", None):
        works["orders"] = _orders(configuration, metrics)
    if choice.takes("charge", None):
        works["charge"] = _charge(configuration, metrics, http, reached)
    return works


def _verify(
    configuration: Configuration, provider: Provider, accounts: Mapping[str, Account], metrics: Metrics
) -> tuple[Work, ...]:
    worker, kafka = configuration.worker, configuration.kafka
    window_seconds = getattr(worker.duplicate_window_seconds, provider.name, 0.0)
    budget = None
    if provider.policy.unsigned:
        partitions = configuration.wanted_topics()[kafka.topic(topics.notifications(provider.name))][1]
        budget = share(worker.unverified_budget, partitions)
    stage = Verify(provider, accounts, kafka, metrics, window_seconds, budget)
    source = kafka.topic(topics.notifications(provider.name))
    memory_seconds = max(_KNOWN_IDS_SECONDS if budget else 3600, int(window_seconds * _STATE_MARGIN))
    stateful = window_seconds > 0 or budget is not None
    # a budget hangs on the process's own clock and on what it has spent
    work = partial(Work, stateful=stateful, repeatable=budget is None, state_seconds=memory_seconds)
    verify = work(stage, (source,), worker.batch_records)
    if budget is None:
        return (verify,)
    known = kafka.topic(topics.known(provider.name))
    return (verify, work(Reputation(provider.name, kafka), (known,), worker.batch_records))


def _fetch(
    configuration: Configuration,
    provider: Provider,
    accounts: Mapping[str, Account],
    metrics: Metrics,
    http: httpx.AsyncClient,
) -> tuple[Work, ...]:
    worker, kafka = configuration.worker, configuration.kafka
    stage = Fetch(
        provider,
        accounts,
        kafka,
        _outside(worker, http),
        metrics,
        delays_seconds=worker.retry_delays_seconds,
        calls_in_flight=worker.provider_calls_in_flight,
    )
    retries = tuple(
        kafka.topic(topics.retry(provider.name, step)) for step in range(1, len(worker.retry_delays_seconds) + 1)
    )
    remembers = provider.policy.remembers_answered
    memory_seconds = max(3600, int(provider.policy.answered_window_seconds * _STATE_MARGIN))
    return (
        Work(
            stage,
            (kafka.topic(topics.lookups(provider.name)),),
            worker.batch_records,
            stateful=remembers,
            state_seconds=memory_seconds,
        ),
        Work(Requeue(provider.name, kafka), retries, _RETRIES_AT_A_TIME),
    )


def _interpret(
    configuration: Configuration,
    provider: Provider,
    accounts: Mapping[str, Account],
    metrics: Metrics,
    expectations: Expectations,
) -> tuple[Work, ...]:
    source = configuration.kafka.topic(topics.responses(provider.name))
    stage = Interpret(provider, accounts, configuration.kafka, metrics, expectations)
    return (Work(stage, (source,), _RESPONSES_AT_A_TIME),)


def _resolve(configuration: Configuration, metrics: Metrics) -> tuple[Work, ...]:
    required = {merchant.id for merchant in configuration.merchants if merchant.expected == "required"}
    stage = Resolve(configuration.kafka, metrics, required, _charging(configuration))
    source = configuration.kafka.topic(topics.OBSERVATIONS)
    kept = configuration.worker.retention
    forgotten_after_days = kept.forgotten_after_days
    keeping = Retention(
        closed_after_seconds=kept.closed_after_days * _DAY_SECONDS,
        forgotten_after_seconds=None if forgotten_after_days is None else forgotten_after_days * _DAY_SECONDS,
        now=lambda: datetime.now(UTC),
    )
    return (
        Work(stage, (source,), configuration.worker.batch_records, stateful=True, repeatable=True, keeping=keeping),
    )


def _orders(configuration: Configuration, metrics: Metrics) -> tuple[Work, ...]:
    kafka, worker = configuration.kafka, configuration.worker
    merchants = {merchant.id: merchant for merchant in configuration.merchants}
    providers = {name: provider_of(merchant) for name, merchant in merchants.items()}
    unsigned = [provider.name for provider in PROVIDERS.values() if provider.policy.unsigned]
    orders = kafka.topic(topics.ORDERS)
    partitions = configuration.wanted_topics()[orders][1]

    def recover(
        merchant: str, order_id: str | None, payment_id: str | None, cause: str, at: str
    ) -> tuple[bytes, Lookup] | None:
        lookup = recovery_lookup(
            merchants[merchant], order_id=order_id, payment_id=payment_id, lookup_cause=cause, at=at
        )
        return None if lookup is None else (lookup_key(lookup), lookup)

    def per_hour(merchant: Merchant) -> Allowance:
        rare = PROVIDERS[provider_of(merchant)].policy.recovers_rarely
        budget = worker.recovery_calls_per_hour if rare else worker.overdue.lookups_per_hour
        share = max(1, budget // partitions)
        # a minute's worth at once: what an outage made overdue must not become a storm
        return Allowance(share, most=max(1.0, share / 60))

    lanes = {RAISE: None, **{look_lane(name): per_hour(merchant) for name, merchant in merchants.items()}}
    clock = OrdersClock(orders, lanes, metrics, settles={RAISE: worker.overdue.settle_seconds})
    announce = Announce(providers, unsigned, kafka, metrics)
    stage = Orders(providers, kafka, metrics, recover, worker.overdue, worker.silence)
    return (
        Work(announce, (kafka.topic(topics.EXPECTED),), worker.batch_records),
        Work(
            stage,
            (orders,),
            worker.batch_records,
            stateful=True,
            repeatable=True,
            state_seconds=_ORDERS_SECONDS,
            clock=clock,
        ),
    )


def _charging(configuration: Configuration) -> dict[str, Merchant]:
    """The merchants that may charge, by id."""
    return {one.id: one for one in configuration.merchants if getattr(one, "charges", None) is not None}


def _charge(
    configuration: Configuration, metrics: Metrics, http: httpx.AsyncClient, reached: Reached
) -> tuple[Work, ...]:
    kafka, worker = configuration.kafka, configuration.worker
    charging = _charging(configuration)
    charges = kafka.topic(topics.CHARGES)
    partitions = configuration.wanted_topics()[charges][1]
    shops = Shops(
        accounts={name: account_of(merchant) for name, merchant in charging.items()},
        chargers=CHARGERS,
        providers={merchant.id: provider_of(merchant) for merchant in configuration.merchants},
        kafka=kafka,
    )
    stage = Charge(
        shops,
        _outside(worker, http),
        metrics,
        reached=reached,
    )
    allowances = {name: Allowance(max(1, worker.overdue.lookups_per_hour // partitions)) for name in charging}
    clock = ChargeClock(charges, allowances, metrics)
    return (
        Work(Requested(kafka, metrics), (kafka.topic(topics.REQUESTED),), worker.batch_records),
        Work(stage, (charges,), charges_at_a_time(worker), stateful=True, state_seconds=_CHARGES_SECONDS, clock=clock),
    )


def charges_at_a_time(worker: WorkerSettings) -> int:
    """No more than have their calls at the same time: a batch ends with its slowest, and others wait for that."""
    return min(worker.batch_records, worker.provider_calls_in_flight)


def _outside(worker: WorkerSettings, http: httpx.AsyncClient) -> Outside:
    return Outside(
        http=http,
        now=lambda: datetime.now(UTC),
        answer_bytes=worker.provider_answer_bytes,
        timeout_seconds=worker.provider_timeout_seconds,
        transactions_per_query=worker.transactions_per_query,
        pace=Pace(worker.pulls_per_second),
        recovery=Allowance(worker.recovery_calls_per_hour),
    )


class Worker:
    """The process: its units, the management port, and the judgement on its own health."""

    def __init__(
        self, configuration: Configuration, choice: Choice, management_address: str, state_directory: Path
    ) -> None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._metrics = Metrics(registry)
        tokens = (getattr(merchant, "refresh_token", None) for merchant in configuration.merchants)
        expiry.watch(registry, configuration.kafka, [Secret(token) for token in tokens if token is not None])
        self._configuration = configuration
        self._choice = choice
        self._state_directory = state_directory
        self._units: list[Unit] = []
        self._started = False
        self._stopping = False
        self._waits_for: str | None = None
        self._beat_at = time.monotonic()
        self._lag: LagWatch | None = None
        self._management = Management("worker", management_address, registry, self._live, self._ready, self._begun)

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT (0), or until a unit has failed for good (1). Brokers and topics that are not
        there yet are waited for.

        Raises:
            ConfigurationError: something that waiting does not mend.
        """
        stop = asyncio.Event()

        def told_to_stop() -> None:
            stop.set()
            _end_within(_STOP_SECONDS)

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, told_to_stop)
        self._management.start()
        # each provider's fetch keeps to its own number of calls; with fewer connections than all of them together a
        # slow provider would take those of the others; each partition of the charges has its own number too
        charged = self._configuration.wanted_topics()[self._configuration.kafka.topic(topics.CHARGES)][1]
        connections = self._configuration.worker.provider_calls_in_flight * (len(PROVIDERS) + charged)
        async with open_client(connections) as http:
            kafka = self._configuration.kafka
            reader = aiokafka_settings(kafka, "paynotify-expectations")
            self._expectations = ExpectationsView(
                {**reader, "request_timeout_ms": round(REQUEST_SECONDS * 1000)},
                kafka.topic(topics.EXPECTED),
                self._state_directory / f"{kafka.topic_prefix}paynotify.expected",
                _ORDERS_SECONDS,
            )
            reached = failpoint.from_environment(sandbox=self._configuration.sandbox)
            works = works_of(self._configuration, self._choice, self._metrics, http, self._expectations, reached)
            if not works:
                raise ConfigurationError(
                    "There is nothing to do: no merchant of the configuration is one of the chosen providers'. "
                    "Add one under `merchants`, or choose others with --provider and --stage."
                )
            if not await self._cluster_comes(stop):
                return 0
            loop_kind = sabotage.loop_from_environment(sandbox=self._configuration.sandbox)
            self._units = [
                Unit(name, parts, self._configuration, self._metrics, self._state_directory, reached, loop_kind)
                for name, parts in works.items()
            ]
            self._lag = LagWatch(kafka, self._units, self._metrics, self._configuration.worker.standstill_seconds)
            try:
                return await self._work(stop)
            finally:
                self._stopping = True
                _end_within(_STOP_SECONDS)
                await asyncio.gather(*(unit.stop() for unit in self._units), return_exceptions=True)
                await self._expectations.stop()
                self._lag.stop()
                self._management.stop()
                event(logger, "stopped")

    async def _cluster_comes(self, stop: asyncio.Event) -> bool:
        """Whether brokers and topics were there before the process was told to stop.

        Raises:
            ClusterError: they are there, but not as the configuration says.
        """
        while not stop.is_set():
            try:
                await asyncio.to_thread(cluster.check, self._configuration)
            except ClusterUnready as error:
                if self._waits_for is None:
                    event(logger, "brokers not usable", level=logging.WARNING, problem=str(error))
                self._waits_for = str(error)
                # kafka-python leaves each refused connection's socket in a reference cycle, and a process that only
                # waits collects so rarely that it would run out of files
                gc.collect()
                await _told_within(stop, _ASK_AGAIN_SECONDS)
            else:
                self._waits_for = None
                return True
        return False

    async def _work(self, stop: asyncio.Event) -> int:
        assert self._lag is not None
        try:
            await asyncio.gather(*(unit.start() for unit in self._units))
        except KafkaError as error:
            event(logger, "units could not start", level=logging.ERROR, error=type(error).__name__)
            return 1
        self._lag.start()
        if self._reads_expectations:
            self._expectations.start()
        self._started = True
        event(logger, "working", units=[unit.name for unit in self._units])
        while not stop.is_set():
            self._beat_at = time.monotonic()
            failed = [unit.name for unit in self._units if unit.failed]
            if failed:
                event(logger, "units failed, the process ends to be started again", level=logging.ERROR, units=failed)
                return 1
            await _told_within(stop, _TURN_SECONDS)
        return 0

    @property
    def _reads_expectations(self) -> bool:
        return any(unit.name.startswith("interpret") for unit in self._units)

    def _live(self) -> str | None:
        silent_seconds = time.monotonic() - self._beat_at
        if self._started and silent_seconds > _LOOP_SILENCE_SECONDS:
            return f"the event loop has not turned for {silent_seconds:.0f} s"
        return "; ".join(self._lag.standing_still()) or None if self._lag is not None else None

    def _begun(self) -> str | None:
        """What is left of the start. Brokers that are away are not: a new start would not help."""
        if self._waits_for is not None:
            return None
        lag = self._lag
        if lag is not None and lag.answered_at is not None and lag.seconds_since_answer() > _BROKER_SILENCE_SECONDS:
            return None
        return self._ready()

    def _ready(self) -> str | None:
        if not self._started or self._stopping:
            return (self._waits_for or "starting") if not self._stopping else "stopping"
        if self._lag is None or self._lag.seconds_since_answer() > _BROKER_SILENCE_SECONDS:
            return "the brokers have not answered lately"
        waiting = [unit.name for unit in self._units if unit.app.rebalancing or not unit.assigned()]
        if waiting:
            return f"no partitions yet: {', '.join(waiting)}"
        if self._reads_expectations and self._expectations.behind:
            return "expected payments are being read"
        recovering = [unit.name for unit in self._units if unit.recovering()]
        return f"state is being recovered: {', '.join(recovering)}" if recovering else None


async def _told_within(stop: asyncio.Event, seconds: float) -> None:
    """Wait for so long, or until the process is told to stop."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), timeout=seconds)


def _end_within(seconds: float) -> None:
    """End the process after that time if it has not ended by itself.

    While the brokers are away a unit can neither start nor stop, and publishes for ever. Ending then is what kill -9
    is at any step: harmless (G5).
    """

    def end() -> None:
        event(logger, "could not stop in time, the process ends as it is", level=logging.ERROR)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
