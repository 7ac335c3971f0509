"""Secrets towards the brokers change while processes run: each new connection is made with what the files hold then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from paynotify.sandbox.probes import probe
from paynotify.sandbox.processes import Child
from paynotify.sandbox.system import Plan, Sandbox
from tests.acceptance.knocking import soon
from tests.acceptance.ledger import Observer, assert_right
from tests.acceptance.securing import NEXT_PASSWORD, PASSWORD, secured_broker
from tests.acceptance.shopping import buy
from tests.long_form import LONG

pytestmark = pytest.mark.kafka

DEADLINE_SECONDS: Final = 240.0


def ready(child: Child) -> bool:
    return probe(int(child.wait_for_event("management_listening")["port"]), "/readyz")[0] == 200


def pay(sandbox: Sandbox) -> None:
    """Payments that go all the way."""
    with closing(Observer(sandbox)) as observer:
        buy(sandbox, "nevogate")
        assert_right(sandbox, observer)


WAYS: Final = ("PLAIN", "SCRAM-SHA-512", "MUTUAL") if LONG else ("SCRAM-SHA-512", "MUTUAL")


@pytest.fixture(scope="module")
def rotations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[str]]]:
    """What the processes said while the secret of each way changed. All ways change at the same time: most of it is
    waiting for the next connection."""
    with ThreadPoolExecutor(len(WAYS)) as pool:
        yield {way: pool.submit(rotate, way, tmp_path_factory.mktemp(way)) for way in WAYS}


def rotate(way: str, folder: Path) -> str:
    """The brokers change first, so that all connections are refused for a while: that must heal too."""
    with secured_broker(folder) as secured:
        plan = Plan(
            kafka=secured.broker.bootstrap,
            configuration={"kafka": secured.way(way)},
            merchants={"nevogate": ("shop-hu",)},
            partitions=2,
            consumers=False,
        )
        with Sandbox(plan) as sandbox:
            assert sandbox.ingest is not None
            processes = [sandbox.ingest, *sandbox.workers]
            pay(sandbox)
            secured.rotate_at_broker(way)
            soon(lambda: not any(map(ready, processes)), DEADLINE_SECONDS, "somebody is let in with the old secret")
            secured.rotate_at_clients(way)
            soon(lambda: all(map(ready, processes)), DEADLINE_SECONDS, "somebody is not let in with the new secret")
            pay(sandbox)
            assert all(child.running for child in processes)
            return "".join(child.log_path.read_text("utf-8", "replace") for child in processes)


@pytest.mark.parametrize("way", WAYS)
def test_processes_use_a_rotated_secret_without_a_restart(rotations: Mapping[str, Future[str]], way: str) -> None:
    said = rotations[way].result()
    assert PASSWORD not in said
    assert NEXT_PASSWORD not in said
