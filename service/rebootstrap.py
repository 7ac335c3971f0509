"""kafka-python's connections that find brokers which all have new addresses behind the same bootstrap name.

A client knows the brokers by the addresses they had when it last asked. When a cluster is created again, all of them
may be at new ones, and kafka-python 3.0.12 asks none but those it knows: it would never publish or read again. Java's
client asks the bootstrap servers again then (KIP-899), and so do these connections. For aiokafka see
`processors.transport.rebootstrap`.
"""

from __future__ import annotations

import functools
import logging
import random
import weakref
from collections.abc import Callable
from typing import Any, Final

from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError
from kafka.future import Future
from kafka.net.inet import create_connection
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import TaskState
from kafka.net.transport import KafkaSSLTransport
from kafka.protocol.metadata import MetadataRequest

from paynotify.service import broker_socket
from paynotify.service.broker_socket import BrokerSocket
from paynotify.service.logs import event
from paynotify.service.private_names import PrivateName, require

logger = logging.getLogger("paynotify.kafka")

_MANAGER: Final = "kafka.net.manager"

#: What `RebootstrapManager` overrides and reads.
_PRIVATE_NAMES: Final = (
    PrivateName("kafka-python", "kafka.net.compat", "KafkaNetClient.__init__", ("_net", "_manager")),
    PrivateName("kafka-python", _MANAGER, "KafkaConnectionManager._connect", ("_build_transport",)),
    PrivateName(
        "kafka-python",
        _MANAGER,
        "KafkaConnectionManager._build_transport",
        ("create_connection", "KafkaSSLTransport", "handshake", "ssl_enabled"),
    ),
    PrivateName("kafka-python", "kafka.net.selector", "NetworkSelector._poll_once", ("_current",)),
    PrivateName("kafka-python", "kafka.net.selector", "NetworkSelector._wait_io", ("inject_exc", "_add_ready_task")),
    PrivateName("kafka-python", _MANAGER, "KafkaConnectionManager.send", ("least_loaded_node", "get_connection")),
    PrivateName("kafka-python", _MANAGER, "KafkaConnectionManager.get_connection", ("_conns", "connection_delay")),
    PrivateName("kafka-python", "kafka.cluster", "ClusterMetadata._do_refresh_metadata", ("least_loaded_node", "send")),
    PrivateName("kafka-python", "kafka.cluster", "ClusterMetadata.update_metadata", ("cluster_id", "_listeners")),
)


@functools.cache
def check_library() -> None:
    """Check once that the installed kafka-python is used as it works.

    Raises:
        UnsupportedLibraryError: it lacks a name that is used here.
    """
    require((*_PRIVATE_NAMES, *broker_socket.PRIVATE_NAMES))


class ClusterReplacedError(KafkaError):  # type: ignore[misc]  # kafka-python has no types
    """The addresses lead to another cluster now. Only a client that is made anew may use it.

    An idempotent producer must not: its producer id may belong to somebody else there, and the brokers would take a
    record for a repeat and drop it.
    """


class RebootstrapManager(KafkaConnectionManager):  # type: ignore[misc]  # kafka-python has no types
    """Connections to the known brokers, and to the bootstrap servers while none of those answers."""

    def __init__(self, net: Any, **configs: Any) -> None:
        super().__init__(net, **{**configs, "proxy_url": BrokerSocket.URL})
        #: Requests for the cluster's brokers since the last one that was answered.
        self._unanswered = 0
        self._cluster_id: str | None = None
        self._addresses: dict[Any, tuple[str, int]] = {}
        itself = weakref.ref(self)  # a strong one would keep the sockets until the garbage collector runs

        def changed(cluster: Any) -> None:
            if (manager := itself()) is not None:
                manager._leave_moved(cluster)

        self.cluster.add_listener(changed)

    def least_loaded_node(self) -> Any:
        """The node for a request that any can answer: a bootstrap server once each known broker has had its try."""
        known = super().least_loaded_node()
        brokers = self.cluster.brokers()
        if not brokers or self._unanswered < len(brokers):
            return known
        ready = [one.node_id for one in self.cluster.bootstrap_brokers() if self.connection_delay(one.node_id) == 0]
        if not ready:
            return known
        event(logger, "asking_bootstrap_servers", level=logging.DEBUG, unanswered=self._unanswered)
        return random.choice(ready)  # noqa: S311 - spreads load, keeps no secret

    def send(self, request: Any, node_id: Any = None, request_timeout_ms: Any = None) -> Any:
        sent = super().send(request, node_id, request_timeout_ms)
        return self._watched(sent) if isinstance(request, MetadataRequest) else sent

    def _watched(self, sent: Any) -> Any:
        """The response, unless it is another cluster's."""
        watched = Future()

        def answered(response: Any) -> None:
            self._unanswered = 0
            found = getattr(response, "cluster_id", None)
            if self._cluster_id is not None and found not in (None, self._cluster_id):
                watched.failure(ClusterReplacedError("the brokers belong to another cluster than before"))
                return
            self._cluster_id = found or self._cluster_id
            watched.success(response)

        def unanswered(error: BaseException) -> None:
            self._unanswered += 1
            watched.failure(error)

        sent.add_callback(answered)
        sent.add_errback(unanswered)
        return watched

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        """A TLS handshake, too, has to end in time, and to leave no socket behind.

        kafka-python 3.0.12 waits for it without end. What was to be asked through the connection, such as who leads a
        partition, waited as long: for a frozen broker, or behind a balancer that accepts for one that is away.
        """
        if not self.ssl_enabled:
            return await super()._build_transport(node, timeout_at=timeout_at)
        options, proxy = self.config["socket_options"], self.config["proxy_url"]
        sock = await create_connection(self._net, node.host, node.port, options, proxy_url=proxy, timeout_at=timeout_at)
        settings = {name: value for name, value in self.config.items() if name.startswith("ssl_")}
        transport = KafkaSSLTransport(self._net, sock, host=node.host, **settings)
        timer = self._net.call_at(timeout_at, _late(self._net)) if timeout_at is not None else None
        try:
            await transport.handshake()
        except Exception as error:
            transport.close()
            raise KafkaConnectionError(f"Handshake failed: {error}") from error
        except BaseException:  # GeneratorExit: the client closes
            transport.close()
            raise
        finally:
            if timer is not None:
                self._net.cancel(timer)
        return transport

    def _leave_moved(self, cluster: Any) -> None:
        """Close connections to addresses that brokers have left: some stay open and carry nothing."""
        previous, self._addresses = self._addresses, {one.node_id: (one.host, one.port) for one in cluster.brokers()}
        for node_id, address in self._addresses.items():
            if previous.get(node_id, address) != address:
                self.reset_backoff(node_id)
                if (connection := self._conns.get(node_id)) is not None:
                    connection.close(KafkaConnectionError("the broker has moved"))


def _late(net: Any) -> Callable[[], None]:
    """Ends what the present task waits for then."""
    waiting = net._current

    def late() -> None:
        if waiting.state is TaskState.WAIT_IO:
            waiting.inject_exc(KafkaTimeoutError("It took too long."))
            net._add_ready_task(waiting)

    return late
