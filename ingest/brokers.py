"""Whether the brokers answer and have the topics: asked again and again, also while they are not there yet."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from schemas.configuration.model import KafkaSettings
from schemas.errors import ClusterUnavailableError, ConfigurationError, MissingTopicsError
from service.kafka_client import client_settings, opened, unreachable
from service.outage import BrokerAvailability

logger = logging.getLogger("paynotify.ingest")

OnPartitions = Callable[[Mapping[str, int]], None]

_ASK_EVERY_SECONDS: Final = 2.0
_BOOTSTRAP_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 3.0
#: What is said until the first answer, or until the first time that none came.
_NOT_ASKED_YET: Final = "the brokers have not answered yet"
#: A check that takes longer than its own bounds allow: the thread hangs, and nobody knows about the brokers.
_STALE_SECONDS: Final = 30.0


class Brokers:
    """The cluster as the ingress needs it: reachable, with all notification topics.

    Raises:
        ConfigurationError: a secret or certificate can't be read. All else may come by itself, and is waited for.
    """

    def __init__(self, kafka: KafkaSettings, topics: tuple[str, ...]) -> None:
        self._servers = kafka.bootstrap_servers
        self._settings = {
            **client_settings(kafka, "paynotify-ingest-check"),
            "bootstrap_timeout_ms": round(_BOOTSTRAP_SECONDS * 1000),
            "request_timeout_ms": round(_ANSWER_SECONDS * 1000),
            "reconnect_backoff_max_ms": 1000,
        }
        self._topics = topics
        self._client: KafkaAdminClient | None = None
        self._availability = BrokerAvailability(logger, _NOT_ASKED_YET)
        self._asked_at_seconds = time.monotonic()
        self._stopped = threading.Event()

    def _partitions(self) -> dict[str, int]:
        """How many partitions each topic has, asked of a broker now.

        Raises:
            ClusterUnavailableError: no broker answered.
            MissingTopicsError: a topic does not exist.
        """
        try:
            if self._client is None:
                self._client = opened(KafkaAdminClient, self._settings)
            described = self._client.describe_topics(list(self._topics))
        except (KafkaError, OSError) as error:
            # a client that was made stays: it connects again by itself
            raise unreachable(self._servers, error) from None
        found = {topic["name"]: len(topic["partitions"]) for topic in described if topic["partitions"]}
        missing = [topic for topic in self._topics if topic not in found]
        if missing:
            raise MissingTopicsError(
                f"The topics {', '.join(missing)} are missing at {self._servers}. "
                "Create them with `paynotify topics apply`."
            )
        return found

    def watch(self, on_partitions: OnPartitions) -> None:
        """Keep asking in a thread until `stop`; answers go to ``on_partitions``, in that thread."""
        threading.Thread(target=self._watch, args=(on_partitions,), name="brokers", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def problem(self) -> str | None:
        """What was wrong at the last check, or that the last check is long ago."""
        if time.monotonic() - self._asked_at_seconds > _STALE_SECONDS:
            return "the brokers' state is unknown"
        return self._availability.problem

    def _watch(self, on_partitions: OnPartitions) -> None:
        while not self._stopped.is_set():
            problem = None
            try:
                on_partitions(self._partitions())
            except (ClusterUnavailableError, ConfigurationError) as error:
                # among them a secret or certificate that can't be read just now
                problem = str(error)
            except Exception as error:  # noqa: BLE001 - a check that has died would leave a healthy ingress unready
                problem = f"the brokers could not be asked ({type(error).__name__})"
            self._availability.report(problem)  # outside of `except`: an error in progress keeps its sockets
            self._asked_at_seconds = time.monotonic()
            self._stopped.wait(_ASK_EVERY_SECONDS)
        self._forget_client()

    def _forget_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(KafkaError, OSError):
                client.close()
