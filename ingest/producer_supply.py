"""Decides when the publisher gets a producer: the first one, and a new one in place of one that is of no more use."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Final

from paynotify.ingest.group_producer import connect
from paynotify.ingest.publisher import NotificationPublisher
from paynotify.schemas.configuration.model import Configuration
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.ingest")

#: kafka-python's idempotent producer never publishes again once a broker has refused a record with an error that it
#: does not retry, such as an unknown error while a disk is full. After this time the producer is recreated.
_REFUSED_SECONDS: Final = 2.0


class ProducerSupply:
    """Called after each poll of the brokers, in its thread: gives the publisher its producer and the partitions.

    Brokers that have only moved keep their producer, which finds them (`service.rebootstrap`). In another cluster its
    producer id may belong to somebody else, so it is recreated there.
    """

    def __init__(
        self, configuration: Configuration, publisher: NotificationPublisher, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._configuration = configuration
        self._publisher = publisher
        self._loop = loop
        self._cluster_id = ""

    def __call__(self, partitions: Mapping[str, int], cluster_id: str) -> None:
        """Raises:
        ClusterUnavailableError: no producer could be created; the next poll tries again.
        """
        kafka, limits = self._configuration.kafka, self._configuration.ingest
        if not self._publisher.is_open:
            self._publisher.open(connect(kafka, limits, partitions, self._loop), partitions)
        elif reason := self._replaced_because(cluster_id):
            event(logger, "producer_recreated", level=logging.WARNING, reason=reason)
            self._publisher.replace(connect(kafka, limits, partitions, self._loop))
        self._cluster_id = cluster_id
        with contextlib.suppress(RuntimeError):  # the loop has ended during the poll
            self._loop.call_soon_threadsafe(self._publisher.set_partitions, partitions)

    def _replaced_because(self, cluster_id: str) -> str | None:
        """Why the present producer is of no more use; None if it is."""
        if cluster_id != self._cluster_id:
            return "another cluster"
        return "records refused" if self._publisher.refused_seconds() > _REFUSED_SECONDS else None
