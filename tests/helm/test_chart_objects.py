"""The rendered objects are valid for every supported Kubernetes version, and their references resolve."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from tests.helm import crd_schemas
from tests.helm.pairs import pairs_of, pairwise
from tests.helm.rendering import (
    CAPABILITIES,
    CHART,
    KUBERNETES,
    WAYS,
    Thing,
    named,
    of_kind,
    pod_of,
    run,
    text,
    things,
    values_file,
    workloads,
)
from tests.helm.tools import HELMS
from tests.long_form import LONG

CUSTOM = {key: jsonschema.Draft202012Validator(schema) for key, schema in crd_schemas.load().items()}


#: Values, Kubernetes, what the cluster serves, and helm.
MATRIX = (WAYS, KUBERNETES, tuple(CAPABILITIES), HELMS)

# the library reads all definitions of a version again for each object, and lists the versions twice
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)
kubernetes_validate.utils.all_versions = functools.cache(kubernetes_validate.utils.all_versions)


@functools.cache
def judge(thing: str, kubernetes: str) -> None:
    """Validate one object strictly; an unknown kind is an error."""
    found = json.loads(thing)
    custom = CUSTOM.get((found["apiVersion"], found["kind"]))
    if custom is not None:
        custom.validate(found)
    else:
        kubernetes_validate.validate(found, kubernetes, strict=True)


def labels_of(thing: Thing) -> dict[str, str]:
    labels: dict[str, str] = thing["metadata"].get("labels", {})
    return labels


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def containers(pod: Thing) -> list[Thing]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


@pytest.mark.parametrize(
    ("way", "kubernetes", "capabilities", "version"), list(product(*MATRIX)) if LONG else pairwise(*MATRIX)
)
def test_objects_are_valid(way: str, kubernetes: str, capabilities: str, version: str) -> None:
    """Every combination in the long form; else 28 of the 168, in which any two choices meet."""
    for thing in things(way, version=version, kubernetes=kubernetes, capabilities=capabilities):
        judge(json.dumps(thing, sort_keys=True), kubernetes)


def test_pairwise_covers_any_two_choices_with_few_combinations() -> None:
    chosen = pairwise(*MATRIX)
    everything = set(product(*MATRIX))
    assert {pair for one in chosen for pair in pairs_of(one)} == {pair for one in everything for pair in pairs_of(one)}
    assert set(chosen) <= everything
    assert len(chosen) < len(everything) / 4
    assert pairwise(*MATRIX) == chosen


def test_judge_refuses_unknown_fields_and_kinds() -> None:
    service = of_kind(things("scram"), "Service")[0]
    with pytest.raises(jsonschema.ValidationError):
        judge(json.dumps({**service, "spec": {**service["spec"], "sessionAfinity": "None"}}), "1.37")
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        judge(json.dumps({**service, "kind": "Servise"}), "1.37")
    scaled = of_kind(things("strimzi"), "ScaledObject")[0]
    with pytest.raises(jsonschema.ValidationError):
        judge(json.dumps({**scaled, "spec": {**scaled["spec"], "maxReplicas": 3}}), "1.37")
    trigger = scaled["spec"]["triggers"][0]
    trigger["metadata"]["lagTreshold"] = "3"
    with pytest.raises(jsonschema.ValidationError):
        judge(json.dumps(scaled), "1.37")


@pytest.mark.parametrize("version", HELMS)
@pytest.mark.parametrize("way", WAYS)
def test_lint_finds_nothing(way: str, version: str) -> None:
    linted = run("lint", "--strict", str(CHART), "-f", values_file(way), version=version)
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize("way", WAYS)
def test_helm_versions_render_the_same(way: str) -> None:
    first, second = (sorted(things(way, version=version), key=str) for version in HELMS)
    assert first == second


def test_kubernetes_before_1_31_is_refused() -> None:
    refused = run("template", "shop", str(CHART), "-f", values_file("scram"), "--kube-version", "1.30")
    assert refused.returncode != 0
    assert "1.31" in refused.stderr


def test_api_versions_are_those_that_the_cluster_serves() -> None:
    def versions(capabilities: str) -> set[str]:
        found = [*things("strimzi", capabilities=capabilities), *things("external", capabilities=capabilities)]
        return {one["apiVersion"] for one in of_kind(found, "KafkaTopic", "KafkaUser", "ExternalSecret", "HTTPRoute")}

    newest = {"kafka.strimzi.io/v1", "external-secrets.io/v1", "gateway.networking.k8s.io/v1"}
    assert versions("none") == versions("newest") == newest
    assert versions("older") == {
        "kafka.strimzi.io/v1beta2",
        "external-secrets.io/v1beta1",
        "gateway.networking.k8s.io/v1beta1",
    }


@pytest.mark.parametrize("way", WAYS)
class TestTheyFitEachOther:
    def test_object_names_differ_and_leave_room_for_derived_names(self, way: str) -> None:
        found = things(way)
        names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in found]
        assert len(set(names)) == len(names)
        topics = {one["metadata"]["name"] for one in of_kind(found, "KafkaTopic")}
        assert all(len(name) <= 63 for _, _, name in names if name not in topics)
        # a StatefulSet's revision is a label of its pods: the name, and eleven characters more
        assert all(len(one["metadata"]["name"]) <= 52 for one in of_kind(found, "StatefulSet", "Job"))

    def test_objects_carry_the_labels_helm_recommends(self, way: str) -> None:
        wanted = {
            f"app.kubernetes.io/{word}"
            for word in ("name", "instance", "version", "component", "part-of", "managed-by")
        }
        for thing in things(way):
            assert wanted | {"helm.sh/chart"} <= labels_of(thing).keys(), thing["metadata"]["name"]
            assert all(len(value) <= 63 for value in labels_of(thing).values())

    def test_selectors_match_their_own_pods_only(self, way: str) -> None:
        found = things(way)
        pods = {one["metadata"]["name"]: labels_of(pod_of(one)) for one in workloads(found)}
        for one in of_kind(found, "Deployment", "StatefulSet"):
            selector = one["spec"]["selector"]["matchLabels"]
            assert [name for name, labels in pods.items() if selects(selector, labels)] == [one["metadata"]["name"]]
            for spread in pod_of(one)["spec"].get("topologySpreadConstraints", []):
                assert spread["labelSelector"]["matchLabels"] == selector
        for one in of_kind(found, "Service", "PodDisruptionBudget"):
            selector = one["spec"]["selector"]
            chosen = [name for name, labels in pods.items() if selects(selector.get("matchLabels", selector), labels)]
            assert len(chosen) == 1, one["metadata"]["name"]
        for one in of_kind(found, "NetworkPolicy"):
            selector = one["spec"]["podSelector"]["matchLabels"]
            chosen = [name for name, labels in pods.items() if selects(selector, labels)]
            assert len(chosen) == (len(pods) if one["metadata"]["name"].endswith("-deny") else 1)

    def test_named_ports_exist(self, way: str) -> None:
        found = things(way)
        for one in of_kind(found, "Service"):
            pods = [
                pod_of(other)
                for other in workloads(found)
                if selects(one["spec"]["selector"], labels_of(pod_of(other)))
            ]
            for port in one["spec"]["ports"]:
                assert all(port["targetPort"] in port_names(pod) for pod in pods)
        for one in workloads(found):
            for container in containers(pod_of(one)):
                for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                    if probe in container:
                        assert container[probe]["httpGet"]["port"] in port_names(pod_of(one))
        for one in of_kind(found, "PodMonitor"):
            for endpoint in one["spec"]["podMetricsEndpoints"]:
                served = [
                    endpoint["port"] in port_names(pod_of(other))
                    for other in of_kind(found, "Deployment", "StatefulSet")
                    if not other["metadata"]["name"].endswith(("-tools", "-console"))  # they have nothing to measure
                ]
                assert all(served)
        for one in of_kind(found, "ServiceMonitor"):
            served_by = {
                service["spec"]["selector"]["app.kubernetes.io/component"]
                for service in of_kind(found, "Service")
                if selects(one["spec"]["selector"]["matchLabels"], labels_of(service))
                and any(port["name"] == one["spec"]["endpoints"][0]["port"] for port in service["spec"]["ports"])
            }
            assert served_by == {
                labels_of(pod_of(other))["app.kubernetes.io/component"]
                for other in of_kind(found, "Deployment", "StatefulSet")
            }

    def test_network_policies_allow_the_ports_that_pods_listen_on(self, way: str) -> None:
        found = things(way)
        listening = {
            port["containerPort"]
            for one in workloads(found)
            for container in containers(pod_of(one))
            for port in container.get("ports", [])
        }
        for one in of_kind(found, "NetworkPolicy"):
            for rule in one["spec"].get("ingress", []):
                assert {port["port"] for port in rule["ports"]} <= listening

    def test_references_resolve(self, way: str) -> None:
        found = things(way)
        present = {(one["kind"], one["metadata"]["name"]) for one in found}
        for one in workloads(found):
            pod = pod_of(one)["spec"]
            assert ("ServiceAccount", pod["serviceAccountName"]) in present
            volumes = {volume["name"]: volume for volume in pod["volumes"]}
            claims = {claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", [])}
            for volume in volumes.values():
                if "configMap" in volume:
                    assert ("ConfigMap", volume["configMap"]["name"]) in present
            mounted = [mount for container in containers(pod_of(one)) for mount in container["volumeMounts"]]
            assert {mount["name"] for mount in mounted} == volumes.keys() | claims
            assert len({mount["mountPath"] for mount in mounted}) == len(mounted)
        for one in of_kind(found, "StatefulSet"):
            assert ("Service", one["spec"]["serviceName"]) in present
        for one in of_kind(found, "HorizontalPodAutoscaler", "ScaledObject"):
            target = one["spec"]["scaleTargetRef"]
            assert (target["kind"], target["name"]) in present
            scaled = next(
                other
                for other in found
                if (other["kind"], other["metadata"]["name"]) == (target["kind"], target["name"])
            )
            assert "replicas" not in scaled["spec"], "an upgrade would undo what was scaled"
        for one in of_kind(found, "ScaledObject"):
            for trigger in one["spec"]["triggers"]:
                if "authenticationRef" in trigger:
                    assert ("TriggerAuthentication", trigger["authenticationRef"]["name"]) in present
        for backend in backends(found):
            assert ("Service", backend) in present

    def test_resource_requests_are_at_most_the_limits(self, way: str) -> None:
        for one in workloads(things(way)):
            for container in containers(pod_of(one)):
                requests, limits = container["resources"]["requests"], container["resources"]["limits"]
                assert requests.keys() == limits.keys() == {"cpu", "memory", "ephemeral-storage"}
                for what, limit in limits.items():
                    assert quantity(requests[what]) <= quantity(limit)

    def test_ephemeral_storage_covers_what_a_pod_may_write(self, way: str) -> None:
        kept_logs = 5 * 10 * 2**20  # by a kubelet as it is delivered
        for one in workloads(things(way)):
            pod = pod_of(one)["spec"]
            written = sum(
                quantity(volume["emptyDir"]["sizeLimit"]) for volume in pod["volumes"] if "emptyDir" in volume
            )
            (container,) = pod["containers"]
            assert written + kept_logs <= quantity(container["resources"]["limits"]["ephemeral-storage"])

    def test_pods_satisfy_the_restricted_policy(self, way: str) -> None:
        workloads_are_restricted(things(way))
        for account in of_kind(things(way), "ServiceAccount"):
            assert account["automountServiceAccountToken"] is False

    def test_chart_creates_no_role_and_no_secret(self, way: str) -> None:
        assert not of_kind(things(way), "Secret", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")


@pytest.mark.parametrize("way", ["scram", "strimzi"])
def test_defaults_pass_the_policy_checks(way: str) -> None:
    """What kube-score, Polaris, kube-linter and kubesec look for besides `restricted`; these ways keep all of it."""
    found = things(way)
    guarded = [one["spec"]["podSelector"]["matchLabels"] for one in of_kind(found, "NetworkPolicy")]
    for one in workloads(found):
        pod = pod_of(one)
        assert any(selects(policy, labels_of(pod)) for policy in guarded)
        assert pod["spec"]["securityContext"]["runAsUser"] > 10_000
        assert pod["spec"]["securityContext"]["runAsGroup"] > 10_000
        for container in containers(pod):
            assert container["imagePullPolicy"] == "Always"
            assert not container["image"].endswith(":latest")
            assert ":" in container["image"]
        if one["kind"] == "Job":
            assert one["spec"]["ttlSecondsAfterFinished"] > 0
            continue
        if one["metadata"]["name"].endswith("-tools"):
            continue  # nothing calls it, and it does nothing by itself
        served(found, one)
        if not one["metadata"]["name"].endswith("-console"):  # of which there is one
            apart(one)


def served(found: list[Thing], workload: Thing) -> None:
    """A long-running workload has probes and a disruption budget."""
    (container,) = containers(pod_of(workload))
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()
    assert container["livenessProbe"]["httpGet"]["path"] != container["readinessProbe"]["httpGet"]["path"]
    budgets = [
        one["spec"]
        for one in of_kind(found, "PodDisruptionBudget")
        if selects(one["spec"]["selector"]["matchLabels"], labels_of(pod_of(workload)))
    ]
    assert [one["maxUnavailable"] for one in budgets] == [1]
    assert budgets[0]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def apart(workload: Thing) -> None:
    """Its pods avoid each other's nodes."""
    spec = pod_of(workload)["spec"]
    (wish,) = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert wish["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    chosen = wish["podAffinityTerm"]["labelSelector"]["matchLabels"]
    assert chosen == workload["spec"]["selector"]["matchLabels"]
    assert all(one["labelSelector"]["matchLabels"] == chosen for one in spec["topologySpreadConstraints"])


def workloads_are_restricted(found: list[Thing]) -> None:
    """Pod Security's `restricted`, and a read-only root besides."""
    for one in workloads(found):
        pod = pod_of(one)["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        kinds = {key for volume in pod["volumes"] for key in volume if key != "name"}
        assert kinds <= {"configMap", "secret", "emptyDir"}, "the policy allows no others that we need"
        for container in containers(pod_of(one)):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}


def port_names(pod: Thing) -> set[str]:
    return {port["name"] for container in containers(pod) for port in container.get("ports", [])}


def backends(found: list[Thing]) -> Iterator[str]:
    for one in of_kind(found, "Ingress"):
        for rule in one["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                yield path["backend"]["service"]["name"]
    for one in of_kind(found, "HTTPRoute"):
        for rule in one["spec"]["rules"]:
            yield from (backend["name"] for backend in rule["backendRefs"])


UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}


def quantity(text: Any) -> float:
    digits = str(text).rstrip("mkMGKi")
    return float(digits) * UNITS[str(text)[len(digits) :]]


def test_ingress_exposes_notifications_only() -> None:
    found = things("strimzi")
    ingress, (route,) = named(found, "Ingress", "pay-ingest"), of_kind(found, "HTTPRoute")
    paths = [path["path"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
    assert paths == ["/notifications/"]
    assert [match["path"]["value"] for rule in route["spec"]["rules"] for match in rule["matches"]] == [
        "/notifications/"
    ]


def test_topics_job_needs_nothing_of_the_release() -> None:
    found = things("external")
    early = [one for one in found if "pre-install" in one["metadata"].get("annotations", {}).get("helm.sh/hook", "")]
    assert {one["kind"] for one in early} == {"ServiceAccount", "ConfigMap", "NetworkPolicy", "ExternalSecret", "Job"}
    weights = {one["kind"]: int(one["metadata"]["annotations"]["helm.sh/hook-weight"]) for one in early}
    assert all(weight < weights["Job"] for kind, weight in weights.items() if kind != "Job")
    (job,) = of_kind(early, "Job")
    made = {(one["kind"], one["metadata"]["name"]) for one in early}
    fetched = {one["metadata"]["name"] for one in of_kind(found, "ExternalSecret")}
    pod = pod_of(job)["spec"]
    assert ("ServiceAccount", pod["serviceAccountName"]) in made
    for volume in pod["volumes"]:
        if "configMap" in volume:
            assert ("ConfigMap", volume["configMap"]["name"]) in made
        secret = volume.get("secret", {}).get("secretName")
        if secret in fetched:
            assert ("ExternalSecret", secret) in made, "the release's own would come too late"
    for one in early:
        assert one["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"


def test_pods_have_more_time_to_stop_than_they_need() -> None:
    """Out of the endpoints, then the drain, then the end: each within the grace period."""
    (ingest,) = of_kind(things("scram"), "Deployment")
    (container,) = containers(pod_of(ingest))
    wait = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod_of(ingest)["spec"]["terminationGracePeriodSeconds"] >= wait + 20 + 10
    for one in of_kind(things("scram"), "StatefulSet"):
        assert pod_of(one)["spec"]["terminationGracePeriodSeconds"] > 24 + 10


def test_pods_roll_for_a_changed_configuration_not_for_a_rotated_secret() -> None:
    def checksums(*settings: str) -> set[str]:
        rendered = run("template", "shop", str(CHART), "-f", values_file("scram"), *settings).stdout
        return {line.strip() for line in rendered.splitlines() if "checksum/" in line}

    before, after = checksums(), checksums("--set", "configuration.worker.batch_records=400")
    assert before
    assert not before & after
    assert "kind: Secret" not in text("scram")
