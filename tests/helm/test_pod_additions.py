"""What a platform adds to all pods: variables, volumes, DNS, labels, annotations, pull secrets, and families of IP."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.helm.changes import Change, put
from tests.helm.rendering import Thing, named, of_kind, pod_of, refusals, workloads
from tests.helm.test_unusual_values import rendered

VARIABLES: Final = [
    {"name": "CLUSTER", "value": "eu-1"},
    {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
]
VOLUMES: Final = [{"name": "company-ca", "configMap": {"name": "company-ca"}}]
MOUNTS: Final = [{"name": "company-ca", "mountPath": "/etc/company-ca", "readOnly": True}]
DNS: Final = {"options": [{"name": "ndots", "value": "1"}]}
ALL: Final = (
    put("commonLabels", {"team": "payments"}),
    put("image.pullSecrets", [{"name": "registry"}]),
    put("pod.annotations", {"sidecar.istio.io/inject": "false"}),
    put("pod.priorityClassName", "payments"),
    put("pod.dnsConfig", DNS),
    put("pod.extraEnv", VARIABLES),
    put("pod.extraVolumes", VOLUMES),
    put("pod.extraVolumeMounts", MOUNTS),
)


@pytest.mark.parametrize("way", ["scram", "strimzi"])
def test_additions_reach_every_pod_and_keep_what_the_chart_sets(way: str, tmp_path: Path) -> None:
    before = {one["metadata"]["name"]: pod_of(one)["spec"] for one in workloads(rendered(way, folder=tmp_path))}
    found = rendered(way, *ALL, folder=tmp_path)
    assert {one["metadata"]["labels"]["team"] for one in found} == {"payments"}
    assert {one["kind"] for one in workloads(found)} >= {"Deployment", "StatefulSet", "Job"}
    for one in workloads(found):
        pod, plain = pod_of(one), before[one["metadata"]["name"]]
        (container,), (same,) = pod["spec"]["containers"], plain["containers"]
        assert pod["metadata"]["labels"]["team"] == "payments"
        assert pod["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
        assert pod["spec"]["priorityClassName"] == "payments"
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
        assert pod["spec"]["dnsConfig"] == DNS
        assert additions(container["env"], same["env"]) == VARIABLES
        assert additions(container["volumeMounts"], same["volumeMounts"]) == MOUNTS
        assert additions(pod["spec"]["volumes"], plain["volumes"]) == VOLUMES


def additions(now: list[Thing], before: list[Thing]) -> list[Thing]:
    """What is new in a list that has kept all it had."""
    assert [one for one in now if one in before] == before
    return [one for one in now if one not in before]


REFUSED: Final[dict[str, tuple[Change, tuple[str, ...]]]] = {
    "the chart's own variable": (
        put("pod.extraEnv", [{"name": "POD_NAME", "value": "s3cr3t"}]),
        ("/pod/extraEnv/0/name", "a name that the chart does not set itself"),
    ),
    "variable without a name": (put("pod.extraEnv", [{"value": "s3cr3t"}]), ("/pod/extraEnv/0", "name")),
    "variables as a map": (put("pod.extraEnv", {"CLUSTER": "s3cr3t"}), ("/pod/extraEnv", "want array")),
    "volume named like one of the chart's": (
        put("pod.extraVolumes", [{"name": "state", "emptyDir": {}}]),
        ("/pod/extraVolumes/0/name", "company-ca"),
    ),
    "folder of the node, which restricted refuses": (
        put("pod.extraVolumes", [{"name": "logs", "hostPath": {"path": "/var/log"}}]),
        ("/pod/extraVolumes/0/hostPath", "the keys here are configMap, csi, downwardAPI, emptyDir"),
    ),
    "mount over the product": (
        put("pod.extraVolumeMounts", [{"name": "company-ca", "mountPath": "/opt/paynotify/lib"}]),
        ("/pod/extraVolumeMounts/0/mountPath", "/etc/company-ca"),
    ),
    "mount over the temporary files": (
        put("pod.extraVolumeMounts", [{"name": "company-ca", "mountPath": "/tmp"}]),
        ("/pod/extraVolumeMounts/0/mountPath", "/etc/company-ca"),
    ),
    "misspelt DNS setting": (put("pod.dnsConfig", {"option": []}), ("/pod/dnsConfig/option", "nameservers, options")),
    "unknown family": (put("ingest.service.ipFamilies", ["ipv6"]), ("/ingest/service/ipFamilies/0", "'IPv6'")),
    "unknown policy of families": (
        put("ingest.service.ipFamilyPolicy", "DualStack"),
        ("/ingest/service/ipFamilyPolicy", "'PreferDualStack'"),
    ),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_addition_that_would_replace_the_charts_own_is_refused(mistake: str, tmp_path: Path) -> None:
    change, words = REFUSED[mistake]
    for _, refused in refusals(change, tmp_path):
        assert [word for word in words if word not in refused] == [], refused
        assert "s3cr3t" not in refused


def test_service_of_the_ingress_has_both_families_where_there_are_both(tmp_path: Path) -> None:
    found = rendered("external", folder=tmp_path)
    policies = {one["metadata"]["name"]: one["spec"]["ipFamilyPolicy"] for one in of_kind(found, "Service")}
    assert policies.pop("shop-paynotify-ingest") == "PreferDualStack"
    assert "shop-paynotify-ingest-metrics" in policies
    assert set(policies.values()) == {"SingleStack"}, "Prometheus would find each pod twice"
    assert "ipFamilies" not in named(found, "Service", "shop-paynotify-ingest")["spec"]


def test_families_of_the_ingress_are_as_ordered(tmp_path: Path) -> None:
    wanted = put("ingest.service", {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]})
    spec = named(rendered("scram", wanted, folder=tmp_path), "Service", "shop-paynotify-ingest")["spec"]
    assert (spec["ipFamilyPolicy"], spec["ipFamilies"]) == ("RequireDualStack", ["IPv6", "IPv4"])
