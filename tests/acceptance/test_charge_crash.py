"""A worker killed with -9 at every numbered step of a charge: the money moves once, and the shop is told so."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Final

import pytest

from paynotify.processors.runtime.failpoints import Failpoint
from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.simulators.nevogate.transaction import moved_by_order
from paynotify.sandbox.system import Plan, Sandbox
from tests import topics_reader
from tests.acceptance.test_charges import Shop, charge
from tests.fault.broken_worker import KILL_AT, MODULE
from tests.long_form import LONG

pytestmark = pytest.mark.kafka

_OTHERS: Final = ("verify", "fetch", "interpret", "resolve", "orders")
_CHARGER: Final = 1
_PLAN: Final = Plan(
    merchants={"nevogate": ("shop-hu",)},
    charges={"shop-hu": {}},
    consumers=False,
    partitions=1,
    workers=(tuple(word for stage in _OTHERS for word in ("--stage", stage)), ("--stage", "charge")),
    worker_module=MODULE,
    # what is never started is given up by the gateway after 15 s
    simulator={"nevogate": {"start_within_seconds": 900}},
    configuration={"worker": {"session_timeout_seconds": 2}},
)

#: A charge asks for its unknown reference, opens, starts and captures: so often each of its steps is passed.
_ALL: Final = [
    *((step, 1) for step in (Failpoint.TAKEN, Failpoint.PROCESSED, Failpoint.SOURCE_ACKNOWLEDGED)),
    *((Failpoint.RESPONSES_PUBLISHED, times) for times in (1, 2, 3)),
    *((Failpoint.REQUESTS_PERSISTED, times) for times in (1, 2, 3, 4)),
    *((Failpoint.EVENTS_PUBLISHED, times) for times in (1, 2, 3)),
    *((Failpoint.PROVIDER_CALLED, times) for times in (1, 2, 3, 4)),
]

#: Around each of the calls: intended and not made, made and not answered, answered and not told.
_TELLING: Final = [
    (Failpoint.REQUESTS_PERSISTED, 2),
    (Failpoint.PROVIDER_CALLED, 3),
    (Failpoint.RESPONSES_PUBLISHED, 2),
    (Failpoint.PROVIDER_CALLED, 4),
    (Failpoint.EVENTS_PUBLISHED, 3),
]
_POINTS: Final = _ALL if LONG else _TELLING

#: The process ended when the start was kept as intended, and had not been called: nobody can know that, so it is never
#: called again, and the gateway gives the transaction up.
_NEVER_STARTED: Final = frozenset({(Failpoint.REQUESTS_PERSISTED, 2), (Failpoint.EVENTS_PUBLISHED, 2)})


@pytest.fixture(scope="module")
def sandbox(start: Callable[[Plan], Sandbox]) -> Sandbox:
    return start(_PLAN)


def quiet(sandbox: Sandbox) -> bool:
    """Whether the charges' log is handled to its end."""
    group = f"{sandbox.prefix}paynotify.charge"
    topic = sandbox.topic("payments.charges")
    return (
        topics_reader.counts(sandbox.bootstrap, topic)[topic] == 0
        or topics_reader.lag(sandbox.bootstrap, group, topic) == 0
    )


@pytest.mark.parametrize(("step", "times"), _POINTS, ids=[f"{step.name.lower()}-{times}" for step, times in _POINTS])
def test_charge_outlives_its_worker(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, step: Failpoint, times: int
) -> None:
    shop, name = Shop(sandbox), f"{step.name.lower()}-{times}"
    assert wait_for(lambda: quiet(sandbox), within_seconds=60, every=0.3)
    assert sandbox.workers[_CHARGER].stop() == 0
    shop.ask(charge(name, shop.register(f"registration-{name}"), capture="now"))
    monkeypatch.setenv(KILL_AT, f"charge/{int(step)}/{times}")
    killed = sandbox.start_worker(_CHARGER)
    assert killed.wait(60), killed.end()
    assert killed.exit_code == -signal.SIGKILL, killed.end()
    monkeypatch.delenv(KILL_AT)
    sandbox.start_worker(_CHARGER)
    end = shop.ended(name)
    moves = int((step, times) not in _NEVER_STARTED)
    assert (end["state"], end["status"]) == ("done", "captured" if moves else "expired")
    events = shop.statuses(end["payment_id"], end["status"])
    assert events[-1]["fulfilment"] == ("release" if moves else "stop")
    money = moved_by_order(shop.gateway.book())[f"order-{name}"]
    assert (money["moved"], money["closed"], money["captured"]) == (moves, moves, 1990 * moves)
    assert (money["starts"], money["closes"]) == (moves, moves), "asked for, and never done again"
    states = [one["state"] for one in shop.told(name)]
    assert [one for one in states if one != "uncertain"] == ["received", "started", "done"]
