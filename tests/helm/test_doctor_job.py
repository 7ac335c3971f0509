"""The job that `helm test` runs: as a worker of all merchants, allowed to reach what all workers reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from paynotify.ops.main import SUBCOMMANDS, build_parsers
from tests.helm.changes import put
from tests.helm.rendering import WAYS, Thing, hosts_reached, named, of_kind, pod_of, secrets_of, things
from tests.helm.test_chart_objects import selects
from tests.helm.test_unusual_values import rendered


def job_of(way: str) -> Thing:
    (job,) = (one for one in of_kind(things(way), "Job") if one["metadata"]["name"].endswith("-doctor"))
    return job


@pytest.mark.parametrize("way", WAYS)
class TestDoctorJob:
    def test_job_runs_with_helm_test_only_and_tells_its_findings(self, way: str) -> None:
        notes = job_of(way)["metadata"]["annotations"]
        assert notes["helm.sh/hook"] == "test"
        assert notes["helm.sh/hook-output-log-policy"] == "hook-succeeded,hook-failed"
        (container,) = pod_of(job_of(way))["spec"]["containers"]
        parser, _ = build_parsers(SUBCOMMANDS)
        assert parser.parse_args(container["args"]).json is True
        assert job_of(way)["spec"]["backoffLimit"] == 0

    def test_job_has_the_configuration_and_secrets_of_all_workers(self, way: str) -> None:
        (container,) = pod_of(job_of(way))["spec"]["containers"]
        mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
        workers = of_kind(things(way), "StatefulSet")
        for worker in workers:
            (same,) = pod_of(worker)["spec"]["containers"]
            assert {mount["mountPath"] for mount in same["volumeMounts"]} <= mounted | {"/var/lib/paynotify"}
        assert secrets_of(job_of(way)) == set[str]().union(*map(secrets_of, workers))
        assert pod_of(job_of(way))["spec"]["serviceAccountName"] == pod_of(workers[0])["spec"]["serviceAccountName"]


@pytest.mark.parametrize("way", [way for way in WAYS if way != "plain"])
def test_job_may_reach_what_workers_may_reach_and_nobody_reaches_it(way: str) -> None:
    policies = of_kind(things(way), "NetworkPolicy")

    def egress_of(workload: Thing) -> list[Thing]:
        labels = pod_of(workload)["metadata"]["labels"]
        mine = [one["spec"] for one in policies if selects(one["spec"]["podSelector"]["matchLabels"], labels)]
        return [rule for spec in mine for rule in spec.get("egress", [])]

    allowed = egress_of(job_of(way))
    for worker in of_kind(things(way), "StatefulSet"):
        assert [rule for rule in egress_of(worker) if rule not in allowed] == []
    (own,) = (one["spec"] for one in policies if one["metadata"]["name"].endswith("-doctor"))
    assert own["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in own


def test_cilium_lets_the_job_reach_the_providers_too() -> None:
    found = things("strimzi")
    policy = named(found, "CiliumNetworkPolicy", "pay-doctor")
    assert hosts_reached([policy | {"metadata": {"name": "pay"}}]) == hosts_reached(found)
    assert selects(policy["spec"]["endpointSelector"]["matchLabels"], pod_of(job_of("strimzi"))["metadata"]["labels"])


def test_job_can_be_switched_off(tmp_path: Path) -> None:
    found = rendered("strimzi", put("doctor", {"enabled": False}), folder=tmp_path)
    assert [one["metadata"]["name"] for one in found if "doctor" in one["metadata"]["name"]] == []
