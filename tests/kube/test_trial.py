"""Runs the ten commands of docs/tutorial/on-a-cluster.md, up to the events on ``payments.status``.

Containers are replaced: pods run as processes of this machine (`tests.kube.node`), ``port-forward`` is the address of
the Service, and ``exec`` runs its command with the pod's files and environment.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from paynotify.sandbox.broker import LocalBroker
from paynotify.sandbox.processes import wait_for
from tests.helm.rendering import CHART
from tests.helm.tools import HELMS, helm, kubectl
from tests.kube.control_plane import Access, ControlPlane, Kubelet
from tests.kube.node import Node, running
from tests.kube.releases import WITHIN_SECONDS, refusals, soon, templates

ROOT: Final = CHART.parents[1]
PAGE: Final = (ROOT / "docs" / "tutorial" / "on-a-cluster.md").read_text("utf-8")
COMMANDS: Final = tuple(line for line in PAGE.split("```sh\n")[1].split("```")[0].splitlines() if line)
NAMESPACE: Final = "payments"
#: The topics that the output of ``trace`` shows, in this order.
STORY: Final = ("notifications.nevogate", "lookups.nevogate", "responses.nevogate", "payments.status")

_LONGEST_SECONDS: Final = 400.0

pytestmark = pytest.mark.kafka


class Operator:
    """Runs the page's commands in the repository, with the tests' tools on the path."""

    def __init__(self, access: Access, node: Node, tools: Path) -> None:
        tools.mkdir()
        for name, path in (("kubectl", kubectl()), ("helm", helm(HELMS[0]))):
            (tools / name).symlink_to(path)
        home = access.kubeconfig.parent
        path = f"{tools}:{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "KUBECONFIG": str(access.kubeconfig), "HOME": str(home)}
        self._node = node

    def run(self, line: str) -> str:
        done = self.attempt(line)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}\n{self._node.logs()}"
        return done.stdout

    def attempt(self, line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ("bash", "-c", line),
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )


@pytest.fixture
def node(cluster: tuple[ControlPlane, Kubelet], tmp_path: Path) -> Iterator[Node]:
    plane, kubelet = cluster
    with LocalBroker() as broker:
        elsewhere = {"kafka.kafka:9092": broker.bootstrap}
        with running(plane.admin, kubelet, NAMESPACE, tmp_path / "node", elsewhere) as one:
            yield one
        plane.admin.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


@pytest.fixture
def operator(admin: Access, node: Node, tmp_path: Path) -> Operator:
    return Operator(admin, node, tmp_path / "tools")


def test_trial_publishes_a_payment_status_on_an_empty_cluster(admin: Access, node: Node, operator: Operator) -> None:
    space, label, simulator, install, pods, forward, pay, trace, uninstall, delete = COMMANDS
    for line in (space, label, simulator, install):
        operator.run(line)
    assert not refusals(admin, NAMESPACE), "`restricted` refuses a pod"
    shown = operator.run(pods).splitlines()[1:]
    assert [line.split()[1:3] for line in shown] == [["1/1", "Running"]] * 4, shown

    assert "port-forward service/simulator 8000 " in forward
    payment_made = json.loads(operator.run(pay.replace("localhost:8000", node.network.address("simulator", 8000))))
    *_, pod, _, paynotify, tell, payment = shlex.split(trace, comments=True)
    words = (paynotify, tell, payment.replace("PAYMENT", payment_made["payment_id"]))

    def traced() -> str | None:
        story = node.execute(pod, *words)
        return story if "payments.status/" in story else None

    story = wait_for(traced, within_seconds=WITHIN_SECONDS, every=0.5)
    assert story, f"{node.execute(pod, *words)}\n{node.logs()}"
    places = [story.find(f"{topic}/") for topic in STORY]
    assert -1 not in places, story
    assert places == sorted(places), story
    assert "at nevogate: captured, order O-1" in story
    assert "No records were found" not in story

    another_number_of_partitions_is_refused(admin, operator, install)
    operator.run(uninstall)
    operator.run(delete)
    assert not [one for one in admin.get("namespaces") if one["metadata"]["name"] == NAMESPACE]
    soon(lambda: len(node.ended) == 6, f"still there: {node.logs()}")
    assert sorted(node.ended.values()) == [0, 0, 0, 0, 0, 1], "all but the second topics job end well"


def another_number_of_partitions_is_refused(admin: Access, operator: Operator, install: str) -> None:
    """Where the chart can't look: the topics job asks the brokers, and an upgrade goes no further."""
    before = templates(admin, NAMESPACE)
    upgrade = install.replace("helm install", "helm upgrade")
    done = operator.attempt(f"{upgrade} --set configuration.topics.partitions=3 --set topics.job.backoffLimit=0")
    assert done.returncode != 0
    assert "pre-upgrade hooks failed" in done.stderr
    assert templates(admin, NAMESPACE) == before
