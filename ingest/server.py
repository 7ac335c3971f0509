"""The ingress process: starts and stops the broker poll, the producer, the HTTP server and the management port."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
import time
from typing import Final

import uvloop

from paynotify.ingest import group_producer
from paynotify.ingest.app import Ingress
from paynotify.ingest.brokers import Brokers
from paynotify.ingest.call_traces import CallTraces
from paynotify.ingest.http_server import BACKLOG, Server, build_server, sweep
from paynotify.ingest.limits import Slots
from paynotify.ingest.metrics import IngestMetrics
from paynotify.ingest.producer_supply import ProducerSupply
from paynotify.ingest.publisher import NotificationPublisher
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.ingress import RequestOutcome
from paynotify.schemas.providers import provider_names
from paynotify.schemas.topics import notifications
from paynotify.service import expiry
from paynotify.service.listener import open_listener
from paynotify.service.logs import event
from paynotify.service.management import Management
from paynotify.service.private_names import require
from paynotify.service.traces import open_traces

logger = logging.getLogger("paynotify.ingest")

#: The event loop and the producer's thread share the interpreter lock. The default of 5 ms would be added to every
#: response on a busy machine.
_SWITCH_SECONDS: Final = 0.001
_TICK_SECONDS: Final = 0.1
_TICKS_PER_SWEEP: Final = 5
_TICKS_PER_REPORT: Final = 100
_STUCK_SECONDS: Final = 10.0
#: Brokers that respond but store no record for so long: the producer itself is stuck, and only a restart helps.
_NOTHING_STORED_SECONDS: Final = 60.0
_GC_THRESHOLDS: Final = (20_000, 20, 50)


class IngressState:
    """The answers to the management port's probes: does the event loop run, and should calls be sent here."""

    def __init__(self, brokers: Brokers, publisher: NotificationPublisher) -> None:
        self._brokers = brokers
        self._publisher = publisher
        self.beat_seconds = time.monotonic()
        self.stopping = False
        self._stuck_since_seconds: float | None = None

    def beat(self, stuck_seconds: float) -> None:
        """Called periodically by the event loop, with how long nothing could be stored."""
        self.beat_seconds = time.monotonic()
        if stuck_seconds < _STUCK_SECONDS or self._brokers.problem() is not None:
            self._stuck_since_seconds = None
        elif self._stuck_since_seconds is None:
            self._stuck_since_seconds = self.beat_seconds

    def live(self) -> str | None:
        now = time.monotonic()
        if now - self.beat_seconds > _STUCK_SECONDS:
            return f"the event loop has not run for {now - self.beat_seconds:.0f} s"
        stuck_since = self._stuck_since_seconds
        if stuck_since is not None and now - stuck_since > _NOTHING_STORED_SECONDS:
            return f"no record was stored although the brokers have responded for {now - stuck_since:.0f} s"
        return None

    def ready(self) -> str | None:
        if self.stopping:
            return "stopping"
        return self._brokers.problem() or (None if self._publisher.is_open else "the producer is not created yet")


def serve(configuration: Configuration, listen: str, management: str) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code. Waits for brokers and topics that are not available yet.

    Raises:
        ConfigurationError: an address can't be used, or a secret or certificate can't be read.
        UnsupportedLibraryError: a library lacks a private name that is used.
    """
    _quiet_libraries()
    require(group_producer.PRIVATE_NAMES)
    used = tuple(
        configuration.kafka.topic(notifications(provider))
        for provider in provider_names()
        if configuration.merchants_of(provider)
    )
    with contextlib.closing(open_listener(listen)) as listener:
        brokers = Brokers(configuration.kafka, used)
        sys.setswitchinterval(_SWITCH_SECONDS)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(configuration, listener, management, brokers))
    return 0


async def _run(
    configuration: Configuration,
    listener: socket.socket,
    management_address: str,
    brokers: Brokers,
) -> None:
    limits = configuration.ingest
    loop = asyncio.get_running_loop()
    slots = Slots(limits.max_in_flight)
    publisher = NotificationPublisher(slots, limits.publish_timeout_seconds)
    meters = IngestMetrics(provider_names(), tuple(outcome.value for outcome in RequestOutcome))
    meters.watch_in_flight(lambda: slots.taken)
    expiry.watch(meters.registry, configuration.kafka, served=limits.tls_certfile)
    exporter = open_traces("ingest")
    traces = CallTraces(exporter) if exporter is not None else None
    server = build_server(configuration, Ingress(configuration, publisher, slots, meters, traces))
    state = IngressState(brokers, publisher)
    management = Management(
        "ingest", management_address, meters.registry, state.live, state.ready, exemplars=exporter is not None
    )

    def stop() -> None:
        if not state.stopping:
            state.stopping = True
            event(logger, "stopping", in_flight=slots.taken)
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    brokers.watch(ProducerSupply(configuration, publisher, loop))
    management.start()
    listener.listen(BACKLOG)  # before the event: a reader of it may connect at once
    event(logger, "listening", port=listener.getsockname()[1], merchants=len(configuration.merchants))
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    ticker = loop.create_task(_tick(state, publisher, server))
    try:
        await server.serve(sockets=[listener])
    finally:
        ticker.cancel()
        brokers.stop()
        await publisher.close()
        if exporter is not None:
            await asyncio.to_thread(exporter.close)
        management.stop()
        event(logger, "stopped", in_flight=slots.taken)


async def _tick(state: IngressState, publisher: NotificationPublisher, server: Server) -> None:
    """Periodic tasks: the heartbeat, timeouts of requests and connections, and the log of failures."""
    loop = asyncio.get_running_loop()
    count = 0
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        count += 1
        publisher.expire()
        state.beat(publisher.stuck_seconds())
        if count % _TICKS_PER_SWEEP == 0:
            sweep(server, loop.time())
        if count % _TICKS_PER_REPORT == 0 and publisher.failures:
            failures, publisher.failures = publisher.failures, {}
            event(logger, "notifications_not_stored", level=logging.WARNING, counts=failures)


def _quiet_libraries() -> None:
    """Silence libraries that log each malformed request and each retry of an outage: callers could fill the log."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
