"""The console in the chart: off by default, one pod with a user, Secrets, ways in and rights of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from helm.value_types import NO_TAKEN_NAMES
from paynotify.ops import rights
from paynotify.ops.console.answer_headers import PROBE_PATHS
from paynotify.ops.rights import Grant
from paynotify.schemas.configuration.load import parse
from tests.helm.changes import Change, drop, put
from tests.helm.rendering import Thing, of_kind, refusals, secrets_of, things, workloads
from tests.helm.test_chart_objects import quantity
from tests.helm.test_unusual_values import rendered

GRANTS: Final = [{"groups": ["finance"], "role": "viewer"}]
BASIC: Final = {
    "kind": "basic",
    "basic": {"users": {"existingSecret": "console-users", "key": "users"}},
    "grants": GRANTS,
}
OIDC: Final = {
    "kind": "oidc",
    "oidc": {
        "issuer": "https://id.example:8443/realms/shop",
        "client_id": "console",
        "client_secret": {"existingSecret": "console-oidc", "key": "secret"},
        "session_key": {"existingSecret": "console-oidc", "key": "session"},
    },
    "grants": GRANTS,
}
USER: Final = {"username": "paynotify-console", "password": {"existingSecret": "paynotify-console", "key": "password"}}
CERTIFICATE: Final = {
    name: {"existingSecret": "pay-console", "key": key}
    for name, key in (("certificate", "user.crt"), ("privateKey", "user.key"))
}
HTTP_INGRESS: Final = {"enabled": True, "hosts": ["console.shop.example"], "tlsSecret": "console-tls"}


def enabled(credentials: Any, access: Any, besides: dict[str, Any] | None = None, **console: Any) -> Change:
    settings = {"access": access, "public_urls": ["https://console.shop.example"]}
    further = {"configuration.console": settings, "kafkaAccess.console": credentials, **(besides or {})}
    return put("console", {"enabled": True, **console}, further)


@pytest.fixture(scope="module")
def scram(tmp_path_factory: pytest.TempPathFactory) -> list[Thing]:
    """Rendered, and valid for Kubernetes."""
    change = enabled(USER, BASIC, tlsSecret="console-own-tls", indexSize="3Gi")
    return rendered("scram", change, folder=tmp_path_factory.mktemp("scram"))


@pytest.fixture(scope="module")
def strimzi(tmp_path_factory: pytest.TempPathFactory) -> list[Thing]:
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateways"}}}]
    besides = {"networkPolicy.consoleFrom": peers, "strimzi.users.console.mayAct": True}
    change = enabled(CERTIFICATE, OIDC, besides, httpIngress=HTTP_INGRESS)
    return rendered("strimzi", change, folder=tmp_path_factory.mktemp("strimzi"))


def named(found: Sequence[Thing], kind: str) -> dict[str, Any]:
    (one,) = [one for one in of_kind(list(found), kind) if one["metadata"]["name"].endswith("-console")]
    return one


def test_nothing_of_it_is_rendered_by_default() -> None:
    assert [one["metadata"]["name"] for one in things("scram") if "console" in one["metadata"]["name"]] == []


def test_one_pod_has_the_secrets_of_its_users_and_no_merchants(scram: list[Thing]) -> None:
    own = {"console-users", "console-own-tls", "paynotify-console"}
    for workload in workloads(scram):
        mounted = secrets_of(workload)
        if workload["metadata"]["name"].endswith("-console"):
            assert mounted == {*own, "kafka-ca"}
        else:
            assert not mounted & own, workload["metadata"]["name"]
    deployment = named(scram, "Deployment")["spec"]
    assert deployment["replicas"] == 1
    assert deployment["strategy"] == {"type": "Recreate"}


def test_file_is_accepted_by_the_product_and_has_its_own_user(scram: list[Thing]) -> None:
    configuration = parse(named(scram, "ConfigMap")["data"]["paynotify.yaml"], "paynotify.yaml")
    assert configuration.kafka.sasl_plain_username == "paynotify-console"
    console = configuration.console
    assert console.access.basic is not None
    assert console.access.basic.users.file == "/run/secrets/paynotify/console-users/users"
    assert console.tls_certfile == "/run/secrets/paynotify/console-own-tls/tls.crt"
    assert console.tls_keyfile == "/run/secrets/paynotify/console-own-tls/tls.key"
    assert console.public_urls == ("https://console.shop.example",)


def test_index_is_kept_in_the_pod_within_its_size(scram: list[Thing]) -> None:
    pod = named(scram, "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (state,) = [one for one in pod["volumes"] if one["name"] == "state"]
    assert state["emptyDir"] == {"sizeLimit": "3Gi"}
    assert {"name": "state", "mountPath": "/var/lib/paynotify"} in container["volumeMounts"]
    assert container["args"] == ["console", "--listen=:8090", "--index=/var/lib/paynotify/console.sqlite"]
    for amounts in container["resources"].values():
        assert quantity(amounts["ephemeral-storage"]) > quantity("3Gi")


def test_probes_ask_without_users_as_the_pod_listens(scram: list[Thing], strimzi: list[Thing]) -> None:
    for found, scheme in ((scram, "HTTPS"), (strimzi, "HTTP")):
        (container,) = named(found, "Deployment")["spec"]["template"]["spec"]["containers"]
        probes = [container[f"{one}Probe"]["httpGet"] for one in ("startup", "readiness", "liveness")]
        paths = ("/healthz", "/readyz", "/healthz")
        assert probes == [{"path": path, "port": "http", "scheme": scheme} for path in paths]
        assert set(paths) == set(PROBE_PATHS)
        (port,) = named(found, "Service")["spec"]["ports"]
        assert port["appProtocol"] == scheme.lower()


def test_user_reads_what_pages_show_and_writes_what_operators_may(strimzi: list[Thing]) -> None:
    wanted: dict[str, set[str]] = {}
    for one in rights.grants(rights.CONSOLE) | rights.allowed("tools"):
        wanted.setdefault(one.name, set()).add(one.operation)
    granted: dict[str, set[str]] = {}
    for rule in named(strimzi, "KafkaUser")["spec"]["authorization"]["acls"]:
        name = rule["resource"]["name"].removeprefix("prod_")
        granted.setdefault(name, set()).update(rule["operations"])
    assert granted == wanted
    writable = {name for name, operations in granted.items() if "Write" in operations}
    assert not writable & {"payments.status", "payments.latest", "payments.requested"}


def test_viewers_console_writes_nothing() -> None:
    found = things("strimzi")
    rules = named(found, "KafkaUser")["spec"]["authorization"]["acls"]
    assert {operation for rule in rules for operation in rule["operations"]} == {
        "Read",
        "Describe",
        "DescribeConfigs",
    }
    assert Grant("topic", "payments.latest", "Read") in rights.grants(rights.CONSOLE)


def test_pod_is_reached_by_whom_the_values_name(scram: list[Thing], strimzi: list[Thing]) -> None:
    (rule,) = named(scram, "NetworkPolicy")["spec"]["ingress"]
    assert rule == {"ports": [{"port": 8090, "protocol": "TCP"}], "from": [{"podSelector": {}}]}
    (rule,) = named(strimzi, "NetworkPolicy")["spec"]["ingress"]
    assert rule["from"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "gateways"}


def test_pod_reaches_the_issuer_and_no_provider(scram: list[Thing], strimzi: list[Thing]) -> None:
    def ports(found: Sequence[Thing]) -> set[int]:
        return {port["port"] for rule in named(found, "NetworkPolicy")["spec"]["egress"] for port in rule["ports"]}

    assert ports(scram) == {53, 9093}
    assert ports(strimzi) == {53, 9093, 8443}


def test_ingress_leads_to_its_service(strimzi: list[Thing]) -> None:
    one = named(strimzi, "Ingress")["spec"]
    assert one["tls"] == [{"secretName": "console-tls", "hosts": ["console.shop.example"]}]
    (path,) = one["rules"][0]["http"]["paths"]
    assert path["backend"]["service"]["name"] == named(strimzi, "Service")["metadata"]["name"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop("configuration.console"), "configuration.console"),
        (drop("configuration.console.public_urls"), "public_urls"),
        (put("configuration.console.access", {"kind": "none"}), "access"),
        (drop("kafkaAccess.console"), "kafkaAccess.console"),
        (put("console.httpIngress", {"enabled": True, "hosts": []}), "console.httpIngress.hosts"),
    ],
    ids=["no settings", "no URL", "no users", "no credentials", "no hosts"],
)
def test_values_that_would_not_serve_are_refused(change: Change, said: str, tmp_path: Path) -> None:
    def both(values: Any) -> None:
        enabled(USER, BASIC)(values)
        change(values)

    for version, refused in refusals(both, tmp_path):
        assert said.rpartition(".")[2] in refused, version


def test_group_of_workers_cannot_have_the_name_of_the_pod() -> None:
    assert NO_TAKEN_NAMES.extra_json_schema is not None
    (pattern,) = NO_TAKEN_NAMES.extra_json_schema["patternProperties"]
    assert "|console|" in pattern
