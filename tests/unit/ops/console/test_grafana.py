"""The way from a page to the dashboard that shows the same over time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from helm.dashboards import dashboards
from paynotify.ops.console.grafana import dashboard_url
from paynotify.ops.console.index.payment_index import PaymentIndex
from paynotify.ops.console.lists.definitions import console_lists
from paynotify.schemas.configuration.kafka import KafkaSettings
from tests.fakes.console_browser import console_browser
from tests.fakes.console_topics import NAMES

GRAFANA: Final = "https://grafana.shop.example/grafana"


def test_every_page_has_a_dashboard_of_the_chart() -> None:
    known = {f"{GRAFANA}/d/{json.loads(text)['uid']}" for text in dashboards().values()}
    for path in ("/", "/flow", *(one.path for one in console_lists(KafkaSettings()))):
        assert dashboard_url(f"{GRAFANA}/", path) in known
    assert dashboard_url(GRAFANA, "/rejected").endswith("/d/paynotify-verify")


async def test_page_links_to_grafana_where_its_address_is_known(tmp_path: Path) -> None:
    PaymentIndex(tmp_path / "index.sqlite", NAMES, "test").close()
    async with console_browser(tmp_path / "index.sqlite", tmp_path, grafana_url=GRAFANA) as browser:
        assert f'href="{GRAFANA}/d/paynotify-verify"' in (await browser.get("/rejected")).text
        assert f'href="{GRAFANA}/d/paynotify-overview"' in (await browser.get("/")).text
    async with console_browser(tmp_path / "index.sqlite", tmp_path) as browser:
        assert "Grafana" not in (await browser.get("/")).text
