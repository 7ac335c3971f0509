"""The pages of lists, orders and stories as somebody reads them: from one link to the next."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest
from starlette.requests import HTTPConnection

from paynotify.ops.console.access.identity import Identity, Role
from paynotify.ops.console.index.payment_index import PaymentIndex
from paynotify.schemas import topics
from paynotify.schemas.messages import ExpectedPayment, OverduePayment, PaymentRequest, encode
from paynotify.schemas.money import Money
from paynotify.schemas.records import Record
from paynotify.schemas.times import rfc3339
from tests.fakes.console_browser import console_browser
from tests.fakes.console_topics import NAMES, newest_record, payment_status, record
from tests.fakes.memory_topics import MemoryTopics

FAILED: Final = {"original-topic": "lookups.trustpayments", "reason": "unavailable"}


@dataclass(frozen=True)
class Console:
    index: PaymentIndex
    browser: httpx.AsyncClient
    topics: dict[str, list[Record]]

    def write(self, *records: Record) -> None:
        for one in records:
            self.topics.setdefault(one.topic, []).append(one)
            if one.topic in NAMES:
                self.index.apply(one.topic, one.partition, [one], one.offset + 1)

    async def page(self, path: str, status: int = 200) -> str:
        answer = await self.browser.get(path)
        assert answer.status_code == status, answer.text
        return answer.text


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    index, written = PaymentIndex(tmp_path / "index.sqlite", NAMES, "test"), dict[str, list[Record]]()

    async def known(connection: HTTPConnection) -> Identity:
        merchants = connection.headers.get("sees", "*").split()
        return Identity("anna", "basic", dict.fromkeys(merchants, Role.VIEWER))

    opened = console_browser(
        tmp_path / "index.sqlite", tmp_path, open_reader=lambda: MemoryTopics(written), identify=known
    )
    async with opened as browser:
        yield Console(index, browser, written)
    index.close()


def now(one: Record, seconds_ago: float = 0.0) -> Record:
    return msgspec.structs.replace(one, timestamp_seconds=time.time() - seconds_ago)


def dead(count: int, merchant: str = "shop-uk") -> list[Record]:
    letters = [record(topics.DEAD, 0, at, f"{merchant}/p{at}", b"", ce_id=f"l{at}", **FAILED) for at in range(count)]
    return [now(one, 1000 - one.offset) for one in letters]


async def test_list_is_read_to_its_end_by_its_links(console: Console) -> None:
    console.write(*dead(120))
    path, found, pages = "/dead?reason=unavailable", list[str](), 0
    while path:
        page = await console.page(path)
        found += re.findall(r'/payments/shop-uk/(p\d+)"', page)
        pages += 1
        older = re.search(r'href="([^"]+)" rel="next"', page)
        path = unescape(older[1]) if older is not None else ""
    assert (pages, found) == (3, [f"p{at}" for at in range(119, -1, -1)])


async def test_list_shows_the_command_of_its_filter_and_counts_by_group(console: Console) -> None:
    console.write(*dead(3))
    page = await console.page("/dead?reason=unavailable&merchant=shop-uk&since=24h")
    assert "paynotify replay dead --merchant=shop-uk --since=24h --reason=unavailable" in page
    group = re.search(r'<td class="number"><a href="([^"]+)">3</a>', page)
    assert group is not None
    assert unescape(group[1]) == "/dead?merchant=shop-uk&since=24h&reason=unavailable&provider=trustpayments"
    assert "p2" in await console.page(unescape(group[1]))


@pytest.mark.parametrize("query", ["reason=tea", "since=soon", "colour=red", "before=x", "merchant=nobody"])
async def test_wrong_filter_is_refused_with_what_is_possible(console: Console, query: str) -> None:
    assert query.partition("=")[0] in await console.page(f"/dead?{query}", status=400)


async def test_merchant_that_may_not_be_seen_is_not_among_those_to_choose(console: Console) -> None:
    console.write(*dead(2, "shop-uk"))
    console.browser.headers["sees"] = "shop-hu"
    page = await console.page("/dead")
    assert ("There is none." in page, "shop-uk" in page) == (True, False)
    assert "shop-uk" not in (await console.page("/dead?merchant=shop-uk", status=400)).replace("got &#39;shop-uk", "")


async def test_first_page_leads_to_what_it_counts(console: Console) -> None:
    console.write(*dead(2))
    page = await console.page("/")
    counted = re.search(r'<a href="(/dead[^"]+)">[^<]+</a></th><td class="number">2</td>', page)
    assert counted is not None
    assert (await console.page(unescape(counted[1]))).count('rel="next"') == 0


def sold(order: str, final_by: str | None = None, payment: str | None = None) -> Record:
    one = ExpectedPayment(
        merchant="shop-uk",
        order_id=order,
        amount=Money(1050, "GBP"),
        created_at=rfc3339(),
        payment_id=payment,
        final_by=final_by,
    )
    return record(topics.EXPECTED, 0, 0, "any", encode(one))


async def test_order_page_says_whether_it_has_been_paid(console: Console) -> None:
    event = payment_status("57-9-1", 2, "ORD-1", paid=Money(1050, "GBP"))
    console.write(sold("ORD-1"), newest_record(0, event))
    page = await console.page("/orders/shop-uk/ORD-1")
    assert "Yes: 10.50 GBP of 10.50 GBP are captured." in page
    assert 'href="/payments/shop-uk/57-9-1"' in page
    assert "The goods may leave" in page


async def test_order_page_says_why_nothing_is_paid(console: Console) -> None:
    overdue = OverduePayment(
        event_id="o",
        state="raised",
        provider="trustpayments",
        merchant="shop-uk",
        order_id="ORD-2",
        payment_id=None,
        status=None,
        amount=Money(1050, "GBP"),
        created_at="2026-11-01T10:00:00.000Z",
        final_by="2026-11-01T11:00:00Z",
        at="2026-11-01T11:00:00.000Z",
    )
    console.write(sold("ORD-2", "2026-11-01T11:00:00Z"), record(topics.OVERDUE, 0, 0, "any", encode(overdue)))
    page = await console.page("/orders/shop-uk/ORD-2")
    assert "No: no provider has reported a payment of it." in page
    assert "The payment was to be final" not in page
    assert "was to be final by 2026-11-01 11:00 UTC and is not; the last poll is over" in page
    assert "Overdue since 2026-11-01T11:00:00.000Z" in page


async def test_order_of_an_unfinished_request_says_so(console: Console) -> None:
    one = PaymentRequest(
        event_id="r",
        request_id="sub-1",
        merchant="shop-hu",
        provider="nevogate",
        action="charge",
        state="uncertain",
        reason="no_answer",
        order_id="SUB-1",
        payment_id=None,
        amount=Money(100, "EUR"),
        status=None,
        at=rfc3339(),
    )
    console.write(record(topics.REQUESTS, 0, 0, "any", encode(one)))
    page = await console.page("/orders/shop-hu/SUB-1")
    assert "a request to charge is uncertain (no_answer), and nobody knows yet whether money moved" in page


@pytest.mark.parametrize("path", ["/orders/shop-uk/none", "/orders/nobody/ORD-1", f"/orders/shop-uk/{'x' * 300}"])
async def test_unknown_order_is_told(console: Console, path: str) -> None:
    await console.page(path, status=404)


def lookup_waits(until: str) -> list[Record]:
    """A payment that is announced, and its lookup, which waits after a first try."""
    headers: dict[str, Any] = {"ce_id": "l-1", "reason": "unavailable", "attempts": "1", "not-before": until}
    waits = record(topics.retry("trustpayments", 1), 0, 0, "shop-uk/57-9-3", b"{}", **headers)
    return [sold("ORD-3", payment="57-9-3"), now(waits)]


async def test_payment_page_says_when_the_provider_is_asked_again(console: Console) -> None:
    console.write(*lookup_waits("2999-01-01T10:00:00Z"))
    page = await console.page("/payments/shop-uk/57-9-3")
    assert unescape(page).count("the provider's answer is missing (unavailable)") == 1
    assert "paynotify asks again at 2999-01-01 10:00 UTC" in page
    assert 'href="/records/lookups.trustpayments.retry.1/0/0"' in page
