"""The pod for operators' commands: all merchants' secrets, a Kafka user of its own, and nothing that runs by itself."""

from __future__ import annotations

from pathlib import Path

import yaml

from helm.value_types import NO_TAKEN_NAMES
from tests.helm.changes import put
from tests.helm.rendering import Thing, named, of_kind, pod_of, things
from tests.helm.test_chart_configuration import file_of, paths_in
from tests.helm.test_unusual_values import rendered


def tools_of(found: list[Thing]) -> Thing:
    return named(found, "Deployment", "pay-tools")


def mounted(workload: Thing) -> set[str]:
    mounts = pod_of(workload)["spec"]["containers"][0]["volumeMounts"]
    return {mount["mountPath"] for mount in mounts if mount["mountPath"].startswith("/run/secrets/")}


def test_pod_waits_for_commands_with_its_own_user_and_all_secrets() -> None:
    found = list(things("strimzi"))
    workload = tools_of(found)
    (container,) = pod_of(workload)["spec"]["containers"]
    assert container["command"][:2] == ["python", "-c"]
    assert "ports" not in container
    file = yaml.safe_load(named(found, "ConfigMap", "pay-tools")["data"]["paynotify.yaml"])
    assert file["kafka"]["ssl_certfile"] == "/run/secrets/paynotify/pay-tools/user.crt"
    worker = yaml.safe_load(file_of("strimzi", "worker"))
    assert file["merchants"] == worker["merchants"]
    del file["console"]
    assert mounted(workload) == {path.rpartition("/")[0] for path in paths_in(file)}, "all but those of the console"
    assert pod_of(workload)["spec"]["serviceAccountName"] == "pay-tools"


def test_pod_may_reach_what_workers_may_reach_and_nobody_reaches_it() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(things("strimzi"), "NetworkPolicy")}
    assert "ingress" not in policies["pay-tools"]
    assert policies["pay-tools"]["egress"] == policies["pay-doctor"]["egress"]


def test_pod_is_absent_by_default_and_has_the_workers_user_without_one_of_its_own(tmp_path: Path) -> None:
    assert not [one for one in of_kind(things("scram"), "Deployment") if one["metadata"]["name"].endswith("-tools")]
    found = rendered("scram", put("tools.enabled", True), folder=tmp_path)
    (name,) = [
        one["metadata"]["name"] for one in of_kind(found, "ConfigMap") if one["metadata"]["name"].endswith("-tools")
    ]
    user = yaml.safe_load(named(found, "ConfigMap", name)["data"]["paynotify.yaml"])["kafka"]
    assert user == yaml.safe_load(file_of("scram", "worker"))["kafka"]


def test_group_of_workers_cannot_have_the_name_of_the_pod() -> None:
    assert NO_TAKEN_NAMES.extra_json_schema is not None
    (pattern,) = NO_TAKEN_NAMES.extra_json_schema["patternProperties"]
    assert "|tools|" in pattern
