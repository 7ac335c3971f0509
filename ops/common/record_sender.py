"""Sending records: each is acknowledged by all in-sync brokers, or the tool ends with an error."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError

from schemas import topics
from schemas.configuration.model import KafkaSettings
from schemas.errors import ClusterUnavailableError
from schemas.records import Output
from service.kafka_client import client_settings

_IN_FLIGHT: Final = 200
_RECORD_OVERHEAD_BYTES: Final = 256 * 1024
_ANSWER_SECONDS: Final = 30


class RecordSender:
    """An idempotent producer that never has more than a few hundred records open, as a context manager.

    ``what`` names a record in errors, ``remedy`` says what to do when the brokers did not take one.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        *,
        client_id: str = "paynotify-replay",
        what: str = "a replayed record",
        remedy: str = "start the replay again: what was sent is left out then",
    ) -> None:
        self._kafka = kafka
        self._client_id = client_id
        self._what = what
        self._remedy = remedy
        self._open: list[Any] = []
        self._producer: Any = None

    def __enter__(self) -> RecordSender:
        try:
            self._producer = KafkaProducer(
                **client_settings(self._kafka, self._client_id),
                acks="all",
                enable_idempotence=True,
                linger_ms=5,
                max_request_size=topics.RESPONSE_BYTES + _RECORD_OVERHEAD_BYTES,
            )
        except KafkaError as error:
            raise self._failed(error) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            # also after Ctrl-C: what was handed over is finished, so the next start knows of it
            self._settle()
        finally:
            self._producer.close(timeout=_ANSWER_SECONDS)

    def send(self, output: Output) -> None:
        """Hand one record over.

        Raises:
            ClusterUnavailableError: the brokers did not take it or one before it.
        """
        try:
            self._open.append(self._producer.send(output.topic, output.value, output.key, list(output.headers)))
        except KafkaError as error:
            raise self._failed(error) from None
        if len(self._open) >= _IN_FLIGHT:
            self._settle()

    def _settle(self) -> None:
        waiting, self._open = self._open, []
        try:
            for one in waiting:
                one.get(timeout=_ANSWER_SECONDS)
        except KafkaError as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> ClusterUnavailableError:
        return ClusterUnavailableError(
            f"The brokers at {self._kafka.bootstrap_servers} did not take {self._what} ({type(error).__name__}). "
            f"See that they are well and {self._remedy}."
        )


def turns(per_second: float) -> Callable[[], None]:
    """Waits until the next record's turn has come. What was missed is not caught up: a burst is what it prevents."""
    due = time.monotonic()

    def turn() -> None:
        nonlocal due
        now = time.monotonic()
        if due > now:
            time.sleep(due - now)
        due = max(due, now) + 1 / per_second

    return turn
