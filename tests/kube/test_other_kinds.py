"""On a cluster with the kinds of Strimzi, KEDA, Prometheus, External Secrets, the Gateway API and Cilium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helm.rendering import CHART, WAYS, values_file
from tests.helm.tools import HELMS
from tests.kube.control_plane import Access, Kubelet
from tests.kube.releases import CHANGED, RELEASE, chart, lifecycle, soon, topics

POLICY = str(CHART.parents[1] / "docs" / "operations" / "kubernetes" / "keep-partitions.yaml")

pytestmark = pytest.mark.usefixtures("custom_kinds")


@pytest.mark.parametrize("way", WAYS)
def test_lifecycle_with_custom_kinds(admin: Access, kubelet: Kubelet, namespace: str, way: str) -> None:
    lifecycle(admin, kubelet, namespace, way, HELMS[0])


def test_strimzi_topics_keep_their_partitions(admin: Access, namespace: str) -> None:
    chart(admin, "install", "strimzi", namespace)
    before = {
        one["metadata"]["name"]: (one["metadata"]["uid"], one["spec"]["partitions"]) for one in topics(admin, namespace)
    }
    assert len(before) > 20
    more = ("--set", "configuration.topics.partitions=8")
    done = admin.helm("upgrade", RELEASE, str(CHART), "-n", namespace, "-f", values_file("strimzi"), *more)
    assert done.returncode != 0
    assert "has 6 partitions and would get 8" in done.stderr
    chart(admin, "upgrade", "strimzi", namespace, *CHANGED)
    after = {
        one["metadata"]["name"]: (one["metadata"]["uid"], one["spec"]["partitions"]) for one in topics(admin, namespace)
    }
    assert after == before


@pytest.fixture
def keeps_partitions(admin: Access) -> Iterator[None]:
    done = admin.kubectl("apply", "-f", POLICY)
    assert done.returncode == 0, done.stderr
    yield
    admin.kubectl("delete", "-f", POLICY)


@pytest.mark.usefixtures("keeps_partitions")
def test_partitions_cannot_be_checked_when_only_rendered(admin: Access, namespace: str) -> None:
    """As Argo CD does it: the chart can look nothing up, and Strimzi would add the partitions."""

    def sync(*more: str) -> str:
        rendered = admin.helm(
            "template",
            RELEASE,
            str(CHART),
            "-n",
            namespace,
            "-f",
            values_file("strimzi"),
            "-s",
            "templates/strimzi.yaml",
            *more,
        )
        assert rendered.returncode == 0, rendered.stderr
        return admin.kubectl("apply", "-f", "-", stdin=rendered.stdout).stderr

    def partitions() -> dict[str, int]:
        return {one["metadata"]["name"]: one["spec"]["partitions"] for one in topics(admin, namespace)}

    more = ("--set", "configuration.topics.partitions=8")
    assert not sync()
    before = partitions()
    name = next(iter(before))
    patch = ("patch", "kafkatopic", name, "-n", namespace, "--type=merge", "--dry-run=server", "-p")
    soon(lambda: admin.kubectl(*patch, '{"spec": {"partitions": 99}}').returncode != 0, "the policy is not in force")
    assert "has 6 partitions and would get 8" in sync(*more)
    assert partitions() == before
    assert not sync("--set", "configuration.topics.overrides.observations.retention_seconds=86400")
    assert not admin.kubectl("delete", "kafkatopics", "--all", "-n", namespace).stderr
