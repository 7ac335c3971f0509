"""The worker process: how it starts, judges its own health and stops. What its units do: `processors.wiring`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry, ProcessCollector

from processors.metrics import Metrics
from processors.orders.expectation_cache import ExpectationCache
from processors.providers.http import open_client
from processors.providers.registry import PROVIDERS
from processors.runtime import failpoints, sabotage
from processors.runtime.lag import LagWatch
from processors.runtime.runner import REQUEST_SECONDS, StageRunner
from processors.transport import patches
from processors.wiring import ORDERS_SECONDS, StageSelection, build_stages
from schemas import topics
from schemas.configuration.model import Configuration
from schemas.configuration.secrets import Secret
from schemas.errors import ClusterUnavailableError, ConfigurationError, MissingTopicsError
from service import cluster, expiry
from service.kafka_client import client_settings
from service.logs import event
from service.management import Management
from service.outage import BrokerAvailability

logger = logging.getLogger("paynotify.worker")

_BROKER_SILENCE_SECONDS: Final = 30.0
_LOOP_SILENCE_SECONDS: Final = 30.0
_ASK_AGAIN_SECONDS: Final = 2.0
_TURN_SECONDS: Final = 0.5
#: A batch at work may take most of it to end well; whoever runs processes kills after 30 s as a rule.
_STOP_SECONDS: Final = 24.0


class Worker:
    """The process: its units, the management port, and the judgement on its own health."""

    def __init__(
        self, configuration: Configuration, choice: StageSelection, management_address: str, state_directory: Path
    ) -> None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._metrics = Metrics(registry)
        tokens = (getattr(merchant, "refresh_token", None) for merchant in configuration.merchants)
        expiry.watch(registry, configuration.kafka, [Secret(token) for token in tokens if token is not None])
        self._configuration = configuration
        self._choice = choice
        self._state_directory = state_directory
        self._units: list[StageRunner] = []
        self._started = False
        self._stopping = False
        self._brokers = BrokerAvailability(logger)
        self._beat_at = time.monotonic()
        self._lag: LagWatch | None = None
        self._management = Management("worker", management_address, registry, self._live, self._ready, self._begun)

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT (0), or until a unit has failed for good (1). Brokers and topics that are not
        there yet are waited for.

        Raises:
            ConfigurationError: something that waiting does not mend.
        """
        patches.install(faust=True)
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
            reader = client_settings(kafka, "paynotify-expectations")
            self._expectations = ExpectationCache(
                {**reader, "request_timeout_ms": round(REQUEST_SECONDS * 1000)},
                kafka.topic(topics.EXPECTED),
                self._state_directory / f"{kafka.topic_prefix}paynotify.expected",
                ORDERS_SECONDS,
            )
            reached = failpoints.from_environment(sandbox=self._configuration.sandbox)
            works = build_stages(self._configuration, self._choice, self._metrics, http, self._expectations, reached)
            if not works:
                raise ConfigurationError(
                    "There is nothing to do: no merchant of the configuration is one of the chosen providers'. "
                    "Add one under `merchants`, or choose others with --provider and --stage."
                )
            if not await self._cluster_comes(stop):
                return 0
            loop_kind = sabotage.loop_from_environment(sandbox=self._configuration.sandbox)
            self._units = [
                StageRunner(name, parts, self._configuration, self._metrics, self._state_directory, reached, loop_kind)
                for name, parts in works.items()
            ]
            self._lag = LagWatch(kafka, self._units, self._metrics, self._configuration.worker.stall_seconds)
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
            ClusterError: a topic has another number of partitions than the configuration says.
        """
        while not stop.is_set():
            problem = None
            try:
                await asyncio.to_thread(cluster.check, self._configuration)
            except (ClusterUnavailableError, MissingTopicsError) as error:
                problem = str(error)
            self._brokers.report(problem)  # outside of `except`: an error in progress keeps its sockets
            if problem is None:
                return True
            await _told_within(stop, _ASK_AGAIN_SECONDS)
        return False

    async def _work(self, stop: asyncio.Event) -> int:
        assert self._lag is not None
        try:
            await asyncio.gather(*(unit.start() for unit in self._units))
        except KafkaError as error:
            event(logger, "stages_failed_to_start", level=logging.ERROR, error=type(error).__name__)
            return 1
        self._lag.start()
        if self._reads_expectations:
            self._expectations.start()
        self._started = True
        event(logger, "worker_started", units=[unit.name for unit in self._units])
        while not stop.is_set():
            self._beat_at = time.monotonic()
            failed = [unit.name for unit in self._units if unit.failed]
            if failed:
                event(logger, "stage_failed_exiting", level=logging.ERROR, units=failed)
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
        if self._brokers.problem is not None:
            return None
        lag = self._lag
        if lag is not None and lag.answered_at is not None and lag.seconds_since_answer() > _BROKER_SILENCE_SECONDS:
            return None
        return self._ready()

    def _ready(self) -> str | None:
        if not self._started or self._stopping:
            return (self._brokers.problem or "starting") if not self._stopping else "stopping"
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
        event(logger, "shutdown_timed_out", level=logging.ERROR)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
