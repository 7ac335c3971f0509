"""The dashboards: their queries parse and use exported metrics only."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import yaml

from helm.dashboard_panels import OVERVIEW, Panel
from helm.dashboards import queries
from helm.values import STAGES
from tests.helm.rendering import named, things
from tests.helm.test_chart_alerts import exported, metrics_in
from tests.helm.tools import debian_tool


def test_dashboard_queries_parse(tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$namespace", "payments")}
        for number, query in enumerate(queries())
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}), "utf-8")
    done = subprocess.run(
        (debian_tool("promtool"), "check", "rules", "rules.yaml"), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_dashboard_counts_the_first_case_and_nothing_older(tmp_path: Path) -> None:
    """The counter of a rare thing comes with its first case; an increase alone would be 0."""
    (panel,) = [panel for panel in OVERVIEW if panel.title.startswith("Dead letters")]
    labels = '{namespace="payments",provider="%s",stage="fetch",reason="expired"}'
    # born at 25 h; older; born and grown; born and gone; not scraped before 25 h; started again at 37.5 h
    counters = {
        "born": ("_x100 1x100", "_x100 90000x100"),
        "old": ("5x200", "0x200"),
        "grown": ("_x100 1x50 4x50", "_x100 90000x100"),
        "gone": ("_x100 3x20 stale", "_x100 90000x20 stale"),
        "unseen": ("_x100 7x100", "_x100 0x100"),
        "again": ("5x150 1x50", "0x150 135000x50"),
    }
    wanted = {"born": 1, "old": 0, "grown": 4, "gone": 3, "unseen": 0, "again": 1}
    series = {
        f"paynotify_dead_letters_{kind}{labels % name}": values
        for name, both in counters.items()
        for kind, values in zip(("total", "created"), both, strict=True)
    }
    assert_query(tmp_path, panel, "15m", "40h", series, wanted)


def test_overview_shows_silent_providers_after_a_restart(tmp_path: Path) -> None:
    """A release that cuts a provider off restarts every process, and none of them has received a notification of it."""
    last, results = "paynotify_last_notification_timestamp_seconds", "paynotify_receive_to_result_seconds_count"
    series = {
        last + '{namespace="payments",provider="nevogate",pod="a"}': "0+60x60 stale",
        last + '{namespace="payments",provider="nevogate",pod="b"}': "_x60 0x60",
        last + '{namespace="payments",provider="omnikassa",pod="a"}': "0+60x60 stale",
        last + '{namespace="payments",provider="omnikassa",pod="b"}': "_x60 3600+60x60",
        # no merchant of it is configured
        last + '{namespace="payments",provider="trustpayments",pod="b"}': "0x120",
        results + '{namespace="payments",provider="nevogate",pod="c"}': "0+1x60 stale",
        results + '{namespace="payments",provider="omnikassa",pod="d"}': "_x60 0+2x60",
    }
    flows, ago = OVERVIEW[:2]
    assert_query(tmp_path, flows, "1m", "2h", series, {"nevogate": 0, "omnikassa": 2})
    assert_query(tmp_path, ago, "1m", "2h", series, {"nevogate": 3600, "omnikassa": 0})


def assert_query(
    folder: Path, panel: Panel, interval: str, time: str, series: Mapping[str, str], wanted: Mapping[str, float]
) -> None:
    """Assert what the panel's query returns for these series at this time, by provider."""
    case = {
        "interval": interval,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": panel.query.replace("$namespace", "payments"),
                "eval_time": time,
                "exp_samples": [{"labels": f'{{provider="{name}"}}', "value": value} for name, value in wanted.items()],
            }
        ],
    }
    (folder / "tests.yaml").write_text(yaml.safe_dump({"rule_files": [], "tests": [case]}), "utf-8")
    done = subprocess.run(
        (debian_tool("promtool"), "test", "rules", "tests.yaml"), cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_dashboard_queries_use_exported_metrics_only() -> None:
    for query in queries():
        assert metrics_in(query)
        assert metrics_in(query) <= exported(), query


def test_dashboards_show_every_metric_of_the_stages() -> None:
    shown = {name for query in queries() for name in metrics_in(query)}
    ours = {name for name in exported() if not name.endswith(("_sum", "_count", "_created"))}
    # seen in the alerts' and runbooks' queries, or of no use without an incident
    elsewhere = {
        "paynotify_publish_seconds_bucket",
        "paynotify_ingest_publish_seconds_bucket",
        "paynotify_ingest_in_flight",
        "paynotify_charge_orphans_total",
        "paynotify_partition_halted",
        "paynotify_ready",
    }
    assert {name for name in ours if name.startswith("paynotify_")} - shown == elsewhere


def test_dashboards_are_an_overview_and_one_for_each_stage() -> None:
    made = named(things("strimzi"), "ConfigMap", "pay-dashboards")
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert made["data"].keys() == {f"paynotify-{name}.json" for name in ("overview", *STAGES, "deliver")}
    uids = {json.loads(text)["uid"] for text in made["data"].values()}
    assert len(uids) == len(made["data"])
    assert sum(len(text) for text in made["data"].values()) < 900_000, "more does not fit into one object"


def test_dashboard_panels_do_not_overlap() -> None:
    for text in named(things("strimzi"), "ConfigMap", "pay-dashboards")["data"].values():
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(text)["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, panel["title"]
            taken |= cells
            assert place["x"] + place["w"] <= 24


def test_overview_shows_problems_first() -> None:
    stats = [panel for panel in OVERVIEW if panel.kind == "stat"]
    assert stats == list(OVERVIEW[: len(stats)]), "what is read first stands first"
    assert all(panel.red_from is not None for panel in stats[1:])
    drawn = json.loads(named(things("strimzi"), "ConfigMap", "pay-dashboards")["data"]["paynotify-overview.json"])
    now = [one["title"] for one in drawn["panels"] if one["targets"][0]["instant"]]
    assert now == [panel.title for panel in stats], "what was good before everything ended must not stand there"
    steps = drawn["panels"][0]["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["color"] for step in steps] == ["text", "green"], "no news is not green"


def test_overview_names_the_provider_without_results() -> None:
    """Stages that serve all providers count under ``all``, which would hide one that is silent behind the others."""
    for panel in OVERVIEW:
        if panel.legend == "{{provider}}":
            assert not re.search(f'stage="({"|".join(STAGES[3:])})"', panel.query), panel.title
