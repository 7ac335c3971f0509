"""The flow's page: what it shows of the samples, to whom, and the plot's numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from paynotify.ops.console.access.guard import Identify, local_user
from paynotify.ops.console.access.identity import Identity, Role
from paynotify.ops.console.application import build_application
from paynotify.ops.console.flow.history import FlowSample, StepReading
from paynotify.ops.console.flow.pages import FlowPages, age_text
from paynotify.ops.console.flow.sampler import FlowSampler
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.index.payment_index import PaymentIndex
from paynotify.ops.console.queries import IndexQueries
from paynotify.ops.console.rendering import PageRenderer
from paynotify.schemas import topics
from paynotify.schemas.messages import ProviderSilent, encode
from tests.fakes import configurations
from tests.fakes.console_topics import newest_record, payment_status, record

PREFIX = "try."
HOST = "http://127.0.0.1:8090"


@asynccontextmanager
async def browsing(
    folder: Path, identify: Identify = local_user
) -> AsyncIterator[tuple[httpx.AsyncClient, FlowSampler]]:
    configuration = configurations.parsed("127.0.0.1:9", PREFIX, folder)
    renderer, sampler = PageRenderer(IndexAge), FlowSampler(configuration)
    with closing(IndexQueries(folder / "index.sqlite")) as queries:
        pages = FlowPages(configuration, sampler, queries, renderer)
        application = build_application(renderer, pages.routes(), identify)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=application), base_url=HOST) as client:
            yield client, sampler


@pytest.fixture
async def browser(index: PaymentIndex, tmp_path: Path) -> Any:
    async with browsing(tmp_path) as both:
        yield both


async def of_one_shop(_: Any) -> Identity:
    return Identity("restricted", "proxy", {"shop-hu": Role.VIEWER})


def fill(sampler: FlowSampler, at: float = 1764410400.0) -> None:
    """Fetch of Nevogate has stood still for two minutes, all else is done."""
    for seconds in (0, 60):
        readings = {one.name: StepReading(100 + 2 * seconds, 100 + 2 * seconds, 0, 0, None) for one in sampler.steps}
        readings["fetch.nevogate"] = StepReading(150, 100, 50, 7, at - 60)
        sampler.history.add(FlowSample(at + seconds, readings))


def box(page: str, stage: str, lane: int) -> str:
    """The text of a stage's box in a lane (from 1)."""
    section = page.split(f'aria-labelledby="lane-{lane}"')[1].split("</section>")[0]
    return section.split(f"<h3>{stage}</h3>")[1].split("</li>")[0]


async def test_diagram_has_each_step_with_its_figures(browser: tuple[httpx.AsyncClient, FlowSampler]) -> None:
    client, sampler = browser
    empty = (await client.get("/flow")).text
    assert "Kafka has not told yet" in empty
    assert empty.count("not measured yet") == len(sampler.steps) == 12
    fill(sampler)
    page = (await client.get("/flow")).text
    stuck = box(page, "fetch", 3)
    assert "stands still" in stuck
    assert all(text in stuck for text in ("<dd>50</dd>", "<dd>2 min</dd>", "<dd>7</dd>", "<dd>0.0/s</dd>"))
    moving = box(page, "resolve", 4)
    assert all(text in moving for text in ("flowing", "<dd>2.0/s</dd>", "<dd>none</dd>", "writes payments.status"))
    assert "As Kafka told at 2025-11-29T10:01:00.000Z" in page


async def test_problem_of_the_sampler_is_told(browser: tuple[httpx.AsyncClient, FlowSampler]) -> None:
    client, sampler = browser
    sampler.problem = "No Kafka broker answered."
    assert "The flow is not being measured: No Kafka broker answered." in (await client.get("/flow")).text


async def test_plot_gets_one_measure_since_a_time(browser: tuple[httpx.AsyncClient, FlowSampler]) -> None:
    client, sampler = browser
    fill(sampler, 1000.0)
    whole = (await client.get("/flow/samples?measure=lag")).json()
    assert (whole["at"], whole["steps"]["fetch.nevogate"]) == ([1000.0, 1060.0], [50.0, 50.0])
    newer = (await client.get("/flow/samples?measure=rate&since=1000")).json()
    assert (newer["at"], newer["steps"]["resolve"], newer["steps"]["fetch.nevogate"]) == ([1060.0], [2.0], [0.0])
    for wrong in ("measure=money", "since=today", "since="):
        assert (await client.get(f"/flow/samples?{wrong}")).status_code == 400, wrong
    page = (await client.get("/flow?measure=oldest")).text
    assert 'data-measure="oldest"' in page
    assert 'href="/flow?measure=oldest" aria-current="true"' in page


async def test_restricted_viewer_sees_own_providers_and_no_rates(index: PaymentIndex, tmp_path: Path) -> None:
    async with browsing(tmp_path, of_one_shop) as (client, sampler):
        fill(sampler)
        page = (await client.get("/flow")).text
        assert "nevogate" in page
        assert not any(text in page for text in ("omnikassa", "trustpayments", "/s<", "measure=rate"))
        assert (await client.get("/flow/samples?measure=rate")).status_code == 400
        found = (await client.get("/flow/samples?measure=lag")).json()["steps"]
        assert set(found) == {
            *("verify.nevogate", "fetch.nevogate", "interpret.nevogate"),
            *("resolve", "orders", "charge"),
        }


def news(page: str, provider: str) -> str:
    return page.split(f'<th scope="row">{provider}</th>')[1].split("</tr>")[0]


async def test_news_of_money_are_the_newest_of_each_provider(
    browser: tuple[httpx.AsyncClient, FlowSampler], index: PaymentIndex, tmp_path: Path
) -> None:
    client, _ = browser
    made = [
        payment_status("a", 1, observed_at="2026-11-29T10:00:00.000Z"),
        payment_status("b", 1, observed_at="2026-11-29T11:00:00.000Z"),
        payment_status("c", 1, observed_at="2026-11-29T12:00:00.000Z", status="authorised"),
        payment_status("d", 1, observed_at="2026-11-29T09:00:00.000Z", status="refunded"),
    ]
    for at, one in enumerate(made):
        written = newest_record(at, one)
        index.apply(topics.LATEST, 0, [written], at + 1)
    silent = ProviderSilent(
        event_id="e", state="silent", provider="nevogate", unheard=3, since="2026-11-29T08:00:00.000Z",
        at="2026-11-29T08:30:00.000Z", urgent=False,
    )  # fmt: skip
    index.apply(topics.SILENT, 0, [record(topics.SILENT, 0, 0, "nevogate", encode(silent))], 1)
    page = (await client.get("/flow")).text
    told = news(page, "trustpayments")
    assert "2026-11-29T11:00:00.000Z" in told
    assert "2026-11-29T09:00:00.000Z" in told
    assert "not silent" in told
    assert "2026-11-29T08:00:00.000Z" in news(page, "nevogate")
    assert "none known" in news(page, "omnikassa")
    async with browsing(tmp_path, of_one_shop) as (restricted, _):
        page = (await restricted.get("/flow")).text
        assert "2026-11-29T08:00:00.000Z" in page, "the provider is silent to this shop, too"
        assert "2026-11-29T11:00:00.000Z" not in page


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (3.4, "3 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172800, "2 d")]
)
def test_age_is_told_in_its_unit(seconds: float, text: str) -> None:
    assert age_text(seconds) == text
