"""Polls the brokers for the notification topics, also before they are available, and reports what is wrong."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError, MissingTopicsError
from paynotify.service.kafka_client import client_settings, opened, unreachable
from paynotify.service.outage import BrokerAvailability
from paynotify.service.rebootstrap import ClusterReplacedError

logger = logging.getLogger("paynotify.ingest")

#: Gets the number of partitions of each topic, and the cluster's id.
OnPartitions = Callable[[Mapping[str, int], str], None]

_POLL_SECONDS: Final = 2.0
_BOOTSTRAP_SECONDS: Final = 10.0
_REQUEST_SECONDS: Final = 3.0
#: The problem until the first poll has ended.
_NOT_POLLED_YET: Final = "the brokers have not responded yet"
#: A poll that takes longer than its own timeouts allow hangs, and the brokers' state is unknown.
_STALE_SECONDS: Final = 30.0


class Brokers:
    """The cluster as the ingress needs it: reachable, with all notification topics.

    Raises:
        ConfigurationError: a secret or certificate can't be read. All other problems may pass and are polled for.
    """

    def __init__(self, kafka: KafkaSettings, topics: tuple[str, ...]) -> None:
        self._servers = kafka.bootstrap_servers
        self._settings = {
            **client_settings(kafka, "paynotify-ingest-check"),
            "bootstrap_timeout_ms": round(_BOOTSTRAP_SECONDS * 1000),
            "request_timeout_ms": round(_REQUEST_SECONDS * 1000),
            "reconnect_backoff_max_ms": 1000,
        }
        self._topics = topics
        self._client: KafkaAdminClient | None = None
        self._cluster_id = ""
        self._availability = BrokerAvailability(logger, _NOT_POLLED_YET)
        self._polled_at_seconds = time.monotonic()
        self._stopped = threading.Event()

    def _partitions(self) -> dict[str, int]:
        """The number of partitions of each topic, from a broker.

        Raises:
            ClusterUnavailableError: no broker answered.
            MissingTopicsError: a topic does not exist.
        """
        try:
            if self._client is None:
                self._client = opened(KafkaAdminClient, self._settings)
                self._cluster_id = str(self._client.describe_cluster()["cluster_id"])
            described = self._client.describe_topics(list(self._topics))
        except ClusterReplacedError as error:
            self._close_client()  # the next poll finds the other cluster
            raise unreachable(self._servers, error) from None
        except (KafkaError, OSError) as error:
            # a client once created is reused: it reconnects by itself, also to brokers that have moved
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
        """Poll in a thread until `stop`. ``on_partitions`` is called with each result, in that thread."""
        threading.Thread(target=self._watch, args=(on_partitions,), name="brokers", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def problem(self) -> str | None:
        """What was wrong at the last poll, or that it was too long ago; None if all is well."""
        if time.monotonic() - self._polled_at_seconds > _STALE_SECONDS:
            return "the brokers' state is unknown"
        return self._availability.problem

    def _watch(self, on_partitions: OnPartitions) -> None:
        while not self._stopped.is_set():
            problem = None
            try:
                partitions = self._partitions()
                on_partitions(partitions, self._cluster_id)
            except (ClusterUnavailableError, ConfigurationError) as error:
                # among them a secret or certificate that is being replaced
                problem = str(error)
            except Exception as error:  # noqa: BLE001 - a dead thread would leave a healthy ingress unready
                problem = f"the brokers could not be polled ({type(error).__name__})"
            self._availability.report(problem)  # outside of `except`: an error in progress keeps its sockets
            self._polled_at_seconds = time.monotonic()
            self._stopped.wait(_POLL_SECONDS)
        self._close_client()

    def _close_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(KafkaError, OSError):
                client.close()
