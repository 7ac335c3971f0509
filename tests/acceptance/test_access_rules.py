"""On brokers with access rules: the documented grants are enough, and the doctor names what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType

from paynotify.sandbox.broker import LocalBroker
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas.errors import ConfigurationError
from tests.acceptance.ledger import Observer, assert_right
from tests.acceptance.shopping import buy

pytestmark = pytest.mark.kafka

USER: Final = "paynotify"
PASSWORD: Final = "a-password"


@pytest.fixture
def broker() -> Iterator[LocalBroker]:
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "listener.name.sasl.sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "listener.name.sasl.scram-sha-256.sasl.jaas.config": scram,
    }
    users = [f"SCRAM-SHA-256=[name={USER},password={PASSWORD}]"]
    with LocalBroker(settings, listeners={"SASL": "SASL_PLAINTEXT"}, scram=users) as made:
        yield made


def rule(
    operation: ACLOperation,
    kind: ResourceType,
    name: str,
    *,
    permission: ACLPermissionType = ACLPermissionType.ALLOW,
    pattern: ACLResourcePatternType = ACLResourcePatternType.PREFIXED,
) -> ACL:
    return ACL(f"User:{USER}", "*", operation, permission, ResourcePattern(kind, name, pattern))


def grant(broker: LocalBroker, *rules: ACL) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        assert not admin.create_acls(list(rules))["failed"]
    finally:
        admin.close()


def plan(broker: LocalBroker, password_file: Path) -> Plan:
    kafka: dict[str, Any] = {
        "bootstrap_servers": broker.address("SASL"),
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": USER,
        "sasl_plain_password": {"file": str(password_file)},
    }
    merchants = {"trustpayments": ("shop-uk",)}
    return Plan(kafka=broker.bootstrap, configuration={"kafka": kafka}, merchants=merchants, consumers=False)


def test_documented_grants_are_enough_and_the_doctor_sees_which_one_is_missing(
    broker: LocalBroker, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(PASSWORD, "utf-8")
    wanted = plan(broker, tmp_path / "password")
    # what a worker, an ingress and `topics apply` need, on names that begin with the system's prefix
    operations = (ACLOperation.READ, ACLOperation.WRITE, ACLOperation.CREATE, ACLOperation.DESCRIBE_CONFIGS)
    grant(
        broker,
        *[rule(one, ResourceType.TOPIC, "sandbox-") for one in operations],
        rule(ACLOperation.READ, ResourceType.GROUP, "sandbox-"),
        rule(ACLOperation.WRITE, ResourceType.TRANSACTIONAL_ID, "sandbox-"),
    )
    with Sandbox(wanted) as sandbox:
        observer = Observer(sandbox)
        try:
            buy(sandbox, "trustpayments")
            assert_right(sandbox, observer)
        finally:
            observer.close()
        config = ("--config", str(sandbox.config_path))
        assert "is allowed to read and write all" in sandbox.command("doctor", *config)
        grant(
            broker,
            rule(
                ACLOperation.WRITE,
                ResourceType.TOPIC,
                sandbox.topic("payments.status"),
                permission=ACLPermissionType.DENY,
                pattern=ACLResourcePatternType.LITERAL,
            ),
        )
        with pytest.raises(ConfigurationError, match=r"is not allowed to WRITE sandbox-[0-9a-f]+\.payments\.status"):
            sandbox.command("doctor", *config)
