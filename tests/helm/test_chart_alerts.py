"""The alert rules, tested with promtool: they parse, and fire only when they must."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from helm.reference_pages import alert_rules
from helm.values import STAGES
from paynotify.deliver.metrics import DeliverMetrics
from paynotify.ingest.metrics import IngestMetrics
from paynotify.processors.metrics import Metrics
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.ingress import RequestOutcome
from paynotify.schemas.providers import provider_names
from paynotify.service import expiry
from paynotify.service.management import watch_readiness
from tests.helm.rendering import CHART, of_kind, things
from tests.helm.tools import debian_tool

CASES = tuple(Path(__file__).with_name(name) for name in ("alerts.yaml", "alerts-days.yaml", "alerts-weeks.yaml"))
RUNBOOKS = Path(__file__).parents[2] / "docs" / "operations" / "runbook"
ROUTES = RUNBOOKS.parent / "kubernetes" / "alertmanager.yaml"


def rules() -> list[dict[str, Any]]:
    (made,) = of_kind(things("strimzi"), "PrometheusRule")
    return [rule for group in made["spec"]["groups"] for rule in group["rules"]]


def exported() -> set[str]:
    """Every series name that the product's processes export."""
    registry = CollectorRegistry()
    Metrics(registry)
    DeliverMetrics(registry)
    expiry.watch(registry, KafkaSettings(ssl_cafile="ca.crt"))
    watch_readiness("worker", lambda: None, registry)
    ingest = IngestMetrics(provider_names(), tuple(outcome.value for outcome in RequestOutcome)).registry
    names: set[str] = set()
    for one in (registry, ingest):
        for family in one.collect():
            endings = {"counter": ("_total", "_created"), "histogram": ("_bucket", "_sum", "_count")}.get(
                family.type, ("",)
            )
            names |= {family.name + ending for ending in endings}
    return names


def test_reference_page_has_every_rule_that_is_rendered() -> None:
    listed = alert_rules((CHART / "templates" / "alerts.yaml").read_text("utf-8"))
    rendered = [(one["alert"], one["labels"]["severity"], one.get("for", "at once")) for one in rules()]
    assert [(one.name, one.severity, one.lasting) for one in listed] == rendered


def metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\bpaynotify_\w+", expression))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules as Prometheus gets them from the operator, beside their tests."""
    made = tmp_path_factory.mktemp("rules")
    (resource,) = of_kind(things("strimzi"), "PrometheusRule")
    (made / "rules.yaml").write_text(yaml.safe_dump(resource["spec"]), "utf-8")
    for cases in CASES:
        shutil.copy(cases, made / cases.name)
    return made


def promtool(folder: Path, *arguments: str) -> None:
    done = subprocess.run((debian_tool("promtool"), *arguments), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alert_rules_parse(folder: Path) -> None:
    promtool(folder, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")


def test_alerts_fire_when_they_must_and_only_then(folder: Path) -> None:
    promtool(folder, "test", "rules", *(cases.name for cases in CASES))


def test_alerts_have_a_firing_and_a_silent_test_each() -> None:
    tests = [test for cases in CASES for test in yaml.safe_load(cases.read_text("utf-8"))["tests"]]
    cases = [check for test in tests for check in test["alert_rule_test"]]
    firing = {case["alertname"] for case in cases if case["exp_alerts"]}
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert firing == silent == {rule["alert"] for rule in rules()}


def test_alert_queries_use_exported_metrics_only() -> None:
    for rule in rules():
        assert metrics_in(rule["expr"])
        assert metrics_in(rule["expr"]) <= exported(), rule["alert"]


def test_alert_notices_each_stage_that_stops_running() -> None:
    """As the product names them in its metrics: the stages of all providers are those of ``all``."""
    for way in ("strimzi", "external"):
        (made,) = of_kind(things(way), "PrometheusRule")
        (rule,) = [
            rule
            for group in made["spec"]["groups"]
            for rule in group["rules"]
            if rule["alert"] == "PaynotifyStageNotRunning"
        ]
        missed = re.findall(r'provider="(\w+)",stage="(\w+)"', rule["expr"])
        providers = ("trustpayments",) if way == "strimzi" else ("omnikassa", "trustpayments", "nevogate")
        assert sorted(missed) == sorted(
            [(provider, stage) for provider in providers for stage in STAGES[:3]] + [("all", one) for one in STAGES[3:]]
        )


def test_alert_rules_use_outcomes_of_the_product_only() -> None:
    words = {outcome.value for outcome in RequestOutcome}
    (rule,) = [rule for rule in rules() if rule["alert"] == "PaynotifyUnavailable"]
    for listed in re.findall(r'outcome=~"([^"]+)"', rule["expr"]):
        assert set(listed.split("|")) <= words


def test_alerts_have_severity_summary_and_runbook() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["runbook_url"].endswith(f"/{rule['alert']}.md")


def test_alerts_and_runbook_pages_match() -> None:
    assert {path.stem for path in RUNBOOKS.glob("Paynotify*.md")} == {rule["alert"] for rule in rules()}
    for path in RUNBOOKS.glob("Paynotify*.md"):
        text = path.read_text("utf-8")
        for heading in ("## What it means", "## Diagnose", "## Fix"):
            assert heading in text, f"{path.name} lacks {heading}"


def amtool(*arguments: str) -> str:
    done = subprocess.run((debian_tool("amtool"), *arguments), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_sample_routes_deliver_each_alert_by_its_severity() -> None:
    amtool("check-config", str(ROUTES))
    receivers = {"critical": "on-call", "warning": "payments-channel"}
    for rule in rules():
        severity = rule["labels"]["severity"]
        labels = (f"alertname={rule['alert']}", f"severity={severity}", "provider=omnikassa", "namespace=payments")
        assert amtool("config", "routes", "test", f"--config.file={ROUTES}", *labels) == receivers[severity]
    other = ("alertname=NodeDown", "severity=critical")
    assert amtool("config", "routes", "test", f"--config.file={ROUTES}", *other) == "everything-else"


def test_sample_inhibitions_name_existing_alerts() -> None:
    alerts = {rule["alert"] for rule in rules()}
    for rule in yaml.safe_load(ROUTES.read_text("utf-8"))["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            assert set(re.findall(r"Paynotify\w+", matcher)) <= alerts
