"""Clients of kafka-python: what a failed constructor leaves behind, and the defects that are worked around."""

from __future__ import annotations

import gc
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError
from kafka.net.selector import NetworkSelector
from kafka.producer.transaction_manager import ProducerIdAndEpoch, TransactionManager, TransactionState

from paynotify.service.kafka_client import opened
from paynotify.service.rebootstrap import RebootstrapManager

NOBODY = {"bootstrap_servers": "127.0.0.1:1", "bootstrap_timeout_ms": 100}


def held() -> tuple[int, int]:
    """This process's open files and threads, without what only waits to be collected."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


def refused(kind: Callable[..., Any]) -> bool:
    try:
        opened(kind, NOBODY)
    except KafkaError:
        return True
    return False


@pytest.mark.parametrize("kind", [KafkaAdminClient, KafkaConsumer, KafkaProducer])
def test_client_that_cannot_be_made_leaves_no_thread_and_no_file(
    kind: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "kafka")  # a kept line keeps the connection it tells of
    before = held()
    assert [refused(kind) for _ in range(2)] == [True, True]
    assert held() == before


def test_refused_connections_leave_no_socket_to_the_collector(caplog: pytest.LogCaptureFixture) -> None:
    """A process that waits collects so rarely that a long outage would use up its file descriptors."""
    caplog.set_level(logging.CRITICAL, "kafka")
    files = held()[0]
    gc.disable()
    try:
        assert all(refused(KafkaAdminClient) for _ in range(3))
        left = len(list(Path("/proc/self/fd").iterdir()))
    finally:
        gc.enable()
    assert left == files


def test_client_that_closes_while_it_connects_leaves_no_socket_to_the_collector() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        blocked = [_connecting(listening) for _ in range(3)]  # the queue of a listener that never accepts is full
        selector = NetworkSelector()
        manager = RebootstrapManager(selector, bootstrap_servers=[f"127.0.0.1:{listening.getsockname()[1]}"])
        files = len(list(Path("/proc/self/fd").iterdir()))
        node = manager.cluster.bootstrap_brokers()[0]
        manager.get_connection(node.node_id)
        selector.poll(timeout_ms=10)
        assert len(list(Path("/proc/self/fd").iterdir())) == files + 1, "it connects"
        gc.disable()
        try:
            manager.close()
            selector.close()
            left = len(list(Path("/proc/self/fd").iterdir()))
        finally:
            gc.enable()
        for one in blocked:
            one.close()
    assert left <= files


def _connecting(listening: socket.socket) -> socket.socket:
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(listening.getsockname())
    return one


def test_producer_without_an_id_never_requests_another() -> None:
    """Why the ingress never lets a record expire. If this fails, kafka-python recovers: the settings can go."""
    manager = TransactionManager()
    manager.init_producer_id()
    assert len(manager._pending_requests) == 1
    manager._pending_requests.clear()
    manager.set_producer_id_and_epoch(ProducerIdAndEpoch(7, 0))
    manager._transition_to(TransactionState.READY)
    manager.reset_producer_id()  # what an expired record does that was sent before
    manager.init_producer_id()
    assert not manager._pending_requests
    assert not manager.has_producer_id()
