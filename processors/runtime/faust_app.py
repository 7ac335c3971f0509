"""The Faust app of one consumer group: its settings, its credentials, and the runtime's view of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import faust

from paynotify.processors.transport.batch_writer import Written
from paynotify.processors.transport.faust_driver import FaustTransport, FlowControl
from paynotify.schemas import topics
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.records import Output
from paynotify.service.kafka_credentials import password, tls
from paynotify.service.token_sources import broker_token

_HOUR_SECONDS: Final = 3600.0

#: How long brokers may take to respond before the connection is given up. Nothing else shows a connection that is open
#: but dead; commit, fetch and publish each wait this long. (Heartbeats: `processors.transport.group_coordinator`.)
REQUEST_SECONDS: Final = 10.0

#: How long Faust may take to seek to the committed offsets after a rebalance. When that time is over it ends the task
#: that does so, for good: no partition of the group would ever be read again. Each request has its own time limit.
_RESUME_SECONDS: Final = 30 * 24 * _HOUR_SECONDS

#: How long a group waits for a live member that does not join again, before it goes on without it. A batch in progress
#: may take 20 seconds of them to finish.
_REBALANCE_SECONDS: Final = 30.0

#: Records taken from the client at a time, of all partitions.
_MAX_POLL_RECORDS: Final = 250
#: What a partition's buffer may hold: one more, which is on its way.
_MAX_FETCHES: Final = 6


def create_app(configuration: Configuration, group: str, state_directory: Path, batch_records: int) -> Any:
    """The group's Faust app, not started yet. ``batch_records`` is the largest batch of its stages."""
    kafka, worker = configuration.kafka, configuration.worker
    max_delay_seconds = max(worker.retry_delays_seconds)
    poll_records = min(_MAX_POLL_RECORDS, batch_records)
    data_directory = state_directory / group
    data_directory.mkdir(parents=True, exist_ok=True)
    instance = f"{worker.group_instance_id}.{group}" if worker.group_instance_id else None
    app = faust.App(
        group,
        broker=[f"kafka://{server.strip()}" for server in kafka.bootstrap_servers.split(",")],
        broker_credentials=broker_credentials(kafka),
        datadir=str(data_directory),
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=instance,
        broker_session_timeout=worker.session_timeout_seconds,
        broker_rebalance_timeout=max(_REBALANCE_SECONDS, worker.session_timeout_seconds),
        broker_heartbeat_interval=worker.session_timeout_seconds / 4,
        broker_request_timeout=_RESUME_SECONDS,
        broker_max_poll_interval=max_delay_seconds * 2 + _HOUR_SECONDS,
        broker_commit_interval=1.0,
        broker_max_poll_records=poll_records,
        # A partition with so many fetches in its buffer, less a fifth, is no longer fetched.
        stream_buffer_maxsize=_MAX_FETCHES,
        stream_wait_empty=False,
        # a retry topic waits for as long as its delay; health is judged elsewhere, by offsets
        stream_processing_timeout=max_delay_seconds * 2 + _HOUR_SECONDS,
        producer_request_timeout=REQUEST_SECONDS,
        producer_acks=-1,
        producer_linger_ms=1,
        producer_max_batch_size=256 * 1024,
        producer_max_request_size=topics.RESPONSE_BYTES,
    )
    app.transport = FaustTransport(app.conf.broker_consumer, app)
    app.flow_control = FlowControl()
    return app


def broker_credentials(kafka: KafkaSettings) -> Any:
    """Faust's credentials for the brokers; None for plaintext without authentication."""
    context = tls(kafka)
    if (token := broker_token(kafka)) is not None:
        return faust.OAuthCredentials(oauth_cb=token, ssl_context=context)  # only handed on to aiokafka's connections
    if kafka.sasl_mechanism is not None:
        return faust.SASLCredentials(
            username=kafka.sasl_plain_username,
            password=password(kafka),  # type: ignore[arg-type]  # Faust only hands it on to aiokafka's connections
            mechanism=kafka.sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context=context) if context is not None else None


class AppProducer:
    """The app's producer, which exists only once the app has started."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def write(self, outputs: Sequence[Output]) -> Sequence[float]:
        written: Written = await self._app.producer.write(outputs)
        return written.stamps_seconds


class AppMembership:
    """The app's membership in its consumer group."""

    def __init__(self, app: Any) -> None:
        self._app = app

    @property
    def generation(self) -> int:
        return int(self._app.consumer_generation_id)

    @property
    def confirmed(self) -> bool:
        return bool(self._app.consumer.confirmed)

    @property
    def stopping(self) -> bool:
        return bool(self._app.should_stop)
