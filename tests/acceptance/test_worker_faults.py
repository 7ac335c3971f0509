"""Two workers while a broker, a provider or one of themselves is away: nothing is lost, nobody else waits."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any, Final

import pytest
from kafka import KafkaAdminClient

from paynotify.sandbox.broker import LocalBroker
from paynotify.sandbox.processes import Child, stop_all
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from paynotify.schemas.providers import provider_names
from tests.acceptance.knocking import soon
from tests.acceptance.ledger import (
    Observer,
    assert_consumers_applied_once,
    assert_right,
    books_of,
    differences,
    header,
    settle,
)
from tests.acceptance.shopping import Shopping, buy

pytestmark = pytest.mark.kafka

DEADLINE_SECONDS: Final = 60.0
STOP_SECONDS: Final = 25.0
FROZEN_SECONDS: Final = 15.0
PARTITIONS: Final = 4
#: Fewer than the payments that meet a slow provider, so that its calls would take every connection there is.
CALLS_IN_FLIGHT: Final = 2
BOUGHT: Final = 10
OUTAGE_SECONDS: Final = 9.0
PROVIDER_LATENCY_SECONDS: Final = 8.0
#: How much slower others may seem on a busy machine; what waits for the slow provider would take seconds.
FACTOR: Final = 3.0
NOISE_SECONDS: Final = 0.7


@pytest.fixture(scope="module")
def sandbox(start: Callable[[Plan], Sandbox]) -> Sandbox:
    return start(
        Plan(
            workers=((), ()),
            simulators={"time_scale": 60.0, "latency_seconds": 0.01},
            # by default it stops calling after five of these seconds, sooner than a broker is back
            simulator={"nevogate": {"resend_after_seconds": 240.0}, "trustpayments": {"visible_within_seconds": 0.0}},
            configuration={"worker": {"provider_calls_in_flight": CALLS_IN_FLIGHT}},
            partitions=PARTITIONS,
        )
    )


@pytest.fixture(autouse=True)
def workers(sandbox: Sandbox) -> Iterator[list[Child]]:
    """Both workers, started again if a test has ended one."""
    for control in sandbox.providers.values():
        control.clear_faults()
    ended = [number for number, worker in enumerate(sandbox.workers) if not worker.running]
    for worker in [sandbox.start_worker(number) for number in ended]:
        sandbox.wait_ready(worker)
    yield sandbox.workers
    for worker in sandbox.workers:
        assert "Traceback" not in worker.log_path.read_text("utf-8"), worker.end()


def freeze(broker: LocalBroker) -> None:
    broker.pause()
    began = time.monotonic()
    soon(lambda: time.monotonic() - began > FROZEN_SECONDS, DEADLINE_SECONDS, "time stands still")
    broker.resume()


def restart(broker: LocalBroker) -> None:
    broker.restart()


@pytest.mark.parametrize("outage", [restart, freeze])
def test_workers_and_consumers_live_through_a_broker_outage_and_lose_nothing(
    sandbox: Sandbox, observer: Observer, workers: list[Child], outage: Callable[[LocalBroker], None]
) -> None:
    assert sandbox.broker is not None
    with Shopping(sandbox) as shopping:
        soon(lambda: shopping.count() > 60, DEADLINE_SECONDS, "nothing was bought")
        outage(sandbox.broker)
        bought = shopping.count()
        soon(lambda: shopping.count() > bought + 30, DEADLINE_SECONDS, "nothing was bought after the outage")
    assert [worker.exit_code for worker in workers] == [None, None], workers[0].end() + workers[1].end()
    assert_right(sandbox, observer)
    assert_consumers_applied_once(sandbox, observer)
    assert [worker.exit_code for worker in workers] == [None, None], workers[0].end() + workers[1].end()


@pytest.mark.parametrize(
    ("provider", "fault", "calls"),
    [
        ("trustpayments", "unavailable", 1),
        ("trustpayments", "latency", 1),
        ("nevogate", "latency", 2 * CALLS_IN_FLIGHT),
    ],
)
def test_one_providers_outage_delays_nobody_elses_payments_and_is_caught_up(
    sandbox: Sandbox, observer: Observer, provider: str, fault: str, calls: int
) -> None:
    others = [one for one in sandbox.providers if one != provider]
    usual = {one: buy(sandbox, one, BOUGHT) for one in others}
    settle(sandbox, observer)
    if provider == "nevogate":
        _start_afresh(sandbox)
    control = sandbox.providers[provider]
    details = {"seconds": PROVIDER_LATENCY_SECONDS} if fault == "latency" else {}
    met = control.counters().get(f"faults.{fault}", 0) + calls
    control.fault(fault, for_seconds=OUTAGE_SECONDS, **details)  # type: ignore[arg-type]  # a parameter's plain text
    control.notify(paused=True)
    hit = buy(sandbox, provider, BOUGHT)
    control.notify(paused=False)  # all at once, so that as many calls as may be are waiting for the provider
    soon(lambda: control.counters().get(f"faults.{fault}", 0) >= met, DEADLINE_SECONDS, "too few calls met the fault")
    during = {one: buy(sandbox, one, BOUGHT) for one in others}
    bought = {name for names in during.values() for name in names}
    soon(
        lambda: not _unpublished(sandbox, observer, bought), DEADLINE_SECONDS, "the others' payments are not published"
    )
    assert _unpublished(sandbox, observer, set(hit)), "the outage was over too soon to show anything"
    for one in others:
        before, meanwhile = observer.latencies(usual[one]), observer.latencies(during[one])
        assert median(meanwhile) < median(before) * FACTOR + NOISE_SECONDS, (
            f"{one}: {before}, in the outage {meanwhile}"
        )
        assert max(meanwhile) < PROVIDER_LATENCY_SECONDS / 2, f"{one}: some waited for {provider}: {sorted(meanwhile)}"
    assert_right(sandbox, observer)
    if fault == "unavailable":
        put_off = {header(record, "ce_id") for record in observer.records[topics.retry(provider, 1)]}
        came_back = {
            header(record, "ce_id")
            for record in observer.records[topics.lookups(provider)]
            if header(record, "attempts")
        }
        assert put_off & came_back, "no lookup waited and came back"


def _start_afresh(sandbox: Sandbox) -> None:
    """Workers without a connection to any provider yet: an open one is used whatever the bounds of new ones are."""
    stop_all(sandbox.workers, STOP_SECONDS)
    for worker in [sandbox.start_worker(number) for number in range(len(sandbox.workers))]:
        sandbox.wait_ready(worker)


def _unpublished(sandbox: Sandbox, observer: Observer, payments: set[str]) -> list[str]:
    observer.read()
    left = differences(books_of(sandbox), observer)
    return [one for one in left if one.partition(":")[0].partition("/")[2] in payments]


def test_worker_stopped_under_load_ends_cleanly_and_is_replaced(
    sandbox: Sandbox, observer: Observer, workers: list[Child]
) -> None:
    groups = [f"paynotify.{name}" for name in ("resolve", *(f"verify.{one}" for one in sandbox.providers))]
    for group in groups:
        soon(lambda group=group: _owned(sandbox, group) == [2, 2], DEADLINE_SECONDS, f"{group} is not shared evenly")  # type: ignore[misc]  # the default binds the loop's value
    with Shopping(sandbox) as shopping:
        soon(lambda: shopping.count() > 60, DEADLINE_SECONDS, "nothing was bought")
        began = time.monotonic()
        assert workers[0].stop(STOP_SECONDS) == 0, workers[0].end()
        assert time.monotonic() - began < STOP_SECONDS
        bought = shopping.count()
        soon(lambda: shopping.count() > bought + 30, DEADLINE_SECONDS, "nothing was bought after the stop")
    for group in groups:
        soon(lambda group=group: _owned(sandbox, group) == [PARTITIONS], DEADLINE_SECONDS, f"{group}: no take-over")  # type: ignore[misc]  # the default binds the loop's value
    assert_right(sandbox, observer)


def _owned(sandbox: Sandbox, group: str) -> list[int]:
    """How many source partitions each member of the group has, by the broker's own word."""
    client = KafkaAdminClient(bootstrap_servers=sandbox.bootstrap)
    logging.getLogger("kafka.admin").setLevel(logging.ERROR)  # it can't decode what Faust tells of itself beside this
    try:
        members = client.describe_groups([group])[group]["members"]
        return sorted(_partitions(member) for member in members)
    finally:
        client.close()


def _partitions(member: Any) -> int:
    sources = (topics.OBSERVATIONS, *map(topics.notifications, provider_names()))
    assigned = member["member_assignment"]["assigned_partitions"]
    return sum(len(one["partitions"]) for one in assigned if one["topic"] in sources)
