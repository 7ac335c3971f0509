"""The console beside the running system: what happens appears on its pages, also after it was killed."""

from __future__ import annotations

import contextlib
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import httpx
import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.structs import OffsetAndMetadata

from paynotify.ops.console.flow.history import StepReading
from paynotify.ops.console.flow.readings import flow_reader
from paynotify.ops.console.flow.steps import flow_steps
from paynotify.ops.console.index.tables import TABLES
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from tests import topics_reader
from tests.console_process import DEADLINE_SECONDS, ROOT, TOKEN, Console
from tests.fakes import configurations

pytestmark = pytest.mark.kafka

STOP_SECONDS: Final = 4.5
NEVOGATE: Final = {"nevogate": ("shop-hu",)}


@pytest.fixture(scope="module")
def sandbox(kafka: str) -> Iterator[Sandbox]:
    tokens = [{"name": "shop", "token": {"value": TOKEN}, "scopes": ["orders:read", "payments:read"]}]
    configuration = {"console": {"api_tokens": tokens}}
    with Sandbox(Plan(kafka=kafka, consumers=False, merchants=NEVOGATE, configuration=configuration)) as running:
        yield running


def check_records(console: Console, story: str, payment: str) -> None:
    """Each record of a story has a page, and the id of its notification leads back to the payment."""
    links = re.findall(r'href="(/records/[^"]+)"', story)
    assert len(links) >= 5, story
    pages = {link: console.page(link) for link in links}
    assert all(status == 200 and "<dt>size</dt>" in page for status, page in pages.values()), pages
    notification = next(page for link, (_, page) in pages.items() if "notifications.nevogate/" in link)
    named = re.search(r"<dt>ce_id</dt><dd>([^<]+)</dd>", notification)
    assert named is not None, notification
    assert f"<code>shop-hu/{payment}</code>" in console.page(f"/search?q={named[1]}")[1]


def test_payment_appears_is_found_and_tells_its_story(sandbox: Sandbox, tmp_path: Path) -> None:
    with Console(sandbox, tmp_path / "index.sqlite") as console:
        payment = sandbox.providers["nevogate"].pay(order_id="ORD-4711", amount=1250)
        found = console.until("/search?q=ORD-47", payment)
        assert f"<code>shop-hu/{payment}</code>" in found, "a search with one hit leads to its page"
        page = console.until(f"/payments/shop-hu/{payment}", "notification")
        assert "The goods may leave" in page
        assert all(f"<td>{kind}</td>" in page for kind in ("notification", "lookup", "answer", "observation", "status"))
        check_records(console, page, payment)
        assert console.page("/payments/shop-hu/none")[0] == 404
        assert console.page("/payments/nobody/none")[0] == 404
        assert console.page("/", host="attacker.example")[0] == 421
        console.child.kill()
    with contextlib.closing(sqlite3.connect(tmp_path / "index.sqlite")) as database, database:
        (ids,) = database.execute("SELECT count(DISTINCT id) FROM topic_ids").fetchone()
        assert ids == len(TABLES), "the brokers' own ids tell a topic that was made anew"
        # as after topics that were deleted and made anew
        database.execute("UPDATE positions SET next_offset = 1000000")
    later = sandbox.providers["nevogate"].pay(order_id="ORD-4712", amount=1250)
    with Console(sandbox, tmp_path / "index.sqlite") as console:
        page = console.until("/search?q=ORD-471", later)
        assert payment in page
        assert "up to date" in console.until("/", "up to date")


def test_payment_comes_live_and_streams_end_with_the_console(sandbox: Sandbox, tmp_path: Path) -> None:
    before = sandbox.providers["nevogate"].pay(order_id="ORD-4713", amount=1250)
    with Console(sandbox, tmp_path / "index.sqlite") as console:
        console.until("/search?q=ORD-4713", before)
        with console.stream("/live/events?kind=status") as rows, console.stream("/live/news") as news:
            payment = sandbox.providers["nevogate"].pay(order_id="ORD-4714", amount=1250)
            assert any(f"/payments/shop-hu/{payment}" in line.decode() for line in rows)
            assert b"event: news\n" in news
            console.child.signal(signal.SIGTERM)
            began = time.monotonic()
            assert console.child.wait(DEADLINE_SECONDS)
            # beyond that uvicorn would have cut them off
            assert time.monotonic() - began < STOP_SECONDS
            assert (rows.read()[-2:], rows.read()) == (b"\n\n", b"")
    with Console(sandbox, tmp_path / "index.sqlite") as console:
        # nothing comes: these are read back from the topics
        assert payment in console.until("/live?kind=status", before)


def test_program_learns_that_an_order_is_paid_and_waits_for_events(sandbox: Sandbox, tmp_path: Path) -> None:
    with Console(sandbox, tmp_path / "index.sqlite") as console:
        console.until("/", "up to date")
        payment = sandbox.providers["nevogate"].pay(order_id="ORD-4715", amount=1250)
        # it comes through all stages while the call waits
        status, first = console.asked(f"/payments/shop-hu/{payment}?after_sequence=0&wait_seconds=30")
        assert (status, first["event"]["order_id"]) == (200, "ORD-4715")
        while first["event"]["status"] != "captured":
            after = first["event"]["sequence"]
            status, first = console.asked(f"/payments/shop-hu/{payment}?after_sequence={after}&wait_seconds=30")
            assert status == 200
        status, order = console.asked("/orders/shop-hu/ORD-4715")
        assert (status, order["paid"], order["fulfilment"]) == (200, "yes", "release")
        assert order["kept"] == {"value": 1250, "currency": "HUF"}
        assert console.asked("/orders/shop-hu/ORD-9999")[0] == 404

        with ThreadPoolExecutor(1) as program:
            waiting = program.submit(console.asked, f"/payments/shop-hu/{payment}?after_sequence=99&wait_seconds=60")
            assert console.asked(f"/payments/shop-hu/{payment}?after_sequence=99&wait_seconds=1")[0] == 204
            console.child.signal(signal.SIGTERM)
            began = time.monotonic()
            assert waiting.result(DEADLINE_SECONDS) == (204, None)
            assert console.child.wait(DEADLINE_SECONDS)
            assert time.monotonic() - began < STOP_SECONDS


def commit(client: KafkaAdminClient, group: str, topic: str, done: Mapping[int, int]) -> None:
    """As a stage that has processed its partitions up to these offsets."""
    offsets = {TopicPartition(topic, number): OffsetAndMetadata(offset, "", -1) for number, offset in done.items()}
    client.alter_group_offsets(group, offsets)


def ends(client: KafkaAdminClient, topic: str) -> dict[int, int]:
    found = client.list_partition_offsets({TopicPartition(topic, number): -1 for number in (0, 1)})
    return {place.partition: one.offset for place, one in found.items()}


def test_flow_is_measured_at_the_topics_and_groups_themselves(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    configuration = configurations.parsed(kafka, topic_prefix, tmp_path)
    lookups, retries = topic_prefix + topics.lookups("nevogate"), topic_prefix + topics.retry("nevogate", 1)
    configurations.create_topics(kafka, lookups, retries, partitions=2)
    began = time.time()
    # one batch is larger than what the sampler asks for at a time
    topics_reader.send(kafka, lookups, [(b"a", b"x" * 100_000, {}), *((b"%d" % one, b"y", {}) for one in range(9))])
    topics_reader.send(kafka, retries, [(b"a", b"later", {})] * 3)
    steps = flow_steps(configuration)
    group = next(one.group for one in steps if one.name == "fetch.nevogate")
    client = KafkaAdminClient(bootstrap_servers=kafka)
    try:
        before = ends(client, lookups)
        with flow_reader(configuration, steps) as reader:
            none = reader.read()
            assert none["verify.nevogate"] == StepReading(0, 0, 0, 0, None), "its topics do not exist"
            nothing_done = none["fetch.nevogate"]
            assert (nothing_done.ended, nothing_done.done, nothing_done.lag, nothing_done.waiting) == (10, 0, 10, 3)
            assert nothing_done.oldest_at is not None
            assert began - 1 <= nothing_done.oldest_at <= time.time()
            assert reader.read()["fetch.nevogate"] == nothing_done

            topics_reader.send(kafka, lookups, [(b"a", b"new", {})])
            after = ends(client, lookups)
            (grown,) = [number for number in before if after[number] > before[number]]
            commit(client, group, lookups, before)
            one_left = reader.read()["fetch.nevogate"]
            assert (one_left.lag, one_left.done) == (1, 10)
            assert one_left.oldest_at is not None
            assert one_left.oldest_at > nothing_done.oldest_at
            commit(client, group, lookups, {grown: after[grown]})
            assert reader.read()["fetch.nevogate"] == StepReading(11, 11, 0, 3, None)
    finally:
        client.close()


def test_flow_page_shows_what_the_stages_of_the_running_system_do(sandbox: Sandbox, tmp_path: Path) -> None:
    with Console(sandbox, tmp_path / "index.sqlite") as console:
        payment = sandbox.providers["nevogate"].pay(order_id="ORD-4715", amount=1250)
        console.until("/search?q=ORD-4715", payment)
        page = console.until("/flow", "<dd>none</dd>")
        assert page.count('<li class="step ') == 6
        assert "not silent" in page
        assert "<td>none known</td><td>not silent" in page.replace("\n", ""), "money was taken, and none given back"


def examine(console: Console) -> None:
    """Send the form of the doctor's page, as a browser does."""
    with httpx.Client(base_url=console.address) as browser:
        token = re.search(r'name="form_token" value="([^"]+)"[^<]*<button>Examine', browser.get("/doctor").text)
        assert token is not None
        answer = browser.post("/doctor", data={"form_token": token[1]}, headers={"origin": console.address})
        assert answer.status_code == 303, answer.text


def test_reconciliation_and_the_doctors_findings_appear(sandbox: Sandbox, tmp_path: Path) -> None:
    """The command keeps its report on the topic, and the console shows it; the doctor runs in the console."""
    with Console(sandbox, tmp_path / "index.sqlite") as console:
        payment = sandbox.providers["nevogate"].pay(order_id="ORD-5000", amount=1250, currency="EUR")
        console.until(f"/payments/shop-hu/{payment}", "The goods may leave")
        export = tmp_path / "export.csv"
        export.write_text(f"payment_id,amount,currency\n{payment},12.49,EUR\n", "utf-8")
        options = ("--merchant", "shop-hu", "--from", "1h", "--slack", "0s", "--export", str(export), "--by", "jo")
        command = [sys.executable, "-m", "paynotify.ops.main", "reconcile", *options]
        done = subprocess.run(
            [*command, "--config", str(sandbox.config_path)], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert (done.returncode, done.stderr) == (1, ""), done
        page = console.until("/reconciliations?differs=yes", "the shop&#39;s export")
        report = re.search(r'href="(/reconciliations/shop-hu/[^"]+)"', page)
        assert report is not None
        page = console.page(report[1])[1]
        assert f'href="/payments/shop-hu/{payment}"' in page
        assert "12.49" in page
        assert "by jo (named)" in page
        assert "kafka.bootstrap_servers" in console.page("/configuration")[1]

        examine(console)
        page = console.until("/doctor", "It ended")
        assert "Apache Kafka" in page
        assert "nevogate for shop-hu" in page
        assert "the run was ended" not in page
        assert "Apache Kafka" in console.page("/versions")[1]
