"""Fixtures: one control plane for all tests here, its users, and a namespace for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helm.crd_schemas import load
from tests.kube.control_plane import Access, ControlPlane, Kubelet, Thing, running

USERS = ("admin", "installer")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ControlPlane, Kubelet]]:
    with running(tmp_path_factory.mktemp("control-plane"), USERS) as parts:
        yield parts


@pytest.fixture
def admin(cluster: tuple[ControlPlane, Kubelet]) -> Access:
    return cluster[0].admin


@pytest.fixture
def installer(cluster: tuple[ControlPlane, Kubelet]) -> Access:
    return cluster[0].access["installer"]


@pytest.fixture
def kubelet(cluster: tuple[ControlPlane, Kubelet]) -> Kubelet:
    return cluster[1]


@pytest.fixture
def namespace(admin: Access, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of one test in which Pod Security's `restricted` is enforced."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name.lower())[-60:].strip("-")
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    yield name
    admin.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def custom_kinds(cluster: tuple[ControlPlane, Kubelet]) -> Iterator[None]:
    """The kinds of other projects that the chart uses, all versions. Their fields are judged by tests/helm."""
    admin = cluster[0].admin
    names: dict[tuple[str, str], list[str]] = {}
    for api, kind in load():
        group, _, version = api.partition("/")
        names.setdefault((group, kind), []).append(version)
    made = [_definition(group, kind, sorted(versions)) for (group, kind), versions in names.items()]
    # a class of the platform's own that the strimzi way names
    admin.apply(
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "payments"}, "value": 1000}
    )
    admin.apply(*made)
    waited = admin.kubectl(
        "wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{one['metadata']['name']}" for one in made)
    )
    assert waited.returncode == 0, waited.stderr
    yield
    admin.kubectl("delete", "--wait", *(f"crd/{one['metadata']['name']}" for one in made))


def _definition(group: str, kind: str, versions: list[str]) -> Thing:
    plural = kind.lower().removesuffix("y") + ("ies" if kind.endswith("y") else "s")
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    metadata: Thing = {"name": f"{plural}.{group}"}
    if group.endswith(".k8s.io"):
        metadata["annotations"] = {"api-approved.kubernetes.io": "unapproved, a stand-in for tests"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [
                {"name": one, "served": True, "storage": one == versions[0], "schema": schema} for one in versions
            ],
        },
    }
