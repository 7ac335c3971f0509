"""Workers whose clocks differ by an hour: what the provider said last is what counts."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest

from paynotify.sandbox.system import Plan, Sandbox
from tests.acceptance.ledger import Observer, assert_right, settle
from tests.acceptance.shopping import buy
from tests.fault.clock import MovableClock

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(shutil.which("cc") is None, reason="a clock can be moved where there is a C compiler"),
]

AHEAD_SECONDS: Final = 3600
HELD: Final = 3


@pytest.fixture(scope="module")
def sandbox(start: Callable[[Plan], Sandbox]) -> Sandbox:
    return start(Plan(workers=((),), consumers=False, simulators={"time_scale": 60.0, "latency_seconds": 0.01}))


def test_observation_by_a_fast_clock_is_not_newer_than_later_ones(
    sandbox: Sandbox, observer: Observer, tmp_path: Path
) -> None:
    clock = MovableClock(tmp_path)
    clock.move(AHEAD_SECONDS)
    sandbox.workers[0].kill()
    sandbox.wait_ready(sandbox.start_worker(0, clock.environment))
    held = buy(sandbox, "nevogate", HELD, auto_commit=False)
    settle(sandbox, observer)
    events = [event for told in observer.events().values() for event in told if event["status"] == "authorised"]
    assert len(events) >= HELD
    assert all(datetime.fromisoformat(one["observed_at"]).timestamp() < time.time() + 1 for one in events)

    clock.move(0)  # another worker, whose clock is right, would see the same
    open_holds = {event["payment_id"] for event in events} & set(held)
    for payment in open_holds:
        sandbox.providers["nevogate"].change(payment, close=False, notify=True)
    settle(sandbox, observer)
    assert_right(sandbox, observer)
    told = observer.events()
    assert {told[f"shop-hu/{one}"][-1]["status"] for one in open_holds} == {"cancelled"}
