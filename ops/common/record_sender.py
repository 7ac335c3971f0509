"""Sends records: all in-sync replicas acknowledge each one, or the tool ends with an error."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError

from paynotify.schemas import topics
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import ClusterUnavailableError
from paynotify.schemas.records import Output
from paynotify.service.kafka_client import client_settings, opened

_MAX_UNACKNOWLEDGED: Final = 200
_RECORD_OVERHEAD_BYTES: Final = 256 * 1024
_ACKNOWLEDGE_SECONDS: Final = 30


class RecordSender:
    """An idempotent producer with at most a few hundred unacknowledged records; a context manager.

    ``what`` names a record in errors; ``remedy`` says what to do after a record was not acknowledged. ``block_seconds``
    is how long a record waits for its topic to be known.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        *,
        client_id: str = "paynotify-replay",
        what: str = "a replayed record",
        remedy: str = "start the replay again; it skips the records that were already sent",
        block_seconds: float = 60.0,
    ) -> None:
        self._kafka = kafka
        self._client_id = client_id
        self._what = what
        self._remedy = remedy
        self._block_seconds = block_seconds
        self._unacknowledged: list[Any] = []
        self._producer: Any = None

    def __enter__(self) -> RecordSender:
        settings = {
            **client_settings(self._kafka, self._client_id),
            "acks": "all",
            "enable_idempotence": True,
            "linger_ms": 5,
            "max_block_ms": round(self._block_seconds * 1000),
            "max_request_size": topics.RESPONSE_BYTES + _RECORD_OVERHEAD_BYTES,
        }
        try:
            self._producer = opened(KafkaProducer, settings)
        except KafkaError as error:
            raise self._failed(error) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            # also after Ctrl-C: otherwise the next start could not see records that were already on their way
            self.flush()
        finally:
            self._producer.close(timeout=_ACKNOWLEDGE_SECONDS)

    def send(self, output: Output) -> None:
        """Queue one record; block while too many are unacknowledged.

        Raises:
            ClusterUnavailableError: the brokers did not acknowledge this record or an earlier one.
        """
        try:
            self._unacknowledged.append(
                self._producer.send(output.topic, output.value, output.key, list(output.headers))
            )
        except KafkaError as error:
            raise self._failed(error) from None
        if len(self._unacknowledged) >= _MAX_UNACKNOWLEDGED:
            self.flush()

    def flush(self) -> None:
        """Return once the brokers have acknowledged every record.

        Raises:
            ClusterUnavailableError: they did not acknowledge one of them.
        """
        pending, self._unacknowledged = self._unacknowledged, []
        try:
            for one in pending:
                one.get(timeout=_ACKNOWLEDGE_SECONDS)
        except KafkaError as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> ClusterUnavailableError:
        return ClusterUnavailableError(
            f"The brokers at {self._kafka.bootstrap_servers} did not acknowledge {self._what} "
            f"({type(error).__name__}). "
            f"Check that they are healthy and {self._remedy}."
        )


def rate_limiter(per_second: float) -> Callable[[], None]:
    """A function that blocks until the next record may be sent.

    Time that was lost is not caught up: the limit exists to prevent bursts.
    """
    next_at = time.monotonic()

    def wait() -> None:
        nonlocal next_at
        now = time.monotonic()
        if next_at > now:
            time.sleep(next_at - now)
        next_at = max(next_at, now) + 1 / per_second

    return wait
