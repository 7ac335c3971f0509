"""The operator's tools beside the running system: replay after a wrong key, trace, audit and doctor."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from paynotify.schemas.messages import OverduePayment, PaymentRequest, encode, fields_of
from paynotify.schemas.money import Money
from paynotify.schemas.times import rfc3339
from tests import topics_reader

pytestmark = pytest.mark.kafka

DEADLINE_SECONDS: Final = 40.0
ROOT: Final = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sandbox(kafka: str) -> Iterator[Sandbox]:
    with Sandbox(Plan(kafka=kafka, consumers=False)) as running:
        yield running


def _run(sandbox: Sandbox, *words: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "paynotify.ops.main", *words, "--config", str(sandbox.config_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def _json(sandbox: Sandbox, *words: str) -> Any:
    _, said, problems = _run(sandbox, *words, "--json")
    assert said, problems
    return json.loads(said)


def _records(sandbox: Sandbox, name: str) -> list[topics_reader.Record]:
    return topics_reader.whole(sandbox.bootstrap, sandbox.topic(name))


def _events(sandbox: Sandbox, key: str) -> list[dict[str, Any]]:
    return topics_reader.payments(_records(sandbox, topics.STATUS)).get(key, [])


def _until(condition: Any) -> Any:
    found = wait_for(condition, within_seconds=DEADLINE_SECONDS, every=0.2)
    assert found
    return found


def _idle(sandbox: Sandbox) -> bool:
    """Whether every stage has committed everything."""
    groups = (
        {f"verify.{provider}": topics.notifications(provider) for provider in sandbox.providers}
        | {f"fetch.{provider}": topics.lookups(provider) for provider in sandbox.providers}
        | {f"interpret.{provider}": topics.responses(provider) for provider in sandbox.providers}
        | {"resolve": topics.OBSERVATIONS}
    )
    return not any(
        topics_reader.lag(sandbox.bootstrap, f"{sandbox.prefix}paynotify.{unit}", sandbox.topic(name))
        for unit, name in groups.items()
    )


def _paid(sandbox: Sandbox, provider: str, merchant: str) -> str:
    """The key of a new payment that has been published as captured or authorised."""
    payment = sandbox.providers[provider].pay(order_id=f"ORD-{provider}", amount=1250)
    key = f"{merchant}/{payment}"
    _until(lambda: _events(sandbox, key))
    return key


FLOW = {"notification", "lookup", "answer", "observation", "status"}


def test_trace_shows_a_payment_from_the_call_to_the_result(sandbox: Sandbox) -> None:
    for provider, merchant in (("omnikassa", "shop-nl"), ("trustpayments", "shop-uk"), ("nevogate", "shop-hu")):
        key = _paid(sandbox, provider, merchant)
        (story,) = _json(sandbox, "trace", key)["payments"]
        kinds = {one["kind"] for one in story["entries"]}
        assert kinds >= FLOW, (provider, kinds)
        answers = [one["what"] for one in story["entries"] if one["kind"] == "answer"]
        assert not any("no observation of this payment" in what for what in answers), (provider, answers)
        times = [one["at"] for one in story["entries"]]
        assert times == sorted(times)
        assert story["status"] == _events(sandbox, key)[-1]["status"]
        assert all(one["topic"].startswith(sandbox.prefix) and one["offset"] >= 0 for one in story["entries"])


def test_trace_shows_a_payment_that_was_expected(sandbox: Sandbox) -> None:
    sold = {
        "merchant": "shop-nl",
        "order_id": "ORD-sold",
        "amount": {"value": 1250, "currency": "EUR"},
        "created_at": rfc3339(),
    }
    value = json.dumps(sold).encode()
    topics_reader.send(sandbox.bootstrap, sandbox.topic(topics.EXPECTED), [(b"any key", value, {})])
    _until(lambda: any(b"ORD-sold" in (one.key or b"") for one in _records(sandbox, topics.ORDERS)))
    key = f"shop-nl/{sandbox.providers['omnikassa'].pay(order_id='ORD-sold', amount=1250)}"
    _until(lambda: _events(sandbox, key))
    (story,) = _json(sandbox, "trace", key)["payments"]
    assert {one["kind"] for one in story["entries"]} >= FLOW | {"expected"}


def test_trace_shows_no_body_and_no_token(sandbox: Sandbox, tmp_path: Path) -> None:
    key = _paid(sandbox, "omnikassa", "shop-nl")
    tokens = [json.loads(one.value)["arguments"]["token"] for one in _records(sandbox, topics.lookups("omnikassa"))]
    page = tmp_path / "payment.html"
    assert _run(sandbox, "trace", key, "--html", str(page))[0] == 0
    told = page.read_text("utf-8") + _run(sandbox, "trace", key)[1] + _run(sandbox, "trace", key, "--json")[1]
    assert tokens
    assert not any(token in told for token in tokens)
    assert "signature" not in told
    assert "<svg" in told


def test_trace_by_order_finds_its_payments(sandbox: Sandbox) -> None:
    key = _paid(sandbox, "nevogate", "shop-hu")
    stories = _json(sandbox, "trace", "--merchant", "shop-hu", "--order", "ORD-nevogate")["payments"]
    assert key.partition("/")[2] in {story["payment_id"] for story in stories}


def test_trace_shows_messages_of_the_order_with_and_without_a_payment(sandbox: Sandbox) -> None:
    key = _paid(sandbox, "nevogate", "shop-hu")
    amount = Money(1250, "HUF")
    for number, order in enumerate(("ORD-nevogate", "ORD/unpaid é")):
        common = {"merchant": "shop-hu", "order_id": order, "amount": amount}
        ours: dict[str, Any] = {"event_id": f"e{number}", "provider": "nevogate", "at": rfc3339(), **common}
        overdue = OverduePayment(
            state="raised", payment_id=None, status=None, created_at=rfc3339(), final_by=rfc3339(), **ours
        )
        request = PaymentRequest(
            request_id="R1",
            action="charge",
            state="refused",
            reason="over_day_limit",
            payment_id=None,
            status=None,
            **ours,
        )
        # a shop's own key, and its own encoder
        sold = json.dumps({**common, "amount": fields_of(amount), "created_at": rfc3339()}).replace("/", "\\/").encode()
        for name, value in (
            (topics.EXPECTED, sold),
            (topics.OVERDUE, encode(overdue)),
            (topics.REQUESTS, encode(request)),
            (topics.EXPECTED, sold.replace(b"shop-hu", b"shop-xx")),
        ):
            topics_reader.send(sandbox.bootstrap, sandbox.topic(name), [(b"any key", value, {})])
    told = ["expected", "overdue", "request"]
    (story,) = _json(sandbox, "trace", key)["payments"]
    assert sorted(one["kind"] for one in story["entries"] if one["kind"] in told) == told
    (unpaid,) = _json(sandbox, "trace", "--merchant", "shop-hu", "--order", "ORD/unpaid é")["payments"]
    assert sorted(one["kind"] for one in unpaid["entries"]) == told
    code, said, _ = _run(sandbox, "trace", "--merchant", "shop-hu", "--order", "ORD/unpaid é")
    assert code == 0
    assert "charge refused: over_day_limit" in said


def test_trace_of_an_unknown_payment_exits_with_1(sandbox: Sandbox) -> None:
    code, _, said = _run(sandbox, "trace", "shop-uk/1-2-3")
    assert code == 1
    assert "No records were found" in said


def test_replay_sends_expected_payments_but_no_requests(sandbox: Sandbox) -> None:
    sold = {
        "merchant": "shop-new",
        "order_id": "ORD-early",
        "amount": {"value": 1250, "currency": "EUR"},
        "created_at": rfc3339(),
    }
    value = json.dumps(sold).encode()
    topics_reader.send(sandbox.bootstrap, sandbox.topic(topics.EXPECTED), [(b"early", value, {})])
    topics_reader.send(sandbox.bootstrap, sandbox.topic(topics.REQUESTED), [(b"early", b"no request", {})])
    _until(lambda: [one.key for one in _records(sandbox, topics.DEAD)].count(b"early") == 2)

    code, said, problems = _run(sandbox, "replay", "dead", "--key", "early", "--yes", "--json")
    assert (code, problems) == (0, "")
    report = json.loads(said)
    assert report["sent"] == 1
    assert report["left_out"] == {"requests that move money; the shop must request them again": 1}
    again = [one for one in _records(sandbox, topics.EXPECTED) if "replayed-from" in dict(one.headers)]
    assert [(one.key, one.value) for one in again] == [(b"early", value)]
    assert not any("replayed-from" in dict(one.headers) for one in _records(sandbox, topics.REQUESTED))


def test_replay_after_a_key_change_turns_rejections_into_results(sandbox: Sandbox) -> None:
    secret = sandbox.directory / "secrets" / "shop-uk" / "notification"
    right = secret.read_text("utf-8")
    choice = ("replay", "rejected", "--reason", "bad_signature", "--merchant", "shop-uk")
    secret.write_text("a-wrong-key", "utf-8")
    try:
        key = _rejected_payment(sandbox)
        assert _events(sandbox, key) == []
        report = _json(sandbox, *choice)
        assert (report["dry_run"], report["sent"]) == (True, 0)
        assert report["matched"] >= 1
        assert report["first"][0]["to"] == sandbox.topic(topics.notifications("trustpayments"))
        assert len(_records(sandbox, topics.REJECTED)) >= 1
    finally:
        secret.write_text(right, "utf-8")

    # the worker re-reads its secrets once a second; what is rejected anew is replayed anew
    _until(lambda: _run(sandbox, *choice, "--yes")[0] == 0 and _events(sandbox, key))
    _until(lambda: _idle(sandbox))
    before = [one.value for one in _records(sandbox, topics.STATUS)]

    assert _json(sandbox, *choice)["left_out"]["replayed before"] >= 1
    assert _json(sandbox, *choice, "--again", "--yes")["sent"] >= 1
    _until(lambda: _idle(sandbox))
    assert [one.value for one in _records(sandbox, topics.STATUS)] == before, "a second replay changed something"

    (story,) = _json(sandbox, "trace", key)["payments"]
    assert {"rejected", "status"} <= {one["kind"] for one in story["entries"]}
    code, said, differences = _run(sandbox, "audit", "--since", "1h")
    assert code == 0, said + differences


def _rejected_payment(sandbox: Sandbox) -> str:
    """Pay until the worker has noticed the wrong key; the payment it rejected."""

    def rejected() -> str | None:
        payment = sandbox.providers["trustpayments"].pay(order_id="ORD-wrong-key", amount=500)
        wanted = f"shop-uk/{payment}"

        def ended() -> str | None:
            keys = {one.key.decode() for one in _records(sandbox, topics.REJECTED)}
            return wanted if wanted in keys else "published" if _events(sandbox, wanted) else None

        found: str = _until(ended)
        return None if found == "published" else found

    key: str = _until(rejected)
    return key


def test_replay_sends_the_original_bytes_key_and_id(sandbox: Sandbox) -> None:
    topics_reader.send(
        sandbox.bootstrap,
        sandbox.topic(topics.DEAD),
        [
            (
                b"shop-hu/" + b"e" * 32,
                b"\x00not a lookup",
                {
                    "ce_id": "dead-1",
                    "reason": "unreadable_lookup",
                    "original-topic": sandbox.topic(topics.lookups("nevogate")),
                    "original-partition": "0",
                    "original-offset": "0",
                    "attempts": "3",
                },
            ),
            (b"shop-hu/x", b"", {"ce_id": "dead-2", "reason": "refused", "original-topic": "somebody.elses"}),
        ],
    )
    code, said, problems = _run(sandbox, "replay", "dead", "--merchant", "shop-hu", "--yes")
    assert "somebody.elses" in problems, said
    assert code == 1
    (back,) = [
        one for one in _records(sandbox, topics.lookups("nevogate")) if topics_reader.header(one, "ce_id") == "dead-1"
    ]
    assert (back.key, back.value) == (b"shop-hu/" + b"e" * 32, b"\x00not a lookup")
    assert {name for name, _ in back.headers} == {"ce_id", "replayed-from"}
    actions = _json(sandbox, "history", "--command", "replay", "--merchant", "shop-hu")["actions"]
    ended = actions[-1]["ended"]
    assert (ended["state"], ended["planned"], ended["published"], ended["merchant"]) == ("done", 1, 1, "shop-hu")
    assert _run(sandbox, "replay", "dead", "--provider", "omnikassa")[0] == 0


def test_doctor_finds_nothing_wrong_and_then_what_is(sandbox: Sandbox) -> None:
    report = _json(sandbox, "doctor", "--recovery")
    assert [one for one in report["findings"] if one["verdict"] == "error"] == []
    said = " ".join(one["what"] for one in report["findings"])
    assert "credentials: accepted" in said
    assert "Apache Kafka" in said
    assert "clock: the same as the brokers'" in said
    assert "no authorizer enabled" in said or "authorizer enabled" in said

    secret = sandbox.directory / "secrets" / "shop-uk" / "password"
    right = secret.read_text("utf-8")
    try:
        secret.write_text("a-wrong-password", "utf-8")
        code, said, _ = _run(sandbox, "doctor")
        assert code == 1
        assert "error    trustpayments for shop-uk: credentials" in said
        secret.unlink()
        code, said, _ = _run(sandbox, "doctor", "--offline")
        assert code == 1
        assert "can't be read" in said
    finally:
        secret.write_text(right, "utf-8")


def test_without_brokers_a_tool_says_so_and_exits_with_3(tmp_path: Path) -> None:
    file = tmp_path / "paynotify.yaml"
    file.write_text(
        "sandbox: true\nkafka: {bootstrap_servers: '127.0.0.1:9'}\nmerchants: [{id: shop-uk, provider: nevogate, "
        "store_name: s, api_key: {value: k}, base_url: 'https://a.example'}]\n",
        "utf-8",
    )
    command = [sys.executable, "-m", "paynotify.ops.main", "audit", "--since", "1h", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert done.returncode == 3
    assert "No Kafka broker answered at" in done.stderr
    assert "Traceback" not in done.stderr
