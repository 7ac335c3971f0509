"""The links between alerts, dashboards, runbook and console: each leads to a page, with filters that it takes."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml

from helm.console_links import LOCAL_URL, OF_ALERTS, of_panel, of_runbook
from helm.dashboard_panels import OVERVIEW
from helm.stage_panels import panels_of
from helm.values import STAGES
from paynotify.ops.console.lists.definitions import console_lists
from paynotify.ops.console.lists.filters import parse_filter
from paynotify.schemas.configuration.kafka import KafkaSettings
from tests.helm.rendering import CHART, Thing, loaded, named, of_kind, run, things, values_file
from tests.helm.test_chart_alerts import RUNBOOKS, rules
from tests.helm.tools import debian_tool

URL: Final = "https://console.shop.example"
LISTS: Final = {one.path: one for one in console_lists(KafkaSettings())}
#: One of the words that each label has.
LABELS: Final = {"provider": "omnikassa", "state": "uncertain"}
PANELS: Final = (*OVERVIEW, *(panel for stage in STAGES for panel in panels_of(stage)))
LINKED: Final = {f"{panel.title}: {panel.console}": panel for panel in PANELS if panel.console}


def check(link: str, reason: str = "bad_signature") -> None:
    """Read the link as the console does, once its labels are filled in."""
    words = {**LABELS, "reason": reason, "window": "since=24h"}
    parts = urlsplit(re.sub(r"\{(\w+)\}", lambda gap: words[gap[1]], link))
    if parts.path == "/flow":
        assert not parts.query
    else:
        parse_filter(LISTS[parts.path].filter, parse_qsl(parts.query, strict_parsing=True), ("shop-uk",))


def labels_in(link: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", link)) - {"window"}


def rendered() -> list[Thing]:
    done = run(
        "template", "shop", str(CHART), "-n", "payments", "-f", values_file("strimzi"), "--set", f"console.url={URL}"
    )
    assert done.returncode == 0, done.stderr
    return loaded(done.stdout)


def annotated(found: list[Thing]) -> dict[str, Any]:
    (made,) = of_kind(found, "PrometheusRule")
    return {rule["alert"]: rule["annotations"] for group in made["spec"]["groups"] for rule in group["rules"]}


@pytest.mark.parametrize("alert", list(OF_ALERTS))
def test_link_of_an_alert_is_a_page_with_its_filters(alert: str) -> None:
    check(OF_ALERTS[alert], "not_found" if "/dead" in OF_ALERTS[alert] else "bad_signature")
    (rule,) = [rule for rule in rules() if rule["alert"] == alert]
    for label in labels_in(OF_ALERTS[alert]):
        assert re.search(rf"by \([^)]*\b{label}\b", rule["expr"]), f"{alert} has no label {label}"


@pytest.mark.parametrize("name", list(LINKED))
def test_link_of_a_panel_is_a_page_with_its_filters(name: str) -> None:
    panel = LINKED[name]
    check(panel.console)
    for label in labels_in(panel.console):
        assert re.search(rf"by \([^)]*\b{label}\b", panel.query), f"{name} has no label {label}"
    assert of_panel(panel.console).startswith("${console:raw}/")


def test_alerts_link_to_the_console_where_its_address_is_known(tmp_path: Path) -> None:
    assert not any("console_url" in one for one in annotated(things("strimzi")).values())
    found = rendered()
    links = {alert: one["console_url"] for alert, one in annotated(found).items() if "console_url" in one}
    assert links.keys() == OF_ALERTS.keys()
    assert links["PaynotifyPaymentsOverdue"] == URL + "/overdue?provider={{ $labels.provider }}"
    (made,) = of_kind(found, "PrometheusRule")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(made["spec"]), "utf-8")
    done = subprocess.run(
        (debian_tool("promtool"), "check", "rules", "rules.yaml"), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_dashboards_lead_to_the_console_and_keep_the_time() -> None:
    for found, address in ((things("strimzi"), LOCAL_URL), (rendered(), URL)):
        dashboards = named(found, "ConfigMap", "pay-dashboards")["data"]
        for text in dashboards.values():
            document = json.loads(text)
            (variable,) = [one for one in document["templating"]["list"] if one["name"] == "console"]
            assert variable["query"] == variable["current"]["value"] == address
            assert document["links"][-1]["url"] == "${console:raw}/"
    overview = json.loads(dashboards["paynotify-overview.json"])
    (dead,) = [one for one in overview["panels"] if one["title"].startswith("Dead letters")]
    assert dead["fieldConfig"]["defaults"]["links"][0]["url"] == (
        "${console:raw}/dead?since=${__from:date:iso}&until=${__to:date:iso}"
    )


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("Paynotify*.md")), ids=lambda page: page.stem)
def test_runbook_names_the_page_of_the_console_that_answers(page: Path) -> None:
    link, said = of_runbook(page.stem), re.findall(r"^The console: `(.*)`\.$", page.read_text("utf-8"), re.MULTILINE)
    assert said == ([link] if link is not None else [])


@pytest.mark.parametrize("url", ["console.shop.example", "https://console.shop.example/pages", "https://a@b.example"])
def test_address_of_the_console_is_its_root(url: str) -> None:
    done = run("template", "shop", str(CHART), "-f", values_file("strimzi"), "--set", f"console.url={url}")
    assert done.returncode != 0
    assert "console" in done.stderr
