"""Renders the chart with `helm template`, without a cluster."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from tests.helm.changes import Change
from tests.helm.tools import HELMS, helm

CHART: Final = Path(__file__).parents[2] / "helm" / "paynotify"
RELEASE: Final = "shop"
NAMESPACE: Final = "payments"
#: Each file of ``ci`` is one way to run the chart.
WAYS: Final = tuple(sorted(path.stem.removesuffix("-values") for path in (CHART / "ci").glob("*-values.yaml")))
KUBERNETES: Final = tuple(f"1.{minor}" for minor in range(31, 38))
#: What a cluster serves besides Kubernetes itself: nothing that the chart can tell, the newest, or the versions before.
CAPABILITIES: Final[dict[str, tuple[str, ...]]] = {
    "none": (),
    "newest": (
        "kafka.strimzi.io/v1/KafkaTopic",
        "kafka.strimzi.io/v1/KafkaUser",
        "external-secrets.io/v1/ExternalSecret",
        "gateway.networking.k8s.io/v1/HTTPRoute",
    ),
    "older": (
        "kafka.strimzi.io/v1beta2/KafkaTopic",
        "kafka.strimzi.io/v1beta2/KafkaUser",
        "external-secrets.io/v1beta1/ExternalSecret",
        "gateway.networking.k8s.io/v1beta1/HTTPRoute",
    ),
}

Thing: TypeAlias = dict[str, Any]
"""One Kubernetes object."""


class _Loader(yaml.CSafeLoader):
    """Refuses keys given twice, as Kubernetes' strict decoding does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        if len(mapping) != len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a key is given twice", node.start_mark)
        return mapping


def run(*arguments: str, version: str = HELMS[0]) -> subprocess.CompletedProcess[str]:
    """One call of helm, which never reaches a cluster."""
    return subprocess.run((helm(version), *arguments), capture_output=True, text=True, timeout=60, check=False)


def values_file(way: str) -> str:
    return str(CHART / "ci" / f"{way}-values.yaml")


def refusals(change: Change, folder: Path) -> Iterator[tuple[str, str]]:
    """What each version of helm prints when it refuses a valid values file with this change."""
    values = yaml.safe_load(Path(values_file("scram")).read_text("utf-8"))
    change(values)
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values), "utf-8")
    for version in HELMS:
        refused = run("template", "shop", str(CHART), "-f", str(file), version=version)
        assert refused.returncode != 0, f"{version} accepts it"
        yield version, refused.stderr


@functools.cache
def text(way: str, *, version: str = HELMS[0], kubernetes: str = "1.37", capabilities: str = "none") -> str:
    """What helm renders of one way to run the chart."""
    apis = [word for one in CAPABILITIES[capabilities] for word in ("--api-versions", one)]
    rendered = run(
        "template",
        RELEASE,
        str(CHART),
        "-n",
        NAMESPACE,
        "-f",
        values_file(way),
        "--kube-version",
        kubernetes,
        *apis,
        version=version,
    )
    assert rendered.returncode == 0, rendered.stderr
    return rendered.stdout


def loaded(rendered: str) -> list[Thing]:
    """The objects in what helm has rendered; a key given twice is an error."""
    return [one for one in yaml.load_all(rendered, Loader=_Loader) if one]


@functools.cache
def _parsed(rendered: str) -> str:
    return json.dumps(loaded(rendered))


def things(way: str, *, version: str = HELMS[0], kubernetes: str = "1.37", capabilities: str = "none") -> list[Thing]:
    """The objects of one way to run the chart."""
    found: list[Thing] = json.loads(
        _parsed(text(way, version=version, kubernetes=kubernetes, capabilities=capabilities))
    )
    return found


def of_kind(found: list[Thing], *kinds: str) -> list[Thing]:
    return [one for one in found if one["kind"] in kinds]


def named(found: list[Thing], kind: str, name: str) -> Thing:
    return next(one for one in found if one["kind"] == kind and one["metadata"]["name"] == name)


def hosts_reached(found: list[Thing]) -> set[tuple[str, str]]:
    """The hosts with their ports that Cilium's only policy for workers allows."""
    (policy,) = (
        one
        for one in of_kind(found, "CiliumNetworkPolicy")
        if not one["metadata"]["name"].endswith(("-doctor", "-tools"))
    )
    return {
        (host["matchName"], port["port"])
        for rule in policy["spec"]["egress"]
        for host in rule.get("toFQDNs", [])
        for to in rule["toPorts"]
        for port in to["ports"]
    }


def workloads(found: list[Thing]) -> list[Thing]:
    """All that makes pods."""
    return of_kind(found, "Deployment", "StatefulSet", "Job")


def pod_of(workload: Thing) -> Thing:
    pod: Thing = workload["spec"]["template"]
    return pod


def secrets_of(workload: Thing) -> set[str]:
    """The Secrets that its pods mount."""
    return {volume["secret"]["secretName"] for volume in pod_of(workload)["spec"]["volumes"] if "secret" in volume}
