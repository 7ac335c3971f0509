"""Follows topics from their end, without a consumer group, so that nothing is left on the brokers."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final, Protocol

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import ClusterUnavailableError, MissingTopicsError
from paynotify.service.kafka_client import client_settings, opened, unreachable

_CONNECT_MILLISECONDS: Final = 10_000
_RECORDS_AT_A_TIME: Final = 2_000


class ConsumedRecord(Protocol):
    """A record as kafka-python returns it; ``timestamp`` is in milliseconds."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    timestamp: int


class Tail:
    """A context manager that reads the records written to topics after it was entered.

    ``names`` are topic names without the configured prefix.

    Raises:
        ClusterUnavailableError: no broker answers, or the brokers refuse a request.
        MissingTopicsError: a topic does not exist.
    """

    def __init__(self, kafka: KafkaSettings, *names: str) -> None:
        self._kafka = kafka
        self._names = [kafka.topic(name) for name in names]
        self._consumer: Any = None

    def __enter__(self) -> Tail:
        try:
            settings = {
                **client_settings(self._kafka, "paynotify-tail"),
                "enable_auto_commit": False,
                "bootstrap_timeout_ms": _CONNECT_MILLISECONDS,
                "max_poll_records": _RECORDS_AT_A_TIME,
            }
            self._consumer = opened(KafkaConsumer, settings)
            places = [place for name in self._names for place in self._partitions(name)]
            ends = self._consumer.end_offsets(places)
            self._consumer.assign(places)
            for place in places:
                # not seek_to_end, which would look up the end only at the first read
                self._consumer.seek(place, ends[place])
        except (KafkaError, OSError, ValueError) as error:
            self._close()
            raise unreachable(self._kafka.bootstrap_servers, error) from None
        except MissingTopicsError:
            self._close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def read(self, within_seconds: float) -> list[ConsumedRecord]:
        """The new records, in order within a partition. Waits at most so long; empty if there are none.

        Raises:
            ClusterUnavailableError: the brokers stopped answering, or refuse the request.
        """
        try:
            batches = self._consumer.poll(timeout_ms=int(within_seconds * 1000))
        except KafkaError as error:
            raise ClusterUnavailableError(
                f"The brokers at {self._kafka.bootstrap_servers} stopped answering ({type(error).__name__}). "
                "Check that they are healthy. What was published before stays published."
            ) from None
        return [record for batch in batches.values() for record in batch]

    def named(self, record: ConsumedRecord) -> str:
        """The name of the record's topic, without prefix."""
        return str(record.topic).removeprefix(self._kafka.topic_prefix)

    def _partitions(self, name: str) -> list[Any]:
        partitions = self._consumer.partitions_for_topic(name)
        if not partitions:
            raise MissingTopicsError(f"The topic {name} does not exist. Create it with `paynotify topics apply`.")
        return [TopicPartition(name, number) for number in sorted(partitions)]

    def _close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
