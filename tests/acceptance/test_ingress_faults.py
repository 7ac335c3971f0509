"""The ingress while its broker is frozen, killed or back, and while it is being stopped: a 200 is always a record."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from paynotify.sandbox.broker import LocalBroker
from paynotify.sandbox.probes import probe
from paynotify.sandbox.processes import Child
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from tests.acceptance.knocking import Answered, Knocking, soon
from tests.acceptance.ledger import Observer, header
from tests.bench.procfs import rss_bytes

pytestmark = pytest.mark.kafka

PATH: Final = "/notifications/trustpayments/shop-uk"
PUBLISH_TIMEOUT_SECONDS: Final = 2.0
#: For scheduling on a busy machine, and the ingress's own clock.
MARGIN_SECONDS: Final = 2.0
AT_ONCE_SECONDS: Final = 0.5
REFUSALS: Final = 100
DEADLINE_SECONDS: Final = 60.0
#: Long enough to show whether each try to reach a broker leaves something behind; `make outage` is of 10 minutes.
OUTAGE_SECONDS: Final = float(os.environ.get("PAYNOTIFY_OUTAGE_SECONDS") or 12.0)
CALLS_PER_SECOND: Final = 500.0
CALLERS: Final = 24
#: From the first sixth of an outage to its end.
FLAT_BYTES: Final = 16 * 1024 * 1024
FILES_GROWTH: Final = 12
RSS_GROWTH_BYTES: Final = 48 * 1024 * 1024


@pytest.fixture(scope="module")
def sandbox(start: Callable[[Plan], Sandbox]) -> Sandbox:
    ingest = {"publish_timeout_seconds": PUBLISH_TIMEOUT_SECONDS, "retry_after_seconds": 7}
    return start(Plan(workers=(), consumers=False, configuration={"ingest": ingest}))


@pytest.fixture
def ingest(sandbox: Sandbox) -> Iterator[Child]:
    """The ingress, started again if a test has stopped it."""
    assert sandbox.ingest is not None
    if not sandbox.ingest.running:
        sandbox.start_ingest()
    yield sandbox.ingest
    assert "Traceback" not in sandbox.ingest.log_path.read_text("utf-8")


def assert_stored(observer: Observer, knocking: Knocking) -> None:
    """Every body answered 200 is a record exactly as sent."""
    observer.read()
    stored = Counter(record.value for record in observer.records[topics.notifications("trustpayments")])
    lost = [body for body in knocking.accepted() if not stored[body]]
    assert lost == [], f"{len(lost)} accepted notifications are not stored, {lost[:3]} among them"
    # no restart of the ingress in between: the idempotent producer stores each once
    repeated = [one.body for one in knocking.answers if stored[one.body] > 1]
    assert repeated == [], f"{len(repeated)} are stored more than once, {repeated[:3]} among them"
    for record in observer.records[topics.notifications("trustpayments")]:
        assert header(record, "content-type") == "application/x-www-form-urlencoded"


def freeze(broker: LocalBroker) -> Callable[[], None]:
    broker.pause()
    return broker.resume


def kill(broker: LocalBroker) -> Callable[[], None]:
    broker.kill()
    return broker.restart


@pytest.mark.parametrize("outage", [freeze, kill])
def test_callers_are_refused_without_a_broker_and_every_200_is_stored(
    sandbox: Sandbox, observer: Observer, ingest: Child, outage: Callable[[LocalBroker], Callable[[], None]]
) -> None:
    assert sandbox.broker is not None
    with Knocking(sandbox.ingest_address, PATH, per_second=CALLS_PER_SECOND, callers=CALLERS) as knocking:
        soon(lambda: len(knocking.having(200)) > REFUSALS, DEADLINE_SECONDS, "no notification was accepted")
        before_bytes, before_files = rss_bytes(ingest.pid), open_files(ingest)
        began = time.monotonic()
        back = outage(sandbox.broker)
        soon(lambda: bool(knocking.having(503)), DEADLINE_SECONDS, "nobody was refused")
        refused = time.monotonic()
        later = refused + PUBLISH_TIMEOUT_SECONDS + MARGIN_SECONDS
        soon(lambda: len(knocking.having(503, later)) > REFUSALS, DEADLINE_SECONDS, "callers wait for the broker")
        soon(lambda: time.monotonic() - began > OUTAGE_SECONDS / 6, OUTAGE_SECONDS, "time stands still")
        early_bytes = rss_bytes(ingest.pid)
        soon(lambda: time.monotonic() - began > OUTAGE_SECONDS, OUTAGE_SECONDS * 2, "time stands still")
        grown_bytes, grown_files = rss_bytes(ingest.pid) - before_bytes, open_files(ingest) - before_files
        flat_bytes = rss_bytes(ingest.pid) - early_bytes
        port = int(ingest.wait_for_event("management_listening")["port"])
        soon(lambda: probe(port, "/readyz")[0] == 503, DEADLINE_SECONDS, "ready without a broker")
        assert probe(port, "/livez")[0] == 200
        resumed = time.monotonic()
        back()
        soon(lambda: len(knocking.having(200, resumed)) > REFUSALS, DEADLINE_SECONDS, "not accepted after the outage")
        soon(lambda: probe(port, "/readyz")[0] == 200, DEADLINE_SECONDS, "not ready after the outage")
    slow = [one for one in knocking.having(503) if one.took_seconds > PUBLISH_TIMEOUT_SECONDS + MARGIN_SECONDS]
    assert slow == [], "refused too late"
    assert {one.retry_after for one in knocking.having(503)} == {"7"}
    assert quickly(knocking.having(503, later)), "callers go on waiting after the outage is known"
    assert {one.status for one in knocking.answers if began <= one.began_seconds < resumed} <= {200, 503}
    refused_calls = len(knocking.having(503))
    print(
        f"{outage.__name__}: {resumed - began:.0f} s, {refused_calls} calls refused "
        f"({refused_calls / (resumed - began):.0f}/s), RSS {before_bytes / 2**20:.1f} MiB before, "
        f"{early_bytes / 2**20:.1f} after a sixth, {(early_bytes + flat_bytes) / 2**20:.1f} at the end, "
        f"{grown_files:+} open files"
    )
    assert grown_bytes < RSS_GROWTH_BYTES, f"{grown_bytes / 2**20:.0f} MiB more during the outage"
    assert flat_bytes < FLAT_BYTES, f"{flat_bytes / 2**20:.0f} MiB more since the first sixth of the outage"
    assert grown_files < FILES_GROWTH, f"{grown_files} more open files after {resumed - began:.0f} s"
    assert_stored(observer, knocking)
    assert sandbox.ingest is ingest
    assert ingest.running


def open_files(child: Child) -> int:
    return len(list(Path(f"/proc/{child.pid}/fd").iterdir()))


def quickly(answers: list[Answered]) -> bool:
    """Whether nine of ten were answered at once."""
    slow = [one for one in answers if one.took_seconds > AT_ONCE_SECONDS]
    return len(slow) * 10 < len(answers)


def test_stop_under_load_tells_first_stores_what_it_accepted_and_exits_cleanly(
    sandbox: Sandbox, observer: Observer, ingest: Child
) -> None:
    port = int(ingest.wait_for_event("management_listening")["port"])
    slow = http.client.HTTPConnection(sandbox.ingest_address.removeprefix("http://"), timeout=DEADLINE_SECONDS)
    with Knocking(sandbox.ingest_address, PATH) as knocking:
        soon(lambda: len(knocking.having(200)) > REFUSALS, DEADLINE_SECONDS, "no notification was accepted")
        slow.putrequest("POST", PATH)
        slow.putheader("Content-Length", "9")
        slow.putheader("Content-Type", "application/x-www-form-urlencoded")
        slow.endheaders(b"the=")
        soon(lambda: _in_flight(port) >= 1, DEADLINE_SECONDS, "the slow caller is not being read")
        ingest.signal(signal.SIGTERM)
        soon(lambda: probe(port, "/readyz") == (503, "stopping\n"), DEADLINE_SECONDS, "ready while it stops")
        assert ingest.running
        slow.send(b"slow1")
        assert slow.getresponse().status == 200
        slow.close()
        assert ingest.wait(DEADLINE_SECONDS)
        assert ingest.exit_code == 0
    assert {one.status for one in knocking.answers} <= {200, 503, 0}
    assert_stored(observer, knocking)
    assert b"the=slow1" in {record.value for record in observer.records[topics.notifications("trustpayments")]}
    assert json.loads(ingest.log_path.read_text("utf-8").splitlines()[-1])["event"] == "stopped"


def _in_flight(port: int) -> float:
    name = "paynotify_ingest_in_flight "
    lines = probe(port, "/metrics")[1].splitlines()
    return next(float(line.removeprefix(name)) for line in lines if line.startswith(name))
