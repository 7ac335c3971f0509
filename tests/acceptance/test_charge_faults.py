"""A month of charges while answers are lost, timeouts hit on both sides of the money, and the worker is killed.

``make charges CHARGES=10000`` is the long form. What moved is counted at the gateway, not by the system.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson
import pytest

from paynotify.processors.runtime.failpoints import Failpoint
from paynotify.sandbox.billing.subscriptions import MERCHANT, SubscriptionDay
from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.simulators.nevogate.transaction import moved_by_order
from paynotify.sandbox.system import Plan, Sandbox
from tests.acceptance.ledger import books_of
from tests.fault.broken_worker import KILL_AT, MODULE
from tests.topics_reader import payments, whole

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif("PAYNOTIFY_CHARGES" not in os.environ, reason="minutes: `make charges CHARGES=500`"),
]

CHARGES: Final = int(os.environ.get("PAYNOTIFY_CHARGES") or 150)
#: The charges of a batch take their steps together: one call each for Details, InitRP, StartRP and Close.
_BATCH: Final = 64
#: A worker ends with its so-manieth call: after some batches, in the middle of the starts of the next one.
KILL_AFTER_CALLS: Final = _BATCH * 4 * min(4, CHARGES // 300) + _BATCH * 5 // 2
#: At least so many of the charges are in the middle of their steps when a worker is killed.
STRUCK_SHARE: Final = 0.05
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
        charges={MERCHANT: {"call_timeout_seconds": 2, "close_settles_seconds": 2}},
        with_url_token=(MERCHANT,),
        simulator={"nevogate": {"faults": FAULTS, "doubled_share": 0.2, "start_within_seconds": 900.0}},
        simulators={"time_scale": 60.0, "latency_seconds": 0.02},
        consumers=False,
        worker_module=MODULE,
    )
    return start(plan)


class Killer:
    """Has each worker killed in the middle of its calls, and the next one started; ``moments`` of it in Unix time."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="killer")
        self.moments: list[float] = []
        self.exit_codes: set[int | None] = set()

    def start(self) -> None:
        assert self._sandbox.workers[0].stop() == 0
        self._begin()
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _begin(self) -> None:
        killed_at = f"charge/{int(Failpoint.PROVIDER_CALLED)}/{KILL_AFTER_CALLS}"
        self._sandbox.start_worker(0, {} if self._over.is_set() else {KILL_AT: killed_at})

    def _run(self) -> None:
        while not self._over.is_set():
            worker = self._sandbox.workers[0]
            if worker.wait(0.2):
                self.moments.append(time.time())
                self.exit_codes.add(worker.exit_code)
                self._begin()


def struck(sandbox: Sandbox, moments: Sequence[float]) -> set[str]:
    """The requests that had begun to move money and had not ended when a worker was killed, as they were told."""
    told: dict[str, list[tuple[float, str]]] = {}
    for record in whole(sandbox.bootstrap, sandbox.topic("payments.requests")):
        event = orjson.loads(record.value)
        told.setdefault(event["request_id"], []).append((record.timestamp / 1000, event["state"]))
    return {
        name
        for name, events in told.items()
        for moment in moments
        if [state for at, state in events if at <= moment][-1:] == ["started"]
    }


def test_money_moves_once_for_each_accepted_charge_and_never_for_others(sandbox: Sandbox) -> None:
    day = SubscriptionDay(sandbox, CHARGES, wait_seconds=_SECONDS)
    day.register(notify=False)
    killer = Killer(sandbox)
    killer.start()
    try:
        day.start()
        day.finish()
    finally:
        killer.stop()
    hit = struck(sandbox, killer.moments)
    gateway = sandbox.providers["nevogate"]
    assert wait_for(lambda: not gateway.book()["unanswered"], within_seconds=60, every=0.5)
    book = books_of(sandbox)["nevogate"]
    verdicts = Counter(day.month.verdict(one)[0] for one in day.month.bills)
    moved = moved_by_order(book)
    print(
        f"{CHARGES} charges, {len(killer.moments)} kills that struck {len(hit)}: {dict(verdicts)}, orphans "
        f"{len(book['orphans'])}, starts again {book['counters'].get('charges.started_again', 0)}"
    )
    assert killer.exit_codes == {-signal.SIGKILL}
    assert len(killer.moments) >= 2
    assert len(hit) >= STRUCK_SHARE * CHARGES
    assert [name for name, money in moved.items() if money["moved"] > 1] == [], "moved twice"
    assert day.differences(book) == []
    # a start that was intended when the worker was killed, and never called, is never called: the gateway gives it up
    assert verdicts["paid"] > 0.9 * CHARGES - len(hit)
    assert book["counters"].get("charges.started_again", 0) == 0, "StartRP is never sent twice"
    assert book["uncaused"] == []
    told = payments(whole(sandbox.bootstrap, sandbox.topic("payments.status")))
    captured = {key for key, events in told.items() if events[-1]["status"] == "captured"}
    true = {
        f"{one['merchant']}/{name}"
        for name, one in book["payments"].items()
        if one["status"] == "captured" and not one["order_id"].startswith("REG-")
    }
    assert captured == true, "payments.status tells the same"
