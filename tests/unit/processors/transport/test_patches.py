"""The patches of aiokafka: what each changes, that the library still needs it, and that a missing name is reported."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.consumer import AIOKafkaConsumer
from aiokafka.errors import IncompatibleBrokerVersion, KafkaConnectionError
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.protocol.coordination import FindCoordinatorRequest

from paynotify.processors.transport import patches, private_names
from paynotify.schemas.errors import UnsupportedLibraryError
from paynotify.service.private_names import PrivateName, require
from tests.fakes import aiokafka_probes as probes

ROOT: Final = Path(__file__).parents[4]

#: Each situation, what a patched client does, and what the library does without the patch.
DEFECTS: Final[tuple[tuple[Callable[[], Awaitable[object]], object, object], ...]] = (
    (probes.passwords, ["first", "second", "third"], ["a Secret"] * 3),
    (
        probes.session_that_ends,
        ["versions", "handshake", "authenticate", "handshake", "authenticate", "another"],
        ["versions", "handshake", "authenticate", "another"],
    ),
    (probes.brokers_that_have_moved, [2, 3], [2, 2]),
    (probes.cluster_that_was_replaced, [2, 2], [2, 3]),
    (probes.close_while_a_fetch_waits, "returned", "raised CancelledError"),
    (probes.write_to_a_reset_connection, "KafkaConnectionError", "RuntimeError"),
    (probes.closed_after_a_timeout, ["CONNECTION_TIMEOUT"], []),
    (probes.request_timeouts, [probes.JOIN_SECONDS + 5, probes.REQUEST_SECONDS], [probes.REQUEST_SECONDS] * 2),
    (probes.heartbeat_without_a_response, "gave up", "still waits"),
    (probes.order_of_a_rebalance, ["heartbeats start", "acquired"], ["acquired", "heartbeats start"]),
    (probes.subscribe_again_without_a_coordinator, "joins with the new subscription", "failed with AssertionError"),
)

#: Fails if a module of the product patches aiokafka by being imported.
IMPORT_EVERYTHING: Final = """
import importlib, pkgutil
from aiokafka import client, conn
from aiokafka.consumer import consumer, group_coordinator
from aiokafka.consumer.fetcher import Fetcher
before = Fetcher._proc_fetch_request, conn.AIOKafkaConnection.send
for package in ("processors", "ops"):
    for module in pkgutil.walk_packages([package], f"paynotify.{package}."):
        importlib.import_module(module.name)
assert client.create_conn is conn.create_conn
assert consumer.GroupCoordinator is group_coordinator.GroupCoordinator
assert before == (Fetcher._proc_fetch_request, conn.AIOKafkaConnection.send)
"""


@pytest.fixture(autouse=True)
def installed() -> None:
    patches.install(faust=True)


@pytest.fixture(scope="module")
def unpatched() -> dict[str, object]:
    """The outcome of every probe in an interpreter without patches."""
    outcomes: dict[str, object] = json.loads(_python("-m", "tests.fakes.aiokafka_probes"))
    return outcomes


def _python(*words: str) -> str:
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _id(given: object) -> str:
    return getattr(given, "__name__", "")


@pytest.mark.parametrize(("probe", "wanted"), [(probe, wanted) for probe, wanted, _ in DEFECTS], ids=_id)
async def test_patched_client(probe: Callable[[], Awaitable[object]], wanted: object) -> None:
    assert await probe() == wanted


@pytest.mark.parametrize(("name", "defect"), [(probe.__name__, defect) for probe, _, defect in DEFECTS])
def test_unpatched_client_still_needs_the_patch(name: str, defect: object, unpatched: dict[str, object]) -> None:
    """If this fails, aiokafka no longer has the defect: remove the patch."""
    assert unpatched[name] == defect


def test_probe_has_its_expectations() -> None:
    assert tuple(probe for probe, _, _ in DEFECTS) == probes.PROBES


def test_importing_modules_patches_nothing() -> None:
    _python("-c", IMPORT_EVERYTHING)


async def test_errors_of_the_client_are_raised_unchanged() -> None:
    connection = AIOKafkaConnection("127.0.0.1", 1)
    connection._writer = object()
    connection._versions = {}
    with pytest.raises(IncompatibleBrokerVersion):
        connection.send(FindCoordinatorRequest("a group", 0))
    connection._writer = None
    with pytest.raises(KafkaConnectionError):
        connection.send(FindCoordinatorRequest("a group", 0))


def test_patches_are_installed_once() -> None:
    before = AIOKafkaConnection.send
    patches.install()
    assert AIOKafkaConnection.send is before


def test_missing_name_prevents_every_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    applied: list[str] = []
    monkeypatch.setattr(patches, "_patch", lambda: applied.append("patched"))
    monkeypatch.setattr(private_names, "AIOKAFKA", (PrivateName("aiokafka", "aiokafka.client", "Nothing"),))
    with pytest.raises(UnsupportedLibraryError, match=r"aiokafka\.client\.Nothing does not exist"):
        patches.install()
    assert applied == []


@pytest.mark.parametrize(
    ("owner", "method", "name"),
    [
        (MessageAccumulator, "_append_batch", "_batch_ttl"),
        (AIOKafkaClient, "_get_conn", "_request_timeout_ms"),
        (AIOKafkaConsumer, "__init__", "_request_timeout_ms"),
        (AIOKafkaConnection, "send", "_request_timeout"),
        (AIOKafkaConsumer, "start", "GroupCoordinator"),
        (AIOKafkaClient, "bootstrap", "create_conn"),
        (AIOKafkaProducer, "__init__", "_txn_manager"),
    ],
)
def test_written_name_that_the_library_no_longer_reads_is_reported(
    owner: Any, method: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def renamed(self: Any) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(owner, method, renamed)
    with pytest.raises(UnsupportedLibraryError, match=rf"{owner.__name__}\.{method} does not use {name}\b"):
        require(private_names.AIOKAFKA + private_names.FAUST)
