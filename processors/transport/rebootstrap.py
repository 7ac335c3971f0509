"""aiokafka's clients find brokers that all have new addresses behind the same bootstrap name.

aiokafka asks only the brokers it knows, by the addresses they had: when all have moved, a worker would read and publish
nothing until its restart. No upstream issue is known; Java's client asks the bootstrap servers again (KIP-899). So do
these functions, which `processors.transport.patches` puts in place. For kafka-python see `service.rebootstrap`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable
from typing import Any

from aiokafka import client as aiokafka_client
from aiokafka.conn import CloseReason
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from paynotify.service.logs import event

logger = logging.getLogger("paynotify.kafka")


def asking_bootstrap_servers(update: Any) -> Any:
    """``AIOKafkaClient._metadata_update`` that asks the bootstrap servers when no known broker answers."""

    @functools.wraps(update)
    async def updated(client: Any, cluster: Any, topics: Iterable[str] | None) -> bool:
        before = _addresses(client.cluster)
        done = bool(await update(client, cluster, topics)) or await _bootstrapped(client, cluster, topics)
        _leave_moved(client, before)
        return done

    return updated


def of_one_cluster(update: Any) -> Any:
    """``ClusterMetadata.update_metadata`` that ignores what another cluster says.

    What the client knows (producer ids, positions, a partition's state) belongs to the first cluster. In another one a
    producer's id may be somebody else's, and the brokers would take a record for a repeat and drop it.
    """

    @functools.wraps(update)
    def checked(cluster: Any, metadata: Any) -> None:
        found, known = getattr(metadata, "cluster_id", None), getattr(cluster, "first_cluster_id", None)
        if known is not None and found not in (None, known):
            if not is_replaced(cluster):
                event(logger, "cluster_replaced", level=logging.ERROR)
            cluster.replaced = True
            cluster.failed_update(None)
            return
        cluster.first_cluster_id = found or known
        update(cluster, metadata)

    return checked


def is_replaced(cluster: Any) -> bool:
    """Whether the addresses of a client's ``ClusterMetadata`` lead to another cluster than before."""
    return bool(getattr(cluster, "replaced", False))


async def _bootstrapped(client: Any, cluster: Any, topics: Iterable[str] | None) -> bool:
    """Ask the bootstrap servers, whose names are resolved anew. An error raised here would end all later updates."""
    request = MetadataRequest(list(topics) if topics else None)
    for host, port, _ in client.hosts:
        connection = None
        try:
            connection = await _connected(client, host, port)
            metadata = await connection.send(request)
        except (OSError, TimeoutError, KafkaError):
            continue
        finally:
            if connection is not None:
                connection.close(reason=CloseReason.SHUTDOWN)
        if metadata.brokers:
            cluster.update_metadata(metadata)
            return not is_replaced(cluster)
    return False


async def _connected(client: Any, host: str, port: int) -> Any:
    return await aiokafka_client.create_conn(
        host,
        port,
        client_id=client._client_id,
        request_timeout_ms=client._request_timeout_ms,
        ssl_context=client._ssl_context,
        security_protocol=client._security_protocol,
        sasl_mechanism=client._sasl_mechanism,
        sasl_plain_username=client._sasl_plain_username,
        sasl_plain_password=client._sasl_plain_password,
        sasl_oauth_token_provider=client._sasl_oauth_token_provider,
    )


def _addresses(cluster: Any) -> dict[Any, tuple[str, int]]:
    return {one.nodeId: (one.host, one.port) for one in cluster.brokers()}


def _leave_moved(client: Any, before: dict[Any, tuple[str, int]]) -> None:
    """Close connections to addresses that brokers have left: some stay open and carry nothing."""
    now = _addresses(client.cluster)
    for (node_id, _), connection in list(client._conns.items()):
        if node_id in now and before.get(node_id) not in (None, now[node_id]):
            connection.close(reason=CloseReason.SHUTDOWN)
