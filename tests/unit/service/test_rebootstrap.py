"""Clients of kafka-python ask the bootstrap servers when no known broker answers, and never join another cluster."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError
from kafka.future import Future
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.protocol.metadata import MetadataRequest, MetadataResponse

from paynotify.service.rebootstrap import ClusterReplacedError, RebootstrapManager

DEADLINE_SECONDS = 10


def metadata(port: int, cluster_id: str = "the first") -> Any:
    """A response of a cluster of one broker."""
    response = MetadataResponse(version=9)
    response.brokers = [(1, "127.0.0.1", port, None)]
    response.topics, response.controller_id, response.cluster_id = [], 1, cluster_id
    return response


class Network:
    """Answers metadata requests by node; ``asked`` are those that were sent one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: type[Any]) -> None:
        self.answers: dict[Any, Any] = {}
        self.asked: list[Any] = []
        monkeypatch.setattr(KafkaConnectionManager, "send", self._send)
        self.manager = kind(NetworkSelector(), bootstrap_servers="127.0.0.1:1")

    def _send(self, request: Any, node_id: Any = None, request_timeout_ms: Any = None) -> Any:
        self.asked.append(node_id)
        if node_id in self.answers:
            return Future().success(self.answers[node_id])
        return Future().failure(KafkaConnectionError("nobody listens"))

    def refresh(self) -> BaseException | None:
        """One attempt to learn the brokers; what went wrong."""
        try:
            self.manager._net.run(self.manager.cluster.refresh_metadata)
        except (KafkaConnectionError, ClusterReplacedError) as error:
            return error
        return None

    def known_port(self) -> int:
        return int(self.manager.cluster.broker_metadata(1).port)

    def bootstrap(self) -> None:
        self.answers["bootstrap-0"] = metadata(2)
        self.manager._net.run(self.manager.cluster.refresh_metadata, "bootstrap-0")
        self.asked.clear()


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    one = Network(monkeypatch, RebootstrapManager)
    with closing(one.manager._net):
        one.bootstrap()
        one.answers[1] = metadata(2)
        yield one


def test_bootstrap_server_is_asked_once_no_known_broker_answers(network: Network) -> None:
    assert network.refresh() is None
    del network.answers[1]
    network.answers["bootstrap-0"] = metadata(3)
    assert isinstance(network.refresh(), KafkaConnectionError)
    assert network.refresh() is None
    assert network.asked == [1, 1, "bootstrap-0"]
    assert network.known_port() == 3


def test_known_brokers_are_asked_again_once_one_has_answered(network: Network) -> None:
    answer = network.answers.pop(1)
    network.refresh()
    network.refresh()
    network.answers[1] = answer
    network.asked.clear()
    network.refresh()
    assert network.asked == [1]


def test_connection_to_an_address_that_was_left_is_closed(network: Network) -> None:
    class Connection:
        closed_for: Any = None

        def close(self, error: Any = None) -> None:
            self.closed_for = error

    moved = network.manager._conns[1] = Connection()
    network.manager.update_backoff(1)
    network.manager.cluster.update_metadata(metadata(2))
    assert moved.closed_for is None
    assert network.manager.connection_delay(1) > 0
    network.manager.cluster.update_metadata(metadata(3))
    assert isinstance(moved.closed_for, KafkaConnectionError)
    assert network.manager.connection_delay(1) == 0


def test_another_cluster_at_the_same_address_is_an_error(network: Network) -> None:
    network.answers[1] = metadata(3, "another")
    assert isinstance(network.refresh(), ClusterReplacedError)
    assert network.known_port() == 2


def test_kafka_python_itself_never_asks_a_bootstrap_server_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, kafka-python finds moved brokers itself: `RebootstrapManager.least_loaded_node` can go."""
    network = Network(monkeypatch, KafkaConnectionManager)
    with closing(network.manager._net):
        network.bootstrap()
        for _ in range(4):
            network.refresh()
    assert set(network.asked) == {1}


def test_handshake_that_is_never_answered_ends_in_time() -> None:
    """A frozen broker is still connected to, by its kernel. What is to be asked there would wait for the handshake."""
    with closing(socket.create_server(("127.0.0.1", 0))) as frozen:
        frozen.settimeout(DEADLINE_SECONDS)
        address = f"127.0.0.1:{frozen.getsockname()[1]}"
        network = NetworkSelector()
        manager = RebootstrapManager(
            network, bootstrap_servers=address, security_protocol="SSL", ssl_context=ssl.create_default_context()
        )
        connection = manager.get_connection("bootstrap-0", timeout_ms=100)
        asked = connection.send_request(MetadataRequest())
        network.poll(timeout_ms=DEADLINE_SECONDS * 1000, future=asked)
        assert "Handshake failed: KafkaTimeoutError: It took too long" in str(asked.exception)
        assert connection.closed
        assert manager.connection_delay("bootstrap-0") > 0, "it is tried again after a while"
        accepted, _ = frozen.accept()
        with accepted:
            accepted.settimeout(DEADLINE_SECONDS)
            while accepted.recv(4096):  # the socket is not left open
                pass
        manager.close()
        network.close()
