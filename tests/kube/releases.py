"""Operations on a release on a real API server, as a deployment pipeline performs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from paynotify.sandbox.processes import wait_for
from tests.helm.rendering import CHART, values_file
from tests.helm.tools import HELMS
from tests.kube.control_plane import Access, Kubelet, Thing

RELEASE: Final = "shop"
WORKLOADS: Final = "deployments,statefulsets"
#: What a release makes and must take with it.
ALL: Final = (
    "deployments,statefulsets,jobs,pods,services,persistentvolumeclaims,networkpolicies,poddisruptionbudgets,"
    "horizontalpodautoscalers,secrets"
)
CHANGED: Final = ("--set", "configuration.worker.batch_records=400")
WITHIN_SECONDS: Final = 120.0


def soon(condition: Callable[[], bool], otherwise: str) -> None:
    assert wait_for(condition, within_seconds=WITHIN_SECONDS, every=0.5), otherwise


def chart(access: Access, verb: str, way: str, namespace: str, *more: str, version: str = HELMS[0]) -> str:
    done = access.helm(
        verb, RELEASE, str(CHART), "-n", namespace, "-f", values_file(way), "--timeout=120s", *more, version=version
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def release(access: Access, *words: str, version: str = HELMS[0]) -> None:
    done = access.helm(*words, "--timeout=120s", version=version)
    assert done.returncode == 0, done.stdout + done.stderr


def templates(access: Access, namespace: str) -> dict[str, Any]:
    return {
        f"{one['kind']}/{one['metadata']['name']}": one["spec"]["template"] for one in access.get(WORKLOADS, namespace)
    }


def pods_are_there(access: Access, namespace: str) -> bool:
    """Whether each workload has all pods that it wants: admitted, though nothing runs them."""
    owners = [one["metadata"]["ownerReferences"][0]["name"] for one in access.get("pods", namespace)]
    for one in access.get(WORKLOADS, namespace):
        name = one["metadata"]["name"]
        mine = [owner for owner in owners if owner == name or owner.rpartition("-")[0] == name]
        if len(mine) < one["spec"].get("replicas", 1):
            return False
    return bool(owners)


def refusals(access: Access, namespace: str) -> list[str]:
    return [one["message"] for one in access.get("events", namespace) if one["reason"] == "FailedCreate"]


def lifecycle(admin: Access, kubelet: Kubelet, namespace: str, way: str, version: str) -> None:
    chart(admin, "install", way, namespace, "--dry-run=server", version=version)
    assert not admin.get(WORKLOADS, namespace), "a dry run changes nothing"

    chart(admin, "install", way, namespace, version=version)
    soon(lambda: pods_are_there(admin, namespace), f"pods are not admitted: {refusals(admin, namespace)}")
    assert not refusals(admin, namespace)
    first = templates(admin, namespace)
    hook_came_first(kubelet, namespace, way)
    assert not admin.get("jobs", namespace), "the hook's job stays behind"

    chart(admin, "upgrade", way, namespace, version=version)
    assert templates(admin, namespace) == first, "an upgrade without a change rolls pods"
    chart(admin, "upgrade", way, namespace, *CHANGED, version=version)
    second = templates(admin, namespace)
    assert second.keys() == first.keys()
    assert all(second[name] != first[name] for name in first), "a changed configuration rolls all"

    release(admin, "rollback", RELEASE, "2", "-n", namespace, version=version)
    assert templates(admin, namespace) == first

    kept = {one["metadata"]["name"] for one in topics(admin, namespace)}
    release(admin, "uninstall", RELEASE, "-n", namespace, "--wait", version=version)
    soon(lambda: not admin.get(ALL, namespace), "something is left behind")
    assert [one["metadata"]["name"] for one in admin.get("serviceaccounts", namespace)] == ["default"]
    assert {one["metadata"]["name"] for one in topics(admin, namespace)} == kept, "topics outlive the release"


def topics(access: Access, namespace: str) -> list[Thing]:
    done = access.kubectl("get", "kafkatopics.kafka.strimzi.io", "-n", namespace, "-o", "json")
    found: list[Thing] = json.loads(done.stdout)["items"] if done.returncode == 0 else []
    return found


def hook_came_first(kubelet: Kubelet, namespace: str, way: str) -> None:
    """When the topics job ran for the first time, there was nothing of the release but what the job needs."""
    if way == "strimzi":
        assert namespace not in kubelet.seen
        return
    present = kubelet.seen[namespace][0]
    kinds = {name.partition("/")[0] for name in present}
    assert not kinds & {"Deployment", "StatefulSet", "Service"}, present
    assert {f"{kind}/{RELEASE}-paynotify-topics" for kind in ("ServiceAccount", "ConfigMap", "Job")} <= present
