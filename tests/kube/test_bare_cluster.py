"""On a cluster without custom kinds: the lifecycle of a release, access rights, Pod Security and a quota."""

from __future__ import annotations

import json
import re
from typing import Final

import pytest

from tests.helm.rendering import CHART, WAYS, values_file
from tests.helm.tools import HELMS
from tests.kube.control_plane import Access, Kubelet
from tests.kube.releases import (
    CHANGED,
    RELEASE,
    chart,
    lifecycle,
    pods_are_there,
    refusals,
    release,
    soon,
    templates,
)

#: Ways that need no kind of another project.
PLAIN: Final = ("plain", "scram")
#: What whoever installs needs, in the namespace alone.
RIGHTS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("", ("configmaps", "secrets", "services", "serviceaccounts")),
    ("apps", ("deployments", "statefulsets")),
    ("batch", ("jobs",)),
    ("autoscaling", ("horizontalpodautoscalers",)),
    ("policy", ("poddisruptionbudgets",)),
    ("networking.k8s.io", ("networkpolicies",)),
)


@pytest.mark.parametrize("version", HELMS)
@pytest.mark.parametrize("way", PLAIN)
def test_lifecycle_without_custom_kinds(
    admin: Access, kubelet: Kubelet, namespace: str, way: str, version: str
) -> None:
    lifecycle(admin, kubelet, namespace, way, version)


@pytest.mark.parametrize("way", sorted(set(WAYS) - set(PLAIN)))
def test_install_without_the_custom_kinds_fails_and_changes_nothing(admin: Access, namespace: str, way: str) -> None:
    done = admin.helm("install", RELEASE, str(CHART), "-n", namespace, "-f", values_file(way), "--timeout=60s")
    assert done.returncode != 0
    # the second is said of kinds that the chart looks up before it makes them
    assert re.search(r"no matches for kind|, Kind=\w+: the server could not find the requested resource", done.stderr)
    assert not admin.get("deployments,statefulsets,jobs,services,networkpolicies", namespace)


def test_install_needs_no_right_outside_the_namespace(admin: Access, installer: Access, namespace: str) -> None:
    verbs = ["get", "list", "watch", "create", "update", "patch", "delete"]
    rules = [{"apiGroups": [group], "resources": list(kinds), "verbs": verbs} for group, kinds in RIGHTS]
    rules.append({"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["get", "list", "watch"]})
    metadata = {"name": "installer", "namespace": namespace}
    group = "rbac.authorization.k8s.io"
    admin.apply(
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "installer"},
            "subjects": [{"apiGroup": group, "kind": "User", "name": "installer"}],
        },
    )
    assert installer.kubectl("get", "nodes").returncode != 0
    assert installer.kubectl("get", "secrets", "-n", "kube-system").returncode != 0
    chart(installer, "install", "scram", namespace)
    chart(installer, "upgrade", "scram", namespace, *CHANGED)
    release(installer, "rollback", RELEASE, "1", "-n", namespace)
    release(installer, "uninstall", RELEASE, "-n", namespace)


def test_service_accounts_may_do_nothing(admin: Access, namespace: str) -> None:
    chart(admin, "install", "scram", namespace)
    accounts = [one["metadata"]["name"] for one in admin.get("serviceaccounts", namespace)]
    assert {f"{RELEASE}-paynotify-ingest", f"{RELEASE}-paynotify-worker"} <= set(accounts)
    for account in accounts:
        who = f"--as=system:serviceaccount:{namespace}:{account}"
        for verb, kind in (("get", "secrets"), ("list", "pods"), ("create", "pods"), ("get", "configmaps")):
            assert admin.kubectl("auth", "can-i", verb, kind, "-n", namespace, who).stdout.strip() == "no"
    soon(lambda: bool(admin.get("pods", namespace)), "no pod is there")
    for pod in admin.get("pods", namespace):
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert not any("projected" in volume for volume in pod["spec"]["volumes"]), "a token would be mounted"


def test_install_fits_into_a_quota_of_all_requests_and_limits(admin: Access, namespace: str) -> None:
    hard = {
        "requests.cpu": "4",
        "requests.memory": "4Gi",
        "limits.cpu": "16",
        "limits.memory": "8Gi",
        "pods": "10",
        "requests.ephemeral-storage": "1Gi",
        "limits.ephemeral-storage": "2Gi",
        "persistentvolumeclaims": "4",
        "requests.storage": "20Gi",
    }
    admin.apply(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team"}, "spec": {"hard": hard}},
        namespace=namespace,
    )
    chart(admin, "install", "scram", namespace)
    soon(lambda: pods_are_there(admin, namespace), f"the quota refuses pods: {refusals(admin, namespace)}")
    assert not refusals(admin, namespace)


def test_changed_volumes_are_refused_before_any_change(admin: Access, namespace: str) -> None:
    chart(admin, "install", "scram", namespace)
    before = templates(admin, namespace)
    larger = ("--set", "workerDefaults.state.size=6Gi")
    done = admin.helm("upgrade", RELEASE, str(CHART), "-n", namespace, "-f", values_file("scram"), *larger, *CHANGED)
    assert done.returncode != 0
    assert "--cascade=orphan" in done.stderr
    assert templates(admin, namespace) == before
    same = ("--set", "workerDefaults.state.size=5120Mi")
    chart(admin, "upgrade", "scram", namespace, *same)
    for one in admin.get("statefulsets", namespace):
        deleted = admin.kubectl("delete", "statefulset", one["metadata"]["name"], "-n", namespace, "--cascade=orphan")
        assert deleted.returncode == 0, deleted.stderr
    chart(admin, "upgrade", "scram", namespace, *larger)
    claims = [one["spec"]["volumeClaimTemplates"][0] for one in admin.get("statefulsets", namespace)]
    assert {one["spec"]["resources"]["requests"]["storage"] for one in claims} == {"6Gi"}


def test_pod_security_refuses_an_unrestricted_pod(admin: Access, namespace: str) -> None:
    """The judge of the tests above refuses what it should."""
    chart(admin, "install", "scram", namespace)
    patch = {"spec": {"template": {"spec": {"securityContext": {"seccompProfile": None, "runAsNonRoot": False}}}}}
    name = f"deployment/{RELEASE}-paynotify-ingest"
    done = admin.kubectl("patch", name, "-n", namespace, "-p", json.dumps(patch))
    assert done.returncode == 0
    soon(lambda: any("violates PodSecurity" in message for message in refusals(admin, namespace)), "it was admitted")
