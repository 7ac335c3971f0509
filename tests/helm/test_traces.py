"""Traces: off by default; with an endpoint every process exports a share of them, and may reach the collector."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from paynotify.service.traces import open_traces, sampled_share
from tests.helm.changes import put
from tests.helm.rendering import of_kind, pod_of, refusals, workloads
from tests.helm.test_provider_proxy import rules
from tests.helm.test_unusual_values import rendered

ENDPOINT: Final = "http://collector.monitoring:4318"
PEER: Final = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
PROCESSES: Final = {"Deployment", "StatefulSet"}


def test_nothing_is_traced_by_default(tmp_path: Path) -> None:
    found = rendered("scram", folder=tmp_path)
    for one in workloads(found):
        (container,) = pod_of(one)["spec"]["containers"]
        environment = {variable["name"]: variable.get("value", "") for variable in container["env"]}
        assert open_traces("worker", environment) is None


def test_processes_export_the_share_and_reach_the_collector(tmp_path: Path) -> None:
    changes = (put("traces", {"endpoint": ENDPOINT, "sampledShare": 0.0001}), put("networkPolicy.collector", [PEER]))
    found = rendered("scram", *changes, folder=tmp_path)
    for one in (one for one in workloads(found) if one["kind"] in PROCESSES):
        (container,) = pod_of(one)["spec"]["containers"]
        environment = {variable["name"]: variable.get("value", "") for variable in container["env"]}
        assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == ENDPOINT
        assert sampled_share(environment) == 0.0001
    opened = rules(found, 4318)
    with_egress = {one["metadata"]["name"] for one in of_kind(found, "NetworkPolicy") if one["spec"].get("egress")}
    assert {f"shop-paynotify-{name}" for name in opened} >= with_egress - {"shop-paynotify-topics"}
    assert all(some == [{"ports": [{"port": 4318, "protocol": "TCP"}], "to": [PEER]}] for some in opened.values())


@pytest.mark.parametrize(
    "traces",
    [
        {"endpoint": ENDPOINT, "sampledShare": 0},
        {"endpoint": "http://user:s3cr3t@collector:4318", "sampledShare": 0.1},
        {"endpoint": "collector:4317", "sampledShare": 0.1},
    ],
)
def test_wrong_endpoints_and_shares_are_refused(traces: dict[str, object], tmp_path: Path) -> None:
    for _, refused in refusals(put("traces", traces), tmp_path):
        assert "traces" in refused
