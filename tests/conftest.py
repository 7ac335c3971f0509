"""What the tests of all kinds share: one real Kafka for the session, and topics nobody else uses."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from kafka import KafkaAdminClient
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError

from paynotify.sandbox.broker import existing_or_local
from paynotify.sandbox.processes import wait_for
from tests.fakes.configurations import remove_topics
from tests.kept_logs import KeptLogs

# a machine that is busy with other things is no defect: how long an example takes is no test of it
settings.register_profile("any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_machine")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(KeptLogs(config.rootpath))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, Any, Any]:
    """What failed is said once more at the very end, a line each: of a long log often only the end is at hand."""
    result = yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # a process of several has none; the one above them tells it
        return result
    for kind in ("failed", "error"):
        for report in reporter.stats.get(kind, []):
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = crash.message.partition("\n")[0] if crash is not None else ""
            reporter.write_line(f"{kind}: {report.nodeid} ({report.when}) {reason}")
    return result


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The ``host:port`` of a broker: the one named by ``KAFKA``, else one of this session's own."""
    with existing_or_local() as bootstrap:
        assert wait_for(lambda: _has_coordinator(bootstrap), within_seconds=30, every=0.2)
        yield bootstrap


def _has_coordinator(bootstrap: str) -> bool:
    """Whether groups can be asked about: a new broker first makes the topic that holds their offsets."""
    client = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        client.list_group_offsets(["nobody"])
    except (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError):
        return False
    finally:
        client.close()
    return True


@pytest.fixture
def topic_prefix(kafka: str) -> Iterator[str]:
    """A prefix of topics for one test; they are deleted after it."""
    chosen = f"test-{uuid.uuid4().hex[:8]}."
    yield chosen
    remove_topics(kafka, chosen)
