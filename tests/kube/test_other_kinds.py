"""A cluster that serves the kinds of Strimzi, KEDA, Prometheus, External Secrets, the Gateway API and Cilium."""

from __future__ import annotations

import pytest

from tests.helm.rendering import CHART, WAYS, values_file
from tests.helm.tools import HELMS
from tests.kube.control_plane import Access, Kubelet
from tests.kube.releases import CHANGED, RELEASE, chart, lifecycle, topics

pytestmark = pytest.mark.usefixtures("custom_kinds")


@pytest.mark.parametrize("way", WAYS)
def test_with_other_projects_kinds(admin: Access, kubelet: Kubelet, namespace: str, way: str) -> None:
    lifecycle(admin, kubelet, namespace, way, HELMS[0])


def test_topics_are_looked_up_and_stay_what_they_are(admin: Access, namespace: str) -> None:
    chart(admin, "install", "strimzi", namespace)
    before = {one["metadata"]["name"]: (one["metadata"]["uid"], one["spec"]["partitions"])
              for one in topics(admin, namespace)}  # fmt: skip
    assert len(before) > 20
    more = ("--set", "configuration.topics.partitions=8")
    done = admin.helm("upgrade", RELEASE, str(CHART), "-n", namespace, "-f", values_file("strimzi"), *more)
    assert done.returncode != 0
    assert "has 6 partitions and would get 8" in done.stderr
    chart(admin, "upgrade", "strimzi", namespace, *CHANGED)
    after = {one["metadata"]["name"]: (one["metadata"]["uid"], one["spec"]["partitions"])
             for one in topics(admin, namespace)}  # fmt: skip
    assert after == before
