"""Many charges with time-outs before and after money moved, and a worker that is killed: every one is accounted for.

``PAYNOTIFY_CHARGES`` sets how many; the long form is 10,000.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import orjson
import pytest

from sandbox.processes import wait_for
from sandbox.simulators.nevogate_transaction import moved_by_order
from sandbox.system import Plan, Sandbox
from tests import topics_reader
from tests.acceptance.test_charges import Shop, charge

pytestmark = pytest.mark.kafka

_CHARGES: Final = int(os.environ.get("PAYNOTIFY_CHARGES", "400"))
_KILLS: Final = 3
_TIMEOUT_SHARE: Final = 0.05
_PLAN: Final = Plan(
    merchants={"nevogate": ("shop-hu",)},
    charges={"shop-hu": {"call_timeout_seconds": 2}},
    consumers=False,
    # a gateway that gives up in time what was never started: after 20 s
    simulator={"nevogate": {"start_within_seconds": 1200}},
    configuration={"worker": {"session_timeout_seconds": 2, "batch_records": 50}},
)


@pytest.fixture(scope="module")
def sandbox(start: Callable[[Plan], Sandbox]) -> Sandbox:
    return start(_PLAN)


def newest(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """Each request's newest event."""
    records = topics_reader.whole(sandbox.bootstrap, sandbox.topic("payments.requests"))
    return {one["request_id"]: one for one in (orjson.loads(record.value) for record in records)}


def test_money_moves_once_for_each_request_whatever_breaks(sandbox: Sandbox) -> None:
    shop, chance = Shop(sandbox), random.Random(4711)
    references = [shop.register(f"customer-{number}") for number in range(20)]
    gone = shop.register("withdrawn", registration="withdrawn")
    for method in ("InitRP", "StartRP", "Close"):
        for kind in ("timeout", "timeout_after"):
            shop.gateway.fault(kind, path=method, share=_TIMEOUT_SHARE / 2, seconds=5, for_seconds=None)
    asked = [charge(f"n{number}", chance.choice(references), capture="now") for number in range(_CHARGES)]
    refused = [charge(f"g{number}", gone) for number in range(5)]
    refused += [charge(f"b{number}", references[0], amount={"value": 10**12, "currency": "EUR"}) for number in range(5)]
    shop.ask(*asked, *refused)
    for _ in range(_KILLS):
        before = len(newest(sandbox))
        wait_for(lambda at=before: len(newest(sandbox)) > at, within_seconds=30, every=0.5)  # type: ignore[misc]  # bound
        sandbox.workers[0].kill()
        sandbox.start_worker(0)
    shop.gateway.clear_faults()
    names = {one["request_id"] for one in (*asked, *refused)}

    def settled() -> bool:
        found = newest(sandbox)
        return found.keys() >= names and all(one["state"] in ("done", "refused") for one in found.values())

    started = time.monotonic()
    assert wait_for(settled, within_seconds=120 + _CHARGES * 0.1, every=1), Counter(
        one["state"] for one in newest(sandbox).values()
    )
    print(f"{_CHARGES} charges settled {time.monotonic() - started:.0f} s after the last fault")
    ends, money = newest(sandbox), moved_by_order(shop.gateway.book())
    for one in asked:
        end, moved = ends[one["request_id"]], money[one["order_id"]]
        assert end["status"] in ("captured", "expired")
        captured = end["status"] == "captured"
        assert (moved["moved"], moved["closed"], moved["captured"]) == (captured, captured, 1990 * captured), end
        assert moved["starts"] <= 1
    for one in refused:
        assert ends[one["request_id"]]["state"] == "refused"
        assert money.get(one["order_id"], {"moved": 0})["moved"] == 0
    assert sum(one["status"] == "captured" for one in ends.values()) > 0.8 * _CHARGES
