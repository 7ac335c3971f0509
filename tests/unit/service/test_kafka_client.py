"""Clients of kafka-python: what a failed constructor leaves behind, and the defects that are worked around."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError
from kafka.producer.transaction_manager import ProducerIdAndEpoch, TransactionManager, TransactionState

from paynotify.service.kafka_client import opened

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


# kafka-python leaves a refused connection's socket to the collector, which warns of it
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("kind", [KafkaAdminClient, KafkaConsumer, KafkaProducer])
def test_client_that_cannot_be_made_leaves_no_thread_and_no_file(
    kind: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "kafka")  # a kept line keeps the connection it tells of
    before = held()
    assert [refused(kind) for _ in range(2)] == [True, True]
    assert held() == before


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_refused_connections_keep_their_sockets_until_a_collection(caplog: pytest.LogCaptureFixture) -> None:
    """Why `service.outage` collects. If this fails, kafka-python closes them itself: the collection can go."""
    caplog.set_level(logging.CRITICAL, "kafka")
    files = held()[0]
    gc.disable()
    try:
        assert all(refused(KafkaAdminClient) for _ in range(3))
        left = len(list(Path("/proc/self/fd").iterdir()))
    finally:
        gc.enable()
    assert left > files
    assert held()[0] == files


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
