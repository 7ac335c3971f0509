"""The API over an index: answers, refusals, and the wait for a payment's next event."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import httpx
import jsonschema
import orjson
import pytest

from paynotify.ops.console.api.assembly import build_api
from paynotify.ops.console.api.event_waiters import EventWaiters
from paynotify.ops.console.api.list_calls import LISTED
from paynotify.ops.console.application import build_application
from paynotify.ops.console.flow.history import FlowSample, StepReading
from paynotify.ops.console.flow.sampler import FlowSampler
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.index.payment_index import PaymentIndex
from paynotify.ops.console.queries import IndexQueries
from paynotify.ops.console.rendering import PageRenderer
from paynotify.schemas import topics
from paynotify.schemas.api.operations import OPERATIONS, PREFIX
from paynotify.schemas.generate.json_schema import documents
from paynotify.schemas.messages import OverduePayment, PaymentStatus, encode
from paynotify.schemas.money import Money
from tests.fakes import configurations
from tests.fakes.console_topics import expected_payment, newest_record, payment_status, record

AT: Final = "2026-11-29T10:00:00.000Z"
HOST: Final = "http://127.0.0.1:8090"
TOKENS: Final = {name: f"{name}-token-which-nobody-can-guess" for name in ("all", "shop", "orders", "slow")}
SCOPES: Final = ["orders:read", "payments:read", "operations:read"]
DOCUMENT: Final = orjson.loads(documents()["openapi-console.json"])


def configured(name: str, **more: Any) -> dict[str, Any]:
    digest = sha256(TOKENS[name].encode()).hexdigest()
    return {"name": name, "sha256": digest, "scopes": SCOPES, "calls_per_second": 1000, "burst": 1000, **more}


TOKEN_SECTIONS: Final = [
    configured("all"),
    configured("shop", merchants=["shop-hu"]),
    configured("orders", scopes=["orders:read"]),
    configured("slow", calls_per_second=0.1, burst=1),
]


@dataclass
class Api:
    """The API, its index, and a program that calls it."""

    index: PaymentIndex
    client: httpx.AsyncClient
    sampler: FlowSampler
    waiters: EventWaiters = field(default_factory=EventWaiters)
    ages: list[IndexAge] = field(default_factory=lambda: [IndexAge(0, 1764410400.0, is_complete=True)])
    offset: int = 0

    async def get(self, path: str, token: str | None = "all", **headers: str) -> httpx.Response:
        bearer = {"authorization": f"Bearer {TOKENS[token]}"} if token else {}
        return await self.client.get(PREFIX + path, headers={**bearer, **headers})

    def publish(self, status: PaymentStatus) -> None:
        """As the follower does it."""
        newest = newest_record(self.offset, status)
        self.offset += 1
        self.index.apply(topics.LATEST, 0, [newest], self.offset)
        self.waiters.told(topics.LATEST, [newest])


@pytest.fixture
async def api(index: PaymentIndex, tmp_path: Path) -> Any:
    console = {"api_tokens": TOKEN_SECTIONS}
    configuration = configurations.parsed("127.0.0.1:9", "", tmp_path, console=console)
    made = Api(index, httpx.AsyncClient(), FlowSampler(configuration))
    queries = IndexQueries(tmp_path / "index.sqlite")
    served = build_api(configuration, queries, made.waiters, made.sampler, lambda: made.ages[-1])
    whole = build_application(PageRenderer(lambda: made.ages[-1]), (), api=served)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=whole), base_url=HOST) as client:
        made.client = client
        yield made
    queries.close()


def problem(answer: httpx.Response, status: int) -> str:
    """The problem's name."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    fits("Problem", answer)
    body = answer.json()
    assert body["status"] == status
    return str(body["type"]).removeprefix("urn:paynotify:problem:")


def fits(name: str, answer: httpx.Response) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.json())


def register(index: PaymentIndex, order_id: str, amount: int) -> None:
    sold = encode(expected_payment(order_id, Money(amount, "GBP")))
    index.apply(topics.EXPECTED, 0, [record(topics.EXPECTED, 0, 0, "any", sold)], 1)


async def test_order_has_been_paid(api: Api) -> None:
    register(api.index, "ORD/4711", 1050)
    api.publish(payment_status("57-9-1", 2, "ORD/4711", paid=Money(1050, "GBP")))
    for path in ("/orders/shop-uk/ORD/4711", "/orders/shop-uk/ORD%2F4711"):
        answer = await api.get(path)
        fits("OrderReport", answer)
        body = answer.json()
        assert (body["paid"], body["fulfilment"]) == ("yes", "release")
        assert body["payments"][0]["payment_id"] == "57-9-1"
        assert answer.headers["index-behind"] == "0"
        assert answer.headers["index-as-of"] == body["as_of"] == "2025-11-29T10:00:00.000Z"
        assert answer.headers["cache-control"] == "no-store"


async def test_registered_order_without_a_payment_says_what_is_awaited(api: Api) -> None:
    register(api.index, "ORD-2", 1050)
    goods = (await api.get("/orders/shop-uk/ORD-2")).json()["goods"]
    assert goods.startswith("The goods wait: the shop expects 10.50 GBP and the provider has reported nothing yet")


async def test_payment_has_its_newest_event_and_sentence(api: Api) -> None:
    api.publish(payment_status("57-9-1", 2, "ORD-1"))
    answer = await api.get("/payments/shop-uk/57-9-1")
    fits("PaymentAnswer", answer)
    assert answer.json()["event"]["sequence"] == 2
    assert "may leave" in answer.json()["sentence"]
    tag = answer.headers["etag"]
    assert tag.startswith('W/"2-')
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = await api.get("/payments/shop-uk/57-9-1", **{"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    api.publish(payment_status("57-9-1", 3, "ORD-1"))
    assert (await api.get("/payments/shop-uk/57-9-1", **{"if-none-match": tag})).status_code == 200


async def test_wait_ends_with_the_next_event(api: Api) -> None:
    api.publish(payment_status("57-9-1", 2))
    assert (await api.get("/payments/shop-uk/57-9-1?after_sequence=1&wait_seconds=30")).json()["event"]["sequence"] == 2
    waiting = asyncio.ensure_future(api.get("/payments/shop-uk/57-9-1?after_sequence=2&wait_seconds=30"))
    await until_one_waits(api)
    api.publish(payment_status("57-9-2", 1))
    api.publish(payment_status("57-9-1", 2))  # a repeat is not the next one
    await until_one_waits(api)
    api.publish(payment_status("57-9-1", 3))
    assert (await waiting).json()["event"]["sequence"] == 3
    assert not waiting_calls(api)


async def test_wait_for_the_first_event_of_an_unknown_payment(api: Api) -> None:
    waiting = asyncio.ensure_future(api.get("/payments/shop-uk/57-9-9?after_sequence=0&wait_seconds=30"))
    await until_one_waits(api)
    api.publish(payment_status("57-9-9", 1))
    assert (await waiting).json()["event"]["sequence"] == 1


def waiting_calls(api: Api) -> int:
    return sum(map(len, api.waiters._woken.values()))


async def until_one_waits(api: Api) -> None:
    async with asyncio.timeout(10):
        while waiting_calls(api) != 1:
            await asyncio.sleep(0.01)


async def test_wait_without_an_event_ends_empty(api: Api) -> None:
    api.publish(payment_status("57-9-1", 2))
    for wait in ("", "&wait_seconds=0", "&wait_seconds=1"):
        answer = await api.get(f"/payments/shop-uk/57-9-1?after_sequence=2{wait}")
        assert (answer.status_code, answer.content) == (204, b"")


async def test_end_of_the_process_ends_the_wait(api: Api) -> None:
    waiting = asyncio.ensure_future(api.get("/payments/shop-uk/57-9-1?after_sequence=2&wait_seconds=60"))
    await until_one_waits(api)
    api.waiters.close()
    assert (await waiting).status_code == 204


async def test_waits_beyond_the_limit_are_refused(api: Api) -> None:
    api.waiters._limit_of_caller = 1
    waiting = asyncio.ensure_future(api.get("/payments/shop-uk/57-9-1?after_sequence=2&wait_seconds=60"))
    await until_one_waits(api)
    answer = await api.get("/payments/shop-uk/57-9-1?after_sequence=2&wait_seconds=60")
    assert problem(answer, 429) == "too_many_waiting"
    assert int(answer.headers["retry-after"]) > 0
    api.waiters.close()
    await waiting


async def test_call_without_a_known_token_is_refused(api: Api) -> None:
    paths = [one.path.format(merchant="shop-uk", order_id="x", payment_id="x") for one in OPERATIONS]
    for path in paths:
        answer = await api.get(path, token=None)
        assert problem(answer, 401) == "unauthenticated"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        wrong = await api.get(path, token=None, authorization="Bearer somebody-elses", cookie="paynotify-console=x")
        assert problem(wrong, 401) == "unauthenticated"


@pytest.mark.parametrize("name", ["token", "access_token", "API_KEY"])
async def test_token_in_the_url_is_refused_and_not_repeated(api: Api, name: str) -> None:
    answer = await api.get(f"/attention?{name}={TOKENS['all']}")
    assert problem(answer, 400) == "token_in_url"
    assert TOKENS["all"] not in answer.text


async def test_token_without_the_scope_is_refused(api: Api) -> None:
    for one in OPERATIONS:
        path = one.path.format(merchant="shop-uk", order_id="x", payment_id="x")
        answer = await api.get(path, token="orders")
        if one.scope == "orders:read":
            assert problem(answer, 404) == "not_found"
        else:
            assert problem(answer, 403) == "scope_missing"


async def test_token_sees_its_own_merchants_only(api: Api) -> None:
    api.publish(payment_status("57-9-1", 2, "ORD-1"))
    for path in ("/orders/shop-uk/ORD-1", "/payments/shop-uk/57-9-1", "/payments/shop-uk/57-9-1?after_sequence=0"):
        assert problem(await api.get(path, token="shop"), 404) == "not_found"
        assert (await api.get(path)).status_code == 200
    assert (await api.get("/search?q=57-9", token="shop")).json() == {"items": []}
    assert len((await api.get("/search?q=57-9")).json()["items"]) == 1


async def test_calls_beyond_the_rate_are_refused(api: Api) -> None:
    assert (await api.get("/attention", token="slow")).status_code == 200
    answer = await api.get("/attention", token="slow")
    assert problem(answer, 429) == "over_rate"
    assert answer.headers["retry-after"] == "10"


async def test_incomplete_index_gives_no_answer(api: Api) -> None:
    """It would say that an order is not paid whose payment is only not read yet."""
    api.ages.append(IndexAge(5000, 1764410400.0))
    for path in ("/orders/shop-uk/ORD-1", "/payments/shop-uk/57-9-1", "/attention"):
        answer = await api.get(path)
        assert problem(answer, 503) == "index_incomplete"
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "path",
    [
        "/search",
        "/search?q=ab",
        f"/search?q={'x' * 256}",
        "/search?q=abc&q=abd",
        "/search?query=abc",
        "/attention?merchant=shop-uk",
        "/payments/shop-uk/57-9-1?after_sequence=-1",
        "/payments/shop-uk/57-9-1?after_sequence=x",
        "/payments/shop-uk/57-9-1?after_sequence=1&wait_seconds=61",
        f"/payments/shop-uk/57-9-1?after_sequence={10**30}",
        f"/orders/shop-uk/{'x' * 256}",
    ],
)
async def test_wrong_parameter_is_refused_with_what_is_allowed(api: Api, path: str) -> None:
    assert problem(await api.get(path), 400) == "invalid_parameter"


async def test_unknown_path_and_method_are_problems_too(api: Api) -> None:
    assert problem(await api.get("/nothing"), 404) == "not_found"
    assert problem(await api.get("/orders/shop-uk"), 404) == "not_found"
    answer = await api.client.post(PREFIX + "/attention", headers={"origin": HOST})
    assert problem(answer, 405) == "wrong_method"
    assert "GET" in answer.headers["allow"]


async def test_search_and_attention_answer_as_documented(api: Api) -> None:
    api.publish(payment_status("57-9-1", 2, "ORD-1"))
    search, attention = await api.get("/search?q=ORD-1"), await api.get("/attention")
    fits("SearchAnswer", search)
    fits("AttentionAnswer", attention)
    assert search.json()["items"][0]["order_id"] == "ORD-1"
    assert attention.json()["good"] is True


def reject(index: PaymentIndex, count: int, merchant: str = "shop-uk", topic: str = topics.REJECTED) -> None:
    """Rejected or dead-lettered records of a merchant; each index has one such call for each topic."""
    headers = {"original-topic": "notifications.trustpayments", "reason": "malformed", "attempts": "1"}
    records = [
        record(topic, 0, offset, f"{merchant}/57-{offset}", b"name=A Person", ce_id=f"n-{offset}", **headers)
        for offset in range(count)
    ]
    index.apply(topic, 0, records, count)


@pytest.mark.parametrize(
    ("path", "topic", "answer"),
    [("/rejected", topics.REJECTED, "RejectedAnswer"), ("/dead", topics.DEAD, "DeadAnswer")],
)
async def test_list_is_read_page_by_page_by_its_cursor(api: Api, path: str, topic: str, answer: str) -> None:
    reject(api.index, 120, topic=topic)
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        query = httpx.QueryParams({"before": cursor} if cursor is not None else {})
        page = await api.get(f"{path}?{query}")
        fits(answer, page)
        assert "A Person" not in page.text
        seen += [one["offset"] for one in page.json()["items"]]
        cursor, pages = page.json()["next"], pages + 1
        if pages == 1:
            later = record(topic, 0, 500, "shop-uk/57-500", b"")
            api.index.apply(topic, 0, [later], 501)  # what comes meanwhile moves no page
    assert (seen, pages) == (list(reversed(range(120))), 3)


async def test_list_has_its_filters_and_the_tokens_merchants(api: Api) -> None:
    reject(api.index, 2)
    for query, found in (
        ("", 2),
        ("?provider=trustpayments&reason=malformed&reason=bad_signature", 2),
        ("?provider=nevogate", 0),
        ("?key=shop-uk/57-1", 1),
        ("?merchant=shop-hu", 0),
        ("?since=2020-01-01T00:00:00Z&until=2021-01-01T00:00:00Z", 0),
    ):
        assert len((await api.get(f"/rejected{query}")).json()["items"]) == found, query
    assert (await api.get("/rejected", token="shop")).json()["items"] == []
    for query in ("?merchant=shop-uk", "?provider=acme", "?reason=bad", "?since=soon", "?before=[1]", "?before=x"):
        assert problem(await api.get(f"/rejected{query}", token="shop"), 400) == "invalid_parameter", query


async def test_overdue_orders_are_listed(api: Api) -> None:
    late = OverduePayment(
        event_id="e", state="raised", provider="trustpayments", merchant="shop-uk", order_id="ORD-1", payment_id=None,
        status=None, amount=Money(1050, "GBP"), created_at=AT, final_by=AT, at=AT,
    )  # fmt: skip
    api.index.apply(topics.OVERDUE, 0, [record(topics.OVERDUE, 0, 0, "shop-uk/ORD-1", encode(late))], 1)
    answer = await api.get("/overdue")
    fits("OverdueAnswer", answer)
    assert [one["order_id"] for one in answer.json()["items"]] == ["ORD-1"]
    assert (await api.get("/overdue?state=cleared")).json()["items"] == []
    assert (await api.get("/orders/shop-uk/ORD-1")).json()["overdue"] is True


async def test_flow_is_of_the_tokens_providers_and_without_others_rates(api: Api) -> None:
    fits("FlowAnswer", await api.get("/flow"))
    assert (await api.get("/flow")).json()["sampled_at"] is None
    reading = StepReading(ended=30, done=20, lag=10, waiting=2, oldest_at=1764410340.0)
    for at, done in ((1764410340.0, 0), (1764410400.0, 120)):
        readings = {one.name: replace(reading, done=done) for one in api.sampler.steps}
        api.sampler.history.add(FlowSample(at, readings))
    whole, some = await api.get("/flow"), await api.get("/flow", token="shop")
    for answer in (whole, some):
        fits("FlowAnswer", answer)
    fetch = next(one for one in whole.json()["steps"] if one["name"] == "fetch.trustpayments")
    assert (fetch["rate"], fetch["lag"], fetch["waiting"], fetch["oldest_seconds"]) == (2.0, 10, 2, 60.0)
    assert {one["provider"] for one in some.json()["steps"]} == {"", "nevogate"}
    assert {one["rate"] for one in some.json()["steps"]} == {None}
    assert [one["provider"] for one in some.json()["money"]] == ["nevogate"]


@pytest.mark.parametrize("name", list(LISTED))
def test_list_takes_what_its_page_takes(name: str) -> None:
    (operation,) = [one for one in OPERATIONS if one.name == name]
    documented = {one.name: one.schema.get("items", {}).get("enum") for one in operation.parameters}
    taken = {one.name: one.metadata.get("words") for one in fields(LISTED[name].filter)}
    assert documented == {one: sorted(words) if words else None for one, words in taken.items()}
