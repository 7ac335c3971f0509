"""Pods that show the brokers a token: of a token endpoint with the credentials of each process, or of their account."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from paynotify.schemas.configuration.kafka import OAuthSettings
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.configuration.secrets import SecretRef
from tests.helm.changes import Change, drop, put
from tests.helm.rendering import Thing, of_kind, pod_of, refusals, secrets_of, workloads
from tests.helm.test_unusual_values import rendered

ENDPOINT: Final = "https://login.shop.example:8443/token"
BY_ENDPOINT: Final = put(
    "configuration.kafka",
    {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth": {"token_endpoint": ENDPOINT, "scope": "kafka"}},
)
BY_ACCOUNT: Final = put("kafkaAccess", {"serviceAccountToken": {"audience": "kafka"}})


def bearer(change: Change) -> tuple[Change, ...]:
    """The change of a valid file with brokers that it names."""
    brokers = put("configuration.kafka.bootstrap_servers", "broker-1.kafka:9093")
    return (change, brokers, put("configuration.kafka.sasl_mechanism", "OAUTHBEARER"))


def oauth_of(found: list[Thing], name: str) -> OAuthSettings:
    (file,) = (one for one in of_kind(found, "ConfigMap") if one["metadata"]["name"] == name)
    oauth = parse(file["data"]["paynotify.yaml"], name).kafka.sasl_oauth
    assert oauth is not None
    return oauth


def egress_ports(policy: Thing) -> set[Any]:
    return {port["port"] for rule in policy["spec"].get("egress", ()) for port in rule.get("ports", ())}


def test_token_endpoint_gets_the_credentials_of_each_process(tmp_path: Path) -> None:
    authority = put("kafkaAccess.tokenCa", {"existingSecret": "login-ca", "key": "ca.crt"})
    found = rendered("scram", *bearer(BY_ENDPOINT), authority, folder=tmp_path)
    for name, client in (("shop-paynotify-ingest", "ingest"), ("shop-paynotify-worker", "worker")):
        oauth = oauth_of(found, name)
        assert oauth.client_id == f"paynotify-{client}"
        assert oauth.client_secret == SecretRef(file=f"/run/secrets/paynotify/paynotify-{client}/password")
        assert oauth.ca_file == "/run/secrets/paynotify/login-ca/ca.crt"
        assert (oauth.token_endpoint, oauth.scope) == (ENDPOINT, "kafka")
    for one in workloads(found):
        assert any(name.startswith("login-ca") for name in secrets_of(one))
    policies = [one for one in of_kind(found, "NetworkPolicy") if "Egress" in one["spec"]["policyTypes"]]
    assert [one for one in policies if egress_ports(one) and 8443 not in egress_ports(one)] == []


def test_token_of_the_service_account_is_projected_into_every_pod(tmp_path: Path) -> None:
    found = rendered("scram", *bearer(BY_ACCOUNT), folder=tmp_path)
    assert oauth_of(found, "shop-paynotify-worker") == OAuthSettings(token_file="/run/secrets/kafka/token")
    for one in workloads(found):
        pod = pod_of(one)["spec"]
        (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "kafka-token")
        token = {"path": "token", "audience": "kafka", "expirationSeconds": 3600}
        assert volume["projected"]["sources"] == [{"serviceAccountToken": token}]
        mounts = pod["containers"][0]["volumeMounts"]
        assert {"name": "kafka-token", "mountPath": "/run/secrets/kafka", "readOnly": True} in mounts


def test_brokers_without_sasl_get_no_token(tmp_path: Path) -> None:
    found = rendered("plain", put("configuration.kafka.sasl_oauth", {"token_endpoint": ENDPOINT}), folder=tmp_path)
    assert all("sasl_oauth" not in one["data"].get("paynotify.yaml", "") for one in of_kind(found, "ConfigMap"))


REFUSED: Final[dict[str, tuple[tuple[Change, ...], tuple[str, ...]]]] = {
    "no source of a token": (
        (put("configuration.kafka.sasl_mechanism", "OAUTHBEARER"),),
        ("'/configuration/kafka'", "kafkaAccess.serviceAccountToken"),
    ),
    "token endpoint without credentials": (
        (*bearer(BY_ENDPOINT), drop("kafkaAccess.worker")),
        ("'/kafkaAccess/worker'", "{username: NAME, password:"),
    ),
    "account's token with passwords": (
        (put("kafkaAccess.serviceAccountToken", {"audience": "kafka"}),),
        ("'/configuration/kafka/sasl_mechanism'", "OAUTHBEARER"),
    ),
    "autoscaler without a token": (
        (*bearer(BY_ENDPOINT), put("workerDefaults.autoscaling", {"enabled": True})),
        ("gives KEDA no token",),
    ),
    "secret in the file": (
        (*bearer(BY_ENDPOINT), put("configuration.kafka.sasl_oauth.client_secret", "s3cr3t")),
        ("/sasl_oauth",),
    ),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_wrong_values_for_tokens_are_refused(mistake: str, tmp_path: Path) -> None:
    changes, words = REFUSED[mistake]

    def change(values: Any) -> None:
        for one in changes:
            one(values)

    for _, said in refusals(change, tmp_path):
        assert all(word in said for word in words), said
        assert "s3cr3t" not in said
