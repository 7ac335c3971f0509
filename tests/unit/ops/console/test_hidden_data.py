"""No page shows what callers, shops and providers sent: every topic is full of it, and every page is read."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest

from paynotify.ops.console.access.form_tokens import FORM_FIELD
from paynotify.ops.console.actions.pages import ActionPages
from paynotify.ops.console.api.assembly import build_api
from paynotify.ops.console.api.event_waiters import EventWaiters
from paynotify.ops.console.application import build_application
from paynotify.ops.console.flow.sampler import FlowSampler
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.index.payment_index import PaymentIndex
from paynotify.ops.console.index.tables import TABLES
from paynotify.ops.console.live.fan_out import EventFanOut
from paynotify.ops.console.page_groups import page_routes
from paynotify.ops.console.queries import IndexQueries
from paynotify.ops.console.rendering import PageRenderer
from paynotify.processors.interpret.stage import observation_id
from paynotify.schemas import topics
from paynotify.schemas.api.operations import OPERATIONS, PREFIX
from paynotify.schemas.messages import (
    LOOKUP_REQUESTED,
    PAYMENT_OBSERVED,
    RESPONSE_RECEIVED,
    Answered,
    ExpectedPayment,
    Lookup,
    Observation,
    OperationsEvent,
    OperatorAction,
    OverduePayment,
    PaymentRequest,
    ProviderSilent,
    ReconciledDifference,
    Reconciliation,
    encode,
)
from paynotify.schemas.money import Money
from paynotify.schemas.records import Record
from paynotify.schemas.times import rfc3339
from tests.fakes import configurations
from tests.fakes.console_browser import HOST
from tests.fakes.console_topics import NAMES, payment_status, record
from tests.fakes.memory_topics import MemoryTopics

#: A name, an address, a token, and a card number with its code: as bodies, headers and unknown fields have them.
CANARIES: Final = (
    "Zebulon Quaggafeather",
    "zebulon@quagga.example",
    "tok-quagga-7f3a9",
    "4111111111111111",
    "cvv-quagga",
)
SENT: Final = dict(zip(("cardholder", "email", "token", "pan", "cvv"), CANARIES, strict=True))
HEADERS: Final = {
    "user-agent": CANARIES[0],
    "http-query": f"email={CANARIES[1]}&pan={CANARIES[3]}",
    "x-request-id": CANARIES[2],
    "url-token": CANARIES[2],
    "content-type": f"text/plain; name={CANARIES[0]}",
    "authorization": f"Bearer {CANARIES[2]}",
    "fact-owner": CANARIES[0],
    "alert": CANARIES[0],
}
TOKEN: Final = "token-of-the-tests-which-nobody-guesses"
SCOPES: Final = ["orders:read", "payments:read", "operations:read"]
KEY: Final = "shop-uk/57-9-1"
NOW: Final = rfc3339()
GBP: Final = Money(1050, "GBP")


def message(one: Any) -> bytes:
    """The message with fields that nobody asked for, as a shop or a later release writes them."""
    return json.dumps({**json.loads(encode(one)), **SENT, "more": {"deep": [SENT]}}).encode()


def made() -> dict[str, list[Record]]:
    """One payment's records on every topic, and what a person has to look at; all with what must not be shown."""
    lookup = Lookup(
        provider="trustpayments",
        merchant="shop-uk",
        operation="TRANSACTIONQUERY",
        reference="57-9-1",
        notification_id="n-1",
        received_at=NOW,
        arguments={"token": CANARIES[2], "name": CANARIES[0]},
    )
    observation = Observation(
        provider="trustpayments",
        merchant="shop-uk",
        payment_id="57-9-1",
        order_id="ORD-1",
        status="authorised",
        amount=GBP,
        source="TRANSACTIONQUERY",
        observed_at=NOW,
    )
    answers = [Answered(lookup_id="l-1", reference="57-9-1", received_at=NOW, traceparent="")]
    body = json.dumps(SENT).encode()
    common: dict[str, Any] = {
        "merchant": "shop-uk",
        "order_id": "ORD-1",
        "payment_id": "57-9-1",
        "provider": "trustpayments",
    }
    failed = {"original-topic": "lookups.trustpayments", "original-partition": "0", "original-offset": "0"}
    event = payment_status("57-9-1", 1, "ORD-1", status="authorised", fulfilment="hold", final=False, observed_at=NOW)
    expected = ExpectedPayment(
        merchant="shop-uk",
        order_id="ORD-1",
        amount=GBP,
        created_at=CANARIES[0],
        payment_id="57-9-1",
        final_by=CANARIES[1],
    )
    overdue = OverduePayment(
        event_id="o",
        state="raised",
        status="authorised",
        amount=GBP,
        created_at=NOW,
        final_by=CANARIES[1],
        at=NOW,
        **common,
    )
    request = PaymentRequest(
        event_id="r",
        request_id="req-1",
        action="capture",
        state="uncertain",
        reason="no_answer",
        amount=GBP,
        status=None,
        at=NOW,
        **common,
    )
    silent = ProviderSilent(
        event_id="s", state="silent", provider="trustpayments", unheard=20, since=NOW, at=NOW, urgent=False
    )
    case = OperationsEvent(
        event_id="c",
        kind="over_refunded",
        provider="trustpayments",
        merchant="shop-uk",
        cause="x",
        at=NOW,
        payment_id="57-9-1",
    )
    action = OperatorAction(
        event_id="i",
        action_id="a-1",
        state="intended",
        command="replay",
        by="anna",
        identity="os_user",
        at=NOW,
        merchant="shop-uk",
        payment_id="57-9-1",
    )
    difference = ReconciledDifference(kind="missing_there", payment_id="57-9-1", order_id="ORD-1")
    reconciliation = Reconciliation(
        event_id="run-1",
        merchant="shop-uk",
        provider="trustpayments",
        start=NOW,
        end=NOW,
        slack_seconds=900,
        source="export",
        compared=1,
        differences_total=1,
        differences=(difference,),
        by="anna",
        identity="os_user",
        at=NOW,
    )
    values: dict[str, tuple[str, bytes, Mapping[str, str]]] = {
        topics.notifications("trustpayments"): (KEY, body, {"ce_id": "n-1", "ce_time": NOW, "http-method": "POST"}),
        topics.lookups("trustpayments"): (KEY, message(lookup), {"ce_id": "l-1", "ce_type": LOOKUP_REQUESTED}),
        topics.retry("trustpayments", 1): (
            *(KEY, message(lookup)),
            {"ce_id": "l-1", "ce_type": LOOKUP_REQUESTED, "not-before": NOW, "reason": "unavailable"},
        ),
        topics.responses("trustpayments"): (
            *(KEY, body),
            {
                "ce_id": "r-1",
                "ce_time": NOW,
                "ce_type": RESPONSE_RECEIVED,
                "http-status": "200",
                "lookups": encode(answers).decode(),
            },
        ),
        topics.OBSERVATIONS: (
            KEY,
            message(observation),
            {"ce_id": observation_id("r-1", observation), "ce_type": PAYMENT_OBSERVED, "received-at": NOW},
        ),
        topics.STATUS: (KEY, message(event), {"ce_id": event.event_id}),
        topics.LATEST: (KEY, message(event), {"ce_id": event.event_id}),
        topics.EXPECTED: (CANARIES[1], message(expected), {}),
        topics.OVERDUE: (KEY, message(overdue), {}),
        topics.REQUESTS: (KEY, message(request), {}),
        topics.SILENT: ("trustpayments", message(silent), {}),
        topics.OPERATIONS: (KEY, message(case), {}),
        topics.OPERATORS: (KEY, message(action), {}),
        topics.RECONCILIATIONS: ("shop-uk", message(reconciliation), {}),
        topics.REJECTED: (KEY, body, {"ce_id": "n-1", "ce_time": CANARIES[0], "reason": CANARIES[0], **failed}),
        topics.DEAD: (
            KEY,
            message(lookup),
            {"ce_id": "l-1", "ce_type": LOOKUP_REQUESTED, "first-seen": CANARIES[1], "reason": CANARIES[2], **failed},
        ),
        topics.DUPLICATES: (KEY, body, {"ce_id": "d-1", "duplicate-of": "n-1"}),
        topics.ALERTS: (KEY, body, {"ce_id": "x-1", "alert-kind": CANARIES[0]}),
    }
    return {
        topic: [
            msgspec.structs.replace(
                record(topic, 0, 0, key, value, **{**HEADERS, **own}), timestamp_seconds=time.time()
            )
        ]
        for topic, (key, value, own) in values.items()
    }


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, list[str]]]:
    """A browser with a token of the API, and the address of every page and operation that answers a GET."""
    records = made()
    index, fan_out = PaymentIndex(tmp_path / "index.sqlite", NAMES, "test"), EventFanOut()
    for one in TABLES:
        found = records.get(one.topic, [])
        index.apply(one.topic, 0, found, 1)
        fan_out.take(one.topic, found)
    index.close()
    console = {"api_tokens": [{"name": "all", "token": {"value": TOKEN}, "scopes": SCOPES}]}
    configuration = configurations.parsed("127.0.0.1:9", "", tmp_path, console=console)
    age = IndexAge(0, time.time(), is_complete=True)
    renderer = PageRenderer(lambda: age)
    queries, sampler = IndexQueries(tmp_path / "index.sqlite"), FlowSampler(configuration)
    actions = ActionPages(configuration, renderer, lambda: MemoryTopics(records))
    routes = page_routes(configuration, queries, renderer, fan_out, sampler, actions, lambda: MemoryTopics(records))
    api = build_api(configuration, queries, EventWaiters(), sampler, lambda: age)
    transport = httpx.ASGITransport(app=build_application(renderer, routes, api=api))
    operations = [PREFIX + one.path.format_map(NAMED) + QUERIES.get(one.path, "") for one in OPERATIONS]
    async with httpx.AsyncClient(
        transport=transport, base_url=HOST, headers={"authorization": f"Bearer {TOKEN}"}
    ) as client:
        read = [address for route in routes if "GET" in route.methods for address in addresses(route.path, records)]
        yield client, [*read, *operations]
    queries.close()


#: Streams have no end; they send what `/live` shows.
STREAMS: Final = frozenset({"/live/events", "/live/news"})
NAMED: Final = {
    "plan_id": "none",
    "merchant": "shop-uk",
    "payment_id": "57-9-1",
    "order_id": "ORD-1",
    "run_id": "run-1",
}
QUERIES: Final = {"/search": "?q=57-9", "/overdue": "?state=raised", "/requests": "?state=uncertain"}


def addresses(path: str, records: Mapping[str, list[Record]]) -> list[str]:
    if path in STREAMS:
        return []
    if path.startswith("/records/"):
        return [f"/records/{topic}/0/0" for topic in records]
    filled = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: NAMED[found[1]], path)
    return [filled + QUERIES.get(path, "")]


async def test_pages_show_nothing_that_was_sent(pages: tuple[httpx.AsyncClient, list[str]]) -> None:
    browser, paths = pages
    shown = {}
    for path in paths:
        answer = await browser.get(path, follow_redirects=True)
        assert answer.status_code in (200, 404), (path, answer.text)
        shown[path] = answer.text
        for canary in (*CANARIES, "quagga", "Quagga", "4111"):
            assert canary not in answer.text, (path, canary)
    # pages without the records would show nothing as well
    assert all("more are not shown" in page for path, page in shown.items() if path.startswith("/records/"))
    assert "57-9-1" in shown["/rejected"]
    assert "57-9-1" in shown["/dead"]
    assert "ORD-1" in shown["/overdue?state=raised"]
    assert "req-1" in shown["/requests?state=uncertain"]
    assert "57-9-1" in shown["/reconciliations/shop-uk/run-1"]
    for path in ("/orders/shop-uk/ORD-1", "/payments/shop-uk/57-9-1", "/search?q=57-9", "/rejected", "/dead"):
        assert "57-9-1" in shown[PREFIX + path], path
    story = shown["/payments/shop-uk/57-9-1"]
    for kind in ("expected", "request", "notification", "rejected", "duplicate", "lookup", "retry", "answer", "dead"):
        assert f"<td>{kind}</td>" in story, kind
    for kind in ("observation", "status", "overdue", "case", "action"):
        assert f"<td>{kind}</td>" in story, kind


@pytest.mark.parametrize("kind", ["rejected", "dead"])
async def test_dry_run_of_a_replay_shows_nothing_that_was_sent(
    pages: tuple[httpx.AsyncClient, list[str]], kind: str
) -> None:
    browser, _ = pages
    form = (await browser.get("/actions/replay")).text
    token = re.search(rf'name="{FORM_FIELD}" value="(\w+)"', form)
    assert token is not None
    answer = await browser.post(
        "/actions/replay", data={FORM_FIELD: token[1], "kind": kind}, headers={"origin": HOST}, follow_redirects=True
    )
    assert "1 of 1 records would be sent." in answer.text
    assert "57-9-1" in answer.text
    for canary in (*CANARIES, "quagga", "Quagga", "4111"):
        assert canary not in answer.text, canary
