"""Clients of kafka-python: what is left of one that can't be made."""

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

from service.kafka_client import opened

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
def test_a_client_that_cannot_be_made_leaves_no_thread_and_no_file(
    kind: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "kafka")  # a kept line keeps the connection it tells of
    before = held()
    assert [refused(kind) for _ in range(2)] == [True, True]
    assert held() == before
