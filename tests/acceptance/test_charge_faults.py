"""A month of charges while answers are lost, time-outs hit on both sides of the money, and the worker is killed.

``make charges CHARGES=10000`` is the long form. What moved is counted at the gateway, not by the system.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import pytest

from sandbox.processes import wait_for
from sandbox.simulators.nevogate_transaction import moved_by_order
from sandbox.subscriptions import MERCHANT, SubscriptionDay
from sandbox.system import Plan, Sandbox
from tests.acceptance.ledger import books_of
from tests.topics_reader import payments, whole

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif("PAYNOTIFY_CHARGES" not in os.environ, reason="minutes: `make charges CHARGES=500`"),
]

CHARGES: Final = int(os.environ.get("PAYNOTIFY_CHARGES") or 150)
#: Each kill hits the charges whose calls are under way, about 60 of them: about one in twenty of all.
KILL_EVERY: Final = min(1200, max(60, CHARGES // 5))
_SECONDS: Final = 180 + CHARGES / 5


def _share(kind: str, path: str, share: float, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "path": path, "share": share, "for_seconds": None, **more}


#: One in twenty of the calls that move money, before and after it moved; and what else can go wrong on the way.
FAULTS: Final = [
    *(_share(kind, path, 0.025, seconds=20) for path in ("StartRP", "Close") for kind in ("timeout", "timeout_after")),
    _share("html_after", "StartRP", 0.01),
    _share("truncated", "Close", 0.01),
    _share("lose", "InitRP", 0.02),
    _share("lose", "Details", 0.02),
]


@pytest.fixture(scope="module")
def sandbox(start: Callable[[Plan], Sandbox]) -> Sandbox:
    plan = Plan(
        merchants={"nevogate": (MERCHANT,)},
        charges={MERCHANT: {"call_timeout_seconds": 2}},
        with_url_token=(MERCHANT,),
        simulator={"nevogate": {"faults": FAULTS, "doubled_share": 0.2, "start_within_seconds": 900.0}},
        simulators={"time_scale": 60.0, "latency_seconds": 0.02},
        consumers=False,
    )
    return start(plan)


def kill_again_and_again(sandbox: Sandbox, month: Any, over: threading.Event) -> int:
    """Kill the worker each time so many more charges are settled; how often that was."""
    kills, settled = 0, KILL_EVERY // 2
    while not over.wait(0.2):
        if month().count("paid", "unpaid") >= settled:
            sandbox.workers[0].kill()
            sandbox.wait_ready(sandbox.start_worker(0))
            kills, settled = kills + 1, month().count("paid", "unpaid") + KILL_EVERY
    return kills


def test_money_moves_once_for_each_accepted_charge_and_never_for_others(sandbox: Sandbox) -> None:
    day = SubscriptionDay(sandbox, CHARGES, wait_seconds=_SECONDS)
    day.register(notify=False)
    over, kills = threading.Event(), []
    killer = threading.Thread(target=lambda: kills.append(kill_again_and_again(sandbox, lambda: day.month, over)))
    killer.start()
    try:
        day.start()
        day.finish()
    finally:
        over.set()
        killer.join()
    assert kills[0] >= 2
    gateway = sandbox.providers["nevogate"]
    assert wait_for(lambda: not gateway.book()["unanswered"], within_seconds=60, every=0.5)
    book = books_of(sandbox)["nevogate"]
    verdicts = Counter(day.month.verdict(one)[0] for one in day.month.bills)
    moved = moved_by_order(book)
    print(f"{CHARGES} charges, {kills[0]} kills: {dict(verdicts)}, orphans {len(book['orphans'])}, "
          f"starts again {book['counters'].get('charges.started_again', 0)}")  # fmt: skip
    assert [name for name, money in moved.items() if money["moved"] > 1] == [], "moved twice"
    assert day.differences(book) == []
    assert verdicts["paid"] > 0.9 * CHARGES
    assert book["counters"].get("charges.started_again", 0) == 0, "StartRP is never sent twice"
    assert book["uncaused"] == []
    told = payments(whole(sandbox.bootstrap, sandbox.topic("payments.status")))
    captured = {key for key, events in told.items() if events[-1]["status"] == "captured"}
    true = {f"{one['merchant']}/{name}" for name, one in book["payments"].items()
            if one["status"] == "captured" and not one["order_id"].startswith("REG-")}  # fmt: skip
    assert captured == true, "payments.status tells the same"
