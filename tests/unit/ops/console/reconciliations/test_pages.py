"""The console's pages of reconciliations: the list, a report with the ways to its payments, and who may see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from starlette.requests import HTTPConnection

from paynotify.ops.console.access.identity import EVERY_MERCHANT, Identity, Role
from paynotify.ops.console.index.payment_index import PaymentIndex
from paynotify.schemas import topics
from paynotify.schemas.messages import ReconciledDifference, ReconciledEntry, Reconciliation, encode
from paynotify.schemas.money import Money
from tests.fakes.console_browser import console_browser
from tests.fakes.console_topics import record

EVERYBODY: Final = {EVERY_MERCHANT: Role.VIEWER}


def report(run_id: str, merchant: str = "shop-uk", **more: Any) -> Reconciliation:
    whole: dict[str, Any] = {
        "provider": "trustpayments",
        "start": "2026-11-22T00:00:00.000Z",
        "end": "2026-11-23T00:00:00.000Z",
        "slack_seconds": 900,
        "source": "provider",
        "compared": 214,
        "differences_total": 0,
        "by": "jo",
        "identity": "named",
        "at": f"2026-11-23T08:00:00.{run_id[-3:]}Z",
    }
    return Reconciliation(event_id=run_id, merchant=merchant, **{**whole, **more})


def differing(count: int) -> Reconciliation:
    entry = ReconciledEntry(status="captured", amount=Money(1050, "GBP"))
    differences = tuple(
        ReconciledDifference(kind="missing_here", payment_id=f"57-9-{at}", order_id=f"<b>O/{at}", there=entry)
        for at in range(count)
    )
    return report(
        "run-007",
        differences=differences,
        differences_total=count + 5,
        kinds={"missing_here": count},
        repair="queued",
        lookups=count,
        queued=count - 1,
        left_out={"already queued today": 1},
        reason="CASE-7",
        action_id="a-1",
    )


def keep(index: PaymentIndex, *reports: Reconciliation) -> None:
    records = [record(topics.RECONCILIATIONS, 0, at, one.merchant, encode(one)) for at, one in enumerate(reports)]
    index.apply(topics.RECONCILIATIONS, 0, records, len(records))


@pytest.fixture
async def browser(index: PaymentIndex, tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, Role]]]:
    """A browser, and the roles of who uses it."""
    roles = dict(EVERYBODY)

    async def identify(connection: HTTPConnection) -> Identity:
        return Identity("jo", "proxy", roles)

    async with console_browser(tmp_path / "index.sqlite", tmp_path, identify=identify) as client:
        yield client, roles


Browser = tuple[httpx.AsyncClient, dict[str, Role]]


async def test_list_has_the_newest_first_and_leads_to_each(browser: Browser, index: PaymentIndex) -> None:
    keep(index, report("run-001"), differing(3), report("run-002", "shop-nl", source="export", unreadable=2))
    page = (await browser[0].get("/reconciliations")).text
    places = [
        page.index(f"/reconciliations/{one}") for one in ("shop-uk/run-007", "shop-nl/run-002", "shop-uk/run-001")
    ]
    assert places == sorted(places)
    assert "8, 0 unreadable" not in page
    assert "0, 2 unreadable" in page
    assert "2 lookups queued" in page
    assert "the shop&#39;s export" in page
    differing_only = (await browser[0].get("/reconciliations", params={"differs": "yes"})).text
    assert "run-007" in differing_only
    assert "run-002" in differing_only, "what can't be read may differ"
    assert "run-001" not in differing_only


async def test_report_says_what_differs_and_leads_to_the_payment(browser: Browser, index: PaymentIndex) -> None:
    keep(index, differing(2))
    page = (await browser[0].get("/reconciliations/shop-uk/run-007")).text
    assert "7 differences in 214 payments." in page
    assert 'href="/payments/shop-uk/57-9-0"' in page
    assert 'href="/orders/shop-uk/%3Cb%3EO%2F0">&lt;b&gt;O/0</a>' in page
    assert "<b>O" not in page
    assert "captured 10.50 GBP" in page
    assert "1 of 2 lookups queued" in page
    assert "1: already queued today" in page
    assert "by jo (named)" in page
    assert "CASE-7" in page
    assert "keeps the first 2" in page


async def test_report_without_differences_says_so(browser: Browser, index: PaymentIndex) -> None:
    keep(index, report("run-001"), report("run-002", unreadable=1))
    assert "No difference in 214 payments." in (await browser[0].get("/reconciliations/shop-uk/run-001")).text
    assert "in what could be read" in (await browser[0].get("/reconciliations/shop-uk/run-002")).text


async def test_differences_come_fifty_at_a_time(browser: Browser, index: PaymentIndex) -> None:
    keep(index, differing(120))
    seen = []
    for first, links in ((0, {"50"}), (50, {"0", "100"}), (100, {"50"})):
        page = (await browser[0].get("/reconciliations/shop-uk/run-007", params={"from": str(first)})).text
        seen += [at for at in range(120) if f'/payments/shop-uk/57-9-{at}"' in page]
        assert {link for link in ("0", "50", "100", "150") if f'"?from={link}"' in page} == links
    assert seen == list(range(120))
    for odd in ("-1", "x", "٣", "99999999"):
        assert (await browser[0].get("/reconciliations/shop-uk/run-007", params={"from": odd})).status_code == 200


async def test_reports_of_other_merchants_are_not_seen(browser: Browser, index: PaymentIndex) -> None:
    keep(index, report("run-001"), report("run-002", "shop-nl"))
    client, roles = browser
    roles.clear()
    roles["shop-nl"] = Role.VIEWER
    page = (await client.get("/reconciliations")).text
    assert "run-002" in page
    assert "run-001" not in page
    assert "shop-uk" not in page
    assert (await client.get("/reconciliations/shop-uk/run-001")).status_code == 403
    assert (await client.get("/reconciliations/shop-nl/run-001")).status_code == 404


async def test_report_of_a_later_release_is_not_shown_wrongly(browser: Browser, index: PaymentIndex) -> None:
    later = encode(report("run-001")).replace(b'"source":"provider"', b'"source":"ledger"')
    index.apply(topics.RECONCILIATIONS, 0, [record(topics.RECONCILIATIONS, 0, 0, "shop-uk", later)], 1)
    assert index.unreadable == 1
    assert (await browser[0].get("/reconciliations/shop-uk/run-001")).status_code == 404
