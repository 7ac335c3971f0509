"""The console's pages over an index: what they show, and what every answer has."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.index.payment_index import PaymentIndex
from paynotify.schemas import topics
from paynotify.schemas.messages import Checks, PaymentRequest, PaymentStatus, encode
from paynotify.schemas.money import Money
from tests.fakes.console_browser import console_browser
from tests.fakes.console_topics import expected_payment, newest_record, payment_status, record


@pytest.fixture
async def browser(index: PaymentIndex, tmp_path: Path) -> Any:
    async with console_browser(tmp_path / "index.sqlite", tmp_path) as client:
        yield client


def fill(index: PaymentIndex) -> None:
    captured = payment_status("57-9-1", 2, "ORD-4711")
    waits = payment_status("57-9-2", 1, "<b>ORD-4712</b>", status="authorised", fulfilment="hold", final=False)
    for at, one in enumerate((captured, waits)):
        newest = newest_record(at, one)
        index.apply(topics.LATEST, 0, [newest], at + 1)
    sold = encode(expected_payment("ORD-4711", Money(1050, "GBP")))
    index.apply(topics.EXPECTED, 0, [record(topics.EXPECTED, 0, 0, "any", sold)], 1)
    headers = {"reason": "bad_signature", "ce_id": "note-1", "original-topic": "notifications.trustpayments"}
    refused = record(topics.REJECTED, 0, 0, "shop-uk/57-9-3", b"name=A Person", **headers)
    refused = replace(refused, timestamp_seconds=time.time())
    index.apply(topics.REJECTED, 0, [refused], 1)


async def test_every_answer_keeps_runs_and_frames_nothing(browser: httpx.AsyncClient) -> None:
    for path in ("/", "/search?q=ORD", "/payments/shop-uk/none", "/nowhere", "/static/console.css"):
        answer = await browser.get(path)
        policy = answer.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} <= set(policy)
        assert "unsafe" not in " ".join(policy), path
        assert answer.headers["cache-control"] == "no-store", path
        assert "<script>" not in answer.text


@pytest.mark.parametrize("host", ["attacker.example", "127.0.0.1.attacker.example:8090", "", "10.0.0.1"])
async def test_host_of_somebody_else_is_refused(browser: httpx.AsyncClient, host: str) -> None:
    assert (await browser.get("/", headers={"host": host})).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8090", "[::1]:8090", "127.0.0.1"])
async def test_own_hosts_are_answered(browser: httpx.AsyncClient, host: str) -> None:
    assert (await browser.get("/", headers={"host": host})).status_code == 200


async def test_search_finds_by_the_beginning_of_any_id(browser: httpx.AsyncClient, index: PaymentIndex) -> None:
    fill(index)
    for text in ("57-", "57-9"):
        found = (await browser.get("/search", params={"q": text})).text
        assert 'href="/payments/shop-uk/57-9-1"' in found, text
        assert "A Person" not in found
    assert "bad_signature" in (await browser.get("/search", params={"q": "57-"})).text
    assert "at least 3" in (await browser.get("/search", params={"q": "OR"})).text
    assert "begins with" in (await browser.get("/search", params={"q": "ORD-9"})).text


async def test_search_leads_to_the_only_page_there_is(browser: httpx.AsyncClient, index: PaymentIndex) -> None:
    fill(index)
    leads = {
        "57-9-1": "/payments/shop-uk/57-9-1",
        "shop-uk/57-9-1": "/payments/shop-uk/57-9-1",
        "ORD-4711": "/orders/shop-uk/ORD-4711",
        "ORD-47": "/orders/shop-uk/ORD-4711",
        "note-1": "/records/notifications.rejected/0/0",
    }
    for text, path in leads.items():
        answer = await browser.get("/search", params={"q": text})
        assert (answer.status_code, answer.headers["location"]) == (303, path), text


async def test_text_of_an_id_is_no_markup(browser: httpx.AsyncClient, index: PaymentIndex) -> None:
    fill(index)
    found = (await browser.get("/search", params={"q": "57-9"})).text
    assert "&lt;b&gt;ORD-4712&lt;/b&gt;" in found
    assert "<b>ORD" not in found


async def test_payment_says_why_its_goods_wait(browser: httpx.AsyncClient, index: PaymentIndex) -> None:
    fill(index)
    page = (await browser.get("/payments/shop-uk/57-9-2")).text
    assert "The goods wait: the money is reserved and not captured yet; " in page
    assert "No Kafka broker answered." in page, "the index answers while the story cannot be read"
    page = (await browser.get("/payments/shop-uk/57-9-1")).text
    assert "The goods may leave" in page
    assert "The shop expects 10.50 GBP" in page


async def test_unknown_payment_and_merchant_are_told(browser: httpx.AsyncClient) -> None:
    for path in ("/payments/shop-uk/none", "/payments/nobody/57-9-1", f"/payments/shop-uk/{'x' * 300}"):
        assert (await browser.get(path)).status_code == 404


async def test_attention_counts_what_must_be_none(browser: httpx.AsyncClient, index: PaymentIndex) -> None:
    assert "a good day so far" in (await browser.get("/")).text
    fill(index)
    page = (await browser.get("/")).text
    assert "a good day" not in page.split("</h1>")[1]
    assert '<a href="/rejected?since=7d">rejected notifications of a week</a></th><td class="number">1</td>' in page


async def test_page_says_how_far_the_index_is_behind(browser: httpx.AsyncClient) -> None:
    assert "3 records behind, as of 2025-11-29T" in (await browser.get("/")).text


async def test_page_can_be_used_by_keyboard_and_told_by_its_landmarks(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/")).text
    assert page.index('<a class="skip" href="#content">') < page.index("<header>") < page.index('<main id="content"')
    assert '<nav aria-label="Pages">' in page
    assert page.count('aria-current="page"') == 1
    assert '<a href="/" aria-current="page">Attention</a>' in page


async def test_order_is_paid_however_many_attempts_came_before(browser: httpx.AsyncClient, index: PaymentIndex) -> None:
    made = [payment_status(f"{n}", 1, "ORD-9", status="declined", fulfilment="stop") for n in range(70)]
    made.append(payment_status("paid", 1, "ORD-9", paid=Money(1050, "GBP")))
    found = [newest_record(at, one) for at, one in enumerate(made)]
    index.apply(topics.LATEST, 0, found, len(found))
    shown = (await browser.get("/orders/shop-uk/ORD-9")).text
    assert "Yes: 10.50 GBP of 10.50 GBP are captured." in shown
    assert "There are 51 more." in shown
    assert 'href="/payments/shop-uk/paid"' in shown, "the one that took money is among those that are shown"


async def test_payment_is_compared_with_the_order_that_it_was_announced_for(
    browser: httpx.AsyncClient, index: PaymentIndex
) -> None:
    named = replace(expected_payment("ORD-A", Money(2000, "GBP")), payment_id="57-9-4")
    sold = [encode(one) for one in (named, expected_payment("ORD-B", Money(1050, "GBP")))]
    index.apply(topics.EXPECTED, 0, [record(topics.EXPECTED, 0, at, "any", one) for at, one in enumerate(sold)], 2)
    mismatch = Checks(amount="mismatch", order="unexpected")
    one = payment_status("57-9-4", 1, "ORD-B", paid=Money(1050, "GBP"), fulfilment="hold", checks=mismatch)
    index.apply(topics.LATEST, 0, [newest_record(0, one)], 1)
    shown = (await browser.get("/payments/shop-uk/57-9-4")).text
    assert "the shop expects 20.00 GBP, and the payment is of 10.50 GBP" in shown
    assert "The shop expects 20.00 GBP for order ORD-A." in shown


@pytest.mark.parametrize("is_complete", [False, True])
async def test_page_says_that_something_may_not_be_read_yet(
    is_complete: bool, index: PaymentIndex, tmp_path: Path
) -> None:
    fill(index)
    age = IndexAge(9, 1764410400.0, is_complete=is_complete)
    async with console_browser(tmp_path / "index.sqlite", tmp_path, age=age) as client:
        for path in ("/", "/orders/shop-uk/ORD-4711", "/orders/shop-uk/none"):
            assert ("may only not be read yet" in (await client.get(path)).text) is not is_complete


async def test_uncertain_request_is_not_hidden_by_a_later_one(browser: httpx.AsyncClient, index: PaymentIndex) -> None:
    one = payment_status("57-9-5", 1, "ORD-5", status="authorised", fulfilment="hold", final=False)
    index.apply(topics.LATEST, 0, [newest_record(0, of_shop_hu(one))], 1)
    made = [capture("R1", "uncertain", "2026-11-29T10:00:00Z"), capture("R2", "refused", "2026-11-29T11:00:00Z")]
    found = [record(topics.REQUESTS, 0, at, "shop-hu", encode(each)) for at, each in enumerate(made)]
    index.apply(topics.REQUESTS, 0, found, 2)
    shown = (await browser.get("/payments/shop-hu/57-9-5")).text
    assert "a request to capture is uncertain, and nobody knows yet whether money moved" in shown


def of_shop_hu(one: PaymentStatus) -> PaymentStatus:
    return replace(one, merchant="shop-hu", provider="nevogate")


def capture(request_id: str, state: Any, at: str) -> PaymentRequest:
    return PaymentRequest(
        event_id=request_id,
        request_id=request_id,
        merchant="shop-hu",
        provider="nevogate",
        action="capture",
        state=state,
        reason=None,
        order_id="ORD-5",
        payment_id="57-9-5",
        amount=None,
        status=None,
        at=at,
    )


@pytest.mark.parametrize(("seconds", "told"), [(5, "is up to date as of"), (300, "The topics were not read since.")])
async def test_index_that_nobody_reads_on_is_not_called_up_to_date(
    seconds: int, told: str, index: PaymentIndex, tmp_path: Path
) -> None:
    age = IndexAge(0, time.time() - seconds, is_complete=True)
    async with console_browser(tmp_path / "index.sqlite", tmp_path, age=age) as client:
        assert told in (await client.get("/")).text
