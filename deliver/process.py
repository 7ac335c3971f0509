"""The process of `paynotify deliver`: how it starts, serves its probes and stops."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from functools import partial
from typing import Any, Final

from aiokafka.errors import KafkaError
from prometheus_client import CollectorRegistry, ProcessCollector

from paynotify.deliver.caller import SubscriberCaller
from paynotify.deliver.dispatcher import Dispatcher
from paynotify.deliver.metrics import DeliverMetrics
from paynotify.deliver.record_writer import DeliveryWriter
from paynotify.deliver.state_reader import StateReader
from paynotify.deliver.subscription_reader import SubscriptionReader, topics_of
from paynotify.deliver.trust import Trust
from paynotify.processors.transport import patches
from paynotify.schemas import topics
from paynotify.schemas.configuration.deliver import Subscription
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError
from paynotify.service import cluster, expiry
from paynotify.service.kafka_client import client_settings
from paynotify.service.logs import event
from paynotify.service.management import Management
from paynotify.service.outage import BrokerAvailability
from paynotify.service.stopping import exit_within, wait

logger = logging.getLogger("paynotify.deliver")

_RETRY_SECONDS: Final = 2.0
_HEARTBEAT_SECONDS: Final = 0.5
_SILENCE_SECONDS: Final = 30.0
_REQUEST_MILLISECONDS: Final = 10_000
#: After the calls in progress have ended, what leaving the groups may take.
_LEAVE_SECONDS: Final = 5.0


class DeliverProcess:
    """Calls the subscribers of the configuration until SIGTERM.

    Raises:
        ConfigurationError: there is no subscription, or a file of the configuration is of no use.
    """

    def __init__(self, configuration: Configuration, management_address: str) -> None:
        self._configuration = configuration
        self._settings = configuration.deliver
        if not self._settings.subscriptions:
            raise ConfigurationError(
                "There is nothing to do: the configuration has no subscription. Add one under deliver.subscriptions."
            )
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._metrics = DeliverMetrics(registry)
        expiry.watch(registry, configuration.kafka)
        self._brokers = BrokerAvailability(logger)
        self._readers: list[SubscriptionReader] = []
        self._callers: list[SubscriberCaller] = []
        self._is_stopping = False
        self._heartbeat_at: float | None = None  # until it delivers
        self._management = Management("deliver", management_address, registry, self._live, self._ready)

    async def run(self) -> int:
        """Deliver. Exit code 0 after SIGTERM or SIGINT."""
        patches.install()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        self._management.start()
        try:
            check = partial(cluster.check_present, self._configuration, self._topics())
            if await self._brokers.wait(check, stop):
                await self._deliver(stop)
        finally:
            self._management.stop()
            event(logger, "stopped")
        return 0

    async def _deliver(self, stop: asyncio.Event) -> None:
        kafka = self._configuration.kafka
        client = {**client_settings(kafka, "paynotify-deliver"), "request_timeout_ms": _REQUEST_MILLISECONDS}
        writer = DeliveryWriter({**client, "max_request_size": topics.RESPONSE_BYTES})
        state = StateReader(client, kafka.topic(topics.DELIVERIES_STATE), lambda: self._changed(state))
        trust = Trust(self._settings.ca)
        self._callers = [SubscriberCaller(one, self._settings, trust) for one in self._settings.subscriptions]
        if not await _started(writer, stop):
            return
        state.start()
        self._readers = [
            self._reader(one, caller, client, state, writer)
            for one, caller in zip(self._settings.subscriptions, self._callers, strict=True)
        ]
        running = [asyncio.ensure_future(one.run()) for one in self._readers]
        event(logger, "deliver_started", subscriptions=[one.id for one in self._settings.subscriptions])
        while not stop.is_set():
            self._heartbeat_at = time.monotonic()
            await wait(stop, _HEARTBEAT_SECONDS)
        self._is_stopping = True
        exit_within(self._settings.drain_seconds + _LEAVE_SECONDS, logger)
        for one in self._readers:
            one.stop()
        await asyncio.gather(*running, return_exceptions=True)
        await state.stop()
        await writer.stop()
        for caller in self._callers:
            await caller.close()

    def _reader(
        self,
        subscription: Subscription,
        caller: SubscriberCaller,
        client: dict[str, Any],
        state: StateReader,
        writer: DeliveryWriter,
    ) -> SubscriptionReader:
        kafka, settings, metrics = self._configuration.kafka, self._settings, self._metrics
        metrics.disown(subscription.id)

        def dispatcher() -> Dispatcher:
            return Dispatcher(subscription, settings, kafka, caller, writer, state, metrics)

        return SubscriptionReader(subscription, settings, kafka, client, dispatcher, state, writer, metrics)

    def _changed(self, state: StateReader) -> None:
        for one in self._readers:
            self._metrics.disabled.labels(one.subscription.id).set(state.is_disabled(one.subscription.id))
            one.changed()

    def _live(self) -> str | None:
        if self._heartbeat_at is None:
            return None
        silent_seconds = time.monotonic() - self._heartbeat_at
        return f"the event loop has not run for {silent_seconds:.0f} s" if silent_seconds > _SILENCE_SECONDS else None

    def _ready(self) -> str | None:
        if self._is_stopping:
            return "stopping"
        if not self._readers:
            return self._brokers.problem or "starting"
        outside = [one.subscription.id for one in self._readers if not one.is_member]
        return f"not a member of its group yet: {', '.join(outside)}" if outside else None

    def _topics(self) -> list[str]:
        """The topics (names on the cluster) that are read and written."""
        kafka = self._configuration.kafka
        read = [name for one in self._settings.subscriptions for name in topics_of(one, kafka)]
        return sorted({*read, kafka.topic(topics.DELIVERIES_STATE), kafka.topic(topics.DELIVERIES_DEAD)})


async def _started(writer: DeliveryWriter, stop: asyncio.Event) -> bool:
    while not stop.is_set():
        try:
            await writer.start()
            return True
        except KafkaError as error:
            event(logger, "producer_failed_retrying", level=logging.WARNING, error=type(error).__name__)
        await wait(stop, _RETRY_SECONDS)
    return False
