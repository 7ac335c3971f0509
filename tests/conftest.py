"""What the tests of all kinds share: one real Kafka for the session, and topics nobody else uses."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from sandbox.broker import existing_or_local
from tests.configurations import remove_topics


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The ``host:port`` of a broker: the one named by ``KAFKA``, else one of this session's own."""
    with existing_or_local() as bootstrap:
        yield bootstrap


@pytest.fixture
def topic_prefix(kafka: str) -> Iterator[str]:
    """A prefix of topics for one test; they are deleted after it."""
    chosen = f"test-{uuid.uuid4().hex[:8]}."
    yield chosen
    remove_topics(kafka, chosen)
