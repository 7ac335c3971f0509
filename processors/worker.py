"""The worker process: how it starts, serves its probes and stops. Which stages it runs: `processors.wiring`."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry, ProcessCollector

from paynotify.processors.metrics import Metrics
from paynotify.processors.orders.expectation_cache import ExpectationCache
from paynotify.processors.providers.base import CallContext
from paynotify.processors.providers.call_context import open_call_context
from paynotify.processors.providers.task_runner import background_tasks
from paynotify.processors.runtime.cpu_share import CpuShare
from paynotify.processors.runtime.failpoints import Reached, ignore
from paynotify.processors.runtime.faust_app import REQUEST_SECONDS
from paynotify.processors.runtime.health import Health
from paynotify.processors.runtime.lag import LagMonitor
from paynotify.processors.runtime.loop import StageLoop
from paynotify.processors.runtime.partition_loops import LoopSettings
from paynotify.processors.runtime.runner import StageRunner
from paynotify.processors.runtime.stage import StageSpec
from paynotify.processors.transport import patches
from paynotify.processors.wiring import ORDERS_SECONDS, StageSelection, build_stages
from paynotify.schemas import topics
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.configuration.secrets import Secret
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.providers import provider_names
from paynotify.service import cluster, expiry
from paynotify.service.card_guard import CardGuard
from paynotify.service.kafka_client import client_settings
from paynotify.service.logs import event
from paynotify.service.management import Management
from paynotify.service.outage import BrokerAvailability
from paynotify.service.stopping import exit_within, wait
from paynotify.service.traces import open_traces
from paynotify.service.value_cipher import cipher_of

logger = logging.getLogger("paynotify.worker")

_HEARTBEAT_SECONDS: Final = 0.5
#: A batch in progress may take most of it to finish; process managers usually kill after 30 s.
_STOP_SECONDS: Final = 24.0
#: In an outage kafka-python leaves sockets in reference cycles, some for each thousand objects: much higher thresholds
#: would let them use up the process's file descriptors.
_GC_THRESHOLDS: Final = (10_000, 10, 10)


class Worker:
    """The process: stage runners, management port, start and stop. Tests inject ``loop_class`` and ``reached``."""

    def __init__(
        self,
        configuration: Configuration,
        selection: StageSelection,
        management_address: str,
        state_directory: Path,
        *,
        loop_class: type[StageLoop] = StageLoop,
        reached: Reached = ignore,
    ) -> None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._metrics = Metrics(registry)
        tokens = [Secret(token) for merchant in configuration.merchants for token in merchant.expiring_tokens()]
        expiry.watch(registry, configuration.kafka, tokens)
        self._configuration = configuration
        self._selection = selection
        self._state_directory = state_directory
        self._traces = open_traces("worker")
        self._loop_settings = LoopSettings(
            configuration.worker.batch_wait_seconds,
            configuration.worker.dead_letter_limit,
            reached,
            loop_class,
            self._traces,
            cipher_of(configuration),
            CardGuard(configuration.kafka, configuration.id_fields(), self._metrics.count_card_numbers),
            CpuShare(),
        )
        self._runners: list[StageRunner] = []
        self._brokers = BrokerAvailability(logger)
        self._health = health = Health(self._brokers)
        self._management = Management(
            "worker",
            management_address,
            registry,
            health.live,
            health.ready,
            health.startup,
            exemplars=self._traces is not None,
        )

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT (0), or until a stage runner has failed for good (1).

        Waits for brokers and topics that are not there yet.

        Raises:
            ConfigurationError: the configuration must be corrected; waiting would not help.
        """
        patches.install(faust=True)
        stop = asyncio.Event()

        def request_stop() -> None:
            stop.set()
            exit_within(_STOP_SECONDS, logger)

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, request_stop)
        self._management.start()
        async with open_call_context(self._configuration.worker, self._connections()) as calls:
            expectations = self._expectation_cache()
            specs = build_stages(
                self._configuration, self._selection, self._metrics, calls, expectations, self._loop_settings.reached
            )
            if not specs:
                raise ConfigurationError(
                    "There is nothing to do: no merchant of the configuration belongs to the selected providers. "
                    "Add one under `merchants`, or select others with --provider and --stage."
                )
            if not await self._brokers.wait(partial(cluster.check, self._configuration), stop):
                return 0
            self._runners = [self._runner(name, group_specs, calls) for name, group_specs in specs.items()]
            reads_expectations = any(runner.name.startswith("interpret") for runner in self._runners)
            used = expectations if reads_expectations else None
            lag = LagMonitor(
                self._configuration.kafka, self._runners, self._metrics, self._configuration.worker.stall_seconds
            )
            self._health.observe(self._runners, lag, used)
            try:
                async with self._background_tasks(calls):
                    return await self._process(stop, lag, used)
            finally:
                self._health.stopping()
                exit_within(_STOP_SECONDS, logger)
                await asyncio.gather(*(runner.stop() for runner in self._runners), return_exceptions=True)
                await expectations.stop()
                lag.stop()
                self._management.stop()
                if self._traces is not None:
                    await asyncio.to_thread(self._traces.close)
                event(logger, "stopped")

    def _background_tasks(self, calls: CallContext) -> AbstractAsyncContextManager[None]:
        """What the providers whose notifications are verified here need done beside the stages."""
        verified = [name for name in provider_names() if any(one.name == f"verify.{name}" for one in self._runners)]
        return background_tasks(self._configuration, verified, calls, self._metrics, self._state_directory)

    def _connections(self) -> int:
        """The limit on connections to providers.

        Each provider's fetch stage, and each partition of the charges, has its own number of calls. With fewer
        connections than all of them together, a slow provider would take those of the others.
        """
        partitions = self._configuration.wanted_topics()[self._configuration.kafka.topic(topics.CHARGES)][1]
        worker = self._configuration.worker
        return worker.provider_calls_in_flight * len(provider_names()) + worker.charge_calls_in_flight * partitions

    def _expectation_cache(self) -> ExpectationCache:
        kafka = self._configuration.kafka
        settings = client_settings(kafka, "paynotify-expectations")
        return ExpectationCache(
            {**settings, "request_timeout_ms": round(REQUEST_SECONDS * 1000)},
            kafka.topic(topics.EXPECTED),
            self._state_directory / f"{kafka.topic_prefix}paynotify.expected",
            ORDERS_SECONDS,
        )

    def _runner(self, name: str, specs: tuple[StageSpec, ...], calls: CallContext) -> StageRunner:
        return StageRunner(
            name,
            specs,
            self._configuration,
            self._metrics,
            self._state_directory,
            self._loop_settings,
            calls.brokers_clock,
        )

    async def _process(self, stop: asyncio.Event, lag: LagMonitor, expectations: ExpectationCache | None) -> int:
        try:
            await asyncio.gather(*(runner.start() for runner in self._runners))
        except KafkaError as error:
            event(logger, "stages_failed_to_start", level=logging.ERROR, error=type(error).__name__)
            return 1
        lag.start()
        if expectations is not None:
            expectations.start()
        self._health.started()
        event(logger, "worker_started", stages=[runner.name for runner in self._runners])
        _spare_lasting_objects()
        while not stop.is_set():
            self._health.heartbeat()
            failed = [runner.name for runner in self._runners if runner.failed]
            if failed:
                event(logger, "stage_failed_exiting", level=logging.ERROR, stages=failed)
                return 1
            await wait(stop, _HEARTBEAT_SECONDS)
        return 0


def _spare_lasting_objects() -> None:
    """Leave what was made by now, which lasts, out of all later collections; each would take 80 ms, and a tenth of a
    busy worker's CPU."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
