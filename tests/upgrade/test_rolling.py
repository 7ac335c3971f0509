"""`make upgrade`: workers of an earlier release and of this one side by side, replaced one by one, and back again.

Needs the repository's history, so it is asked for by the name of the earlier commit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from paynotify.sandbox.processes import Child, wait_for
from paynotify.sandbox.system import Plan, Sandbox
from tests.acceptance.ledger import Observer, assert_right
from tests.acceptance.shopping import Shopping
from tests.upgrade import earlier

FROM: Final = os.environ.get("PAYNOTIFY_UPGRADE_FROM", "")
DEADLINE_SECONDS: Final = 240.0
STOP_SECONDS: Final = 25.0
BOUGHT: Final = 24
#: What is bought while workers start must be caught up on a busy machine too.
EVERY_SECONDS: Final = 1.0

pytestmark = [pytest.mark.kafka, pytest.mark.skipif(not FROM, reason="asked for by `make upgrade`")]


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Ingress, topics and providers of this release; no worker yet."""
    monkeypatch.delenv("KAFKA", raising=False)
    # a provider that stops calling within seconds would make a slow rebalance look like a loss
    nevogate = {"resend_after_seconds": 600.0}
    patience = {"worker": {"session_timeout_seconds": 20}}
    with Sandbox(Plan(workers=(), consumers=False, simulator={"nevogate": nevogate}, configuration=patience)) as one:
        yield one


def test_releases_side_by_side_lose_nothing_and_turn_nothing_back(sandbox: Sandbox, tmp_path: Path) -> None:
    earlier.export(FROM, tmp_path)

    def old(number: int) -> Child:
        child = earlier.worker(sandbox, tmp_path, number)
        sandbox.workers[number : number + 1] = [child]
        return child

    def new(number: int) -> Child:
        return sandbox.start_worker(number)

    def bought(shopping: Shopping) -> None:
        wanted = shopping.count() + BOUGHT
        assert wait_for(lambda: shopping.count() >= wanted, within_seconds=DEADLINE_SECONDS, every=0.1)

    for number in range(2):
        old(number)
    for child in list(sandbox.workers):
        sandbox.wait_ready(child, DEADLINE_SECONDS, earlier.LISTENING)
    with Shopping(sandbox, every_seconds=EVERY_SECONDS) as shopping:
        bought(shopping)
        # one by one to this release, each on the disk of the one before it; then one back
        for number, begin in ((0, new), (1, new), (0, old)):
            assert sandbox.workers[number].stop(STOP_SECONDS) == 0, sandbox.workers[number].end()
            child = begin(number)
            sandbox.wait_ready(child, DEADLINE_SECONDS, earlier.LISTENING)
            bought(shopping)
    observer = Observer(sandbox)
    try:
        assert_right(sandbox, observer)
    finally:
        observer.close()
    assert all(child.running for child in sandbox.workers)
