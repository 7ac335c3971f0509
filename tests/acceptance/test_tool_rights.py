"""Each command of an operator on a broker with access rules: its row of rights is enough, and has none too many."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    ResourcePattern,
    ResourceType,
)
from kafka.errors import TopicAuthorizationFailedError

from paynotify.ops.rights import COMMANDS, CONSOLE, GROUPS, Grant, allowed, grants
from paynotify.sandbox.broker import LocalBroker
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import topics
from paynotify.schemas.providers import provider_names
from tests import topics_reader
from tests.acceptance.ledger import Observer, assert_right
from tests.acceptance.shopping import buy
from tests.console_process import Console
from tests.long_form import LONG
from tests.topics_reader import whole

pytestmark = pytest.mark.kafka

PASSWORD: Final = "a-password"
#: A user for each row, and the chart's own, which has what all rows but two have.
USERS: Final = {re.sub(r"\W+", "-", command).strip("-"): command for command in COMMANDS}
TOOLS: Final = "tools"
VIEWER: Final = "console"
#: Each row takes seconds; `make brokers` takes all of them.
SHORT: Final = ("history", "correct")
OPERATIONS: Final = {
    "Read": ACLOperation.READ,
    "Write": ACLOperation.WRITE,
    "Delete": ACLOperation.DELETE,
    "Describe": ACLOperation.DESCRIBE,
    "DescribeConfigs": ACLOperation.DESCRIBE_CONFIGS,
}
MERCHANT: Final = "shop-uk"
CHARGING: Final = "shop-hu"
CALLS: Final = "notifications.P"
ALLOWED: Final = re.compile(
    r"Principal = User:(\S+) is Allowed operation = (\w+) from host = \S+ on resource = (\w+):LITERAL:(\S+) for"
)


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalBroker]:
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "listener.name.sasl.sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "listener.name.sasl.scram-sha-256.sasl.jaas.config": scram,
    }
    users = [f"SCRAM-SHA-256=[name={user},password={PASSWORD}]" for user in (*USERS, TOOLS, VIEWER)]
    with LocalBroker(settings, listeners={"SASL": "SASL_PLAINTEXT"}, scram=users) as made:
        yield made


@pytest.fixture(scope="module")
def sandbox(broker: LocalBroker) -> Iterator[Sandbox]:
    """An installation with a few payments, and with one user of the brokers for each command."""
    merchants = {"trustpayments": (MERCHANT,), "nevogate": (CHARGING,)}
    plan = Plan(
        kafka=broker.bootstrap,
        merchants=merchants,
        charges={CHARGING: {}},
        with_url_token=(CHARGING,),
        partitions=1,
        consumers=False,
    )
    with Sandbox(plan) as one:
        observer = Observer(one)
        try:
            buy(one, "trustpayments")
            forged = f"{one.ingest_address}/notifications/trustpayments/{MERCHANT}"
            httpx.post(forged, content="transactionreference=57-9-1&errorcode=0&responsesitesecurity=" + "0" * 64)
            assert_right(one, observer)
        finally:
            observer.close()
        grant(
            broker,
            one,
            {user: grants(COMMANDS[command]) for user, command in USERS.items()}
            | {TOOLS: allowed("tools"), VIEWER: grants(CONSOLE)},
        )
        yield one


def grant(broker: LocalBroker, sandbox: Sandbox, users: dict[str, set[Grant]]) -> None:
    """Give the users their rights, and let the brokers tell of each one that is used."""
    kinds = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}
    patterns = {"topic": ACLResourcePatternType.LITERAL, "group": ACLResourcePatternType.PREFIXED}
    rules = [
        ACL(
            f"User:{user}",
            "*",
            OPERATIONS[one.operation],
            ACLPermissionType.ALLOW,
            ResourcePattern(kinds[one.kind], sandbox.prefix + one.name, patterns[one.kind]),
        )
        for user, given in users.items()
        for one in sorted(given)
    ]
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        assert not admin.create_acls(rules)["failed"]
        telling = ConfigResource(ConfigResourceType.BROKER_LOGGER, "1", {"kafka.authorizer.logger": "DEBUG"})
        admin.alter_configs([telling], incremental=True)
    finally:
        admin.close()


def run(sandbox: Sandbox, broker: LocalBroker, user: str, *words: str) -> tuple[int, str]:
    """The command as that user of the brokers: its exit code, and what it said."""
    file = file_of(sandbox, broker, user)
    command = [sys.executable, "-m", "paynotify.ops.main", *words, "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def file_of(sandbox: Sandbox, broker: LocalBroker, user: str) -> Path:
    """The sandbox's configuration with that user of the brokers."""
    file = sandbox.config_path.with_name(f"{user}.yaml")
    document: dict[str, Any] = yaml.safe_load(sandbox.config_path.read_text("utf-8"))
    document["kafka"] |= {
        "bootstrap_servers": broker.address("SASL"),
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": user,
        "sasl_plain_password": {"value": PASSWORD},
    }
    file.write_text(yaml.safe_dump(document), "utf-8")
    return file


def words(sandbox: Sandbox, command: str) -> Sequence[str]:
    """The command with arguments that let it use its rights."""
    latest = {one.key.decode(): one.value for one in whole(sandbox.bootstrap, sandbox.topic(topics.LATEST))}
    paid, event = next((name, value) for name, value in latest.items() if value)
    order = str(json.loads(event)["order_id"])
    who = ("--by", "jo", "--reason", "to see what it may do")
    return {
        "trace": ("trace", "--merchant", MERCHANT, "--order", order, "--since", "1h"),
        "export": ("export", "--since", "1h"),
        "history": ("history",),
        "audit": ("audit", "--since", "1h"),
        "topics check": ("topics", "check"),
        "replay": ("replay", "all", "--yes", "--by", "jo", "--why", "to see what it may do"),
        "correct": ("correct", paid, "--status", "refunded", "--apply", *who),
        "reconcile --repair": ("reconcile", "--merchant", MERCHANT, "--from", "1h", "--repair", "--yes", *who),
        "charge, capture, release": ("release", f"{CHARGING}/{'ab' * 16}", "--yes", "--wait", "5", *who),
        "forget --yes": ("forget", paid, "--yes", "--by", "jo", "--why", "to see what it may do"),
    }[command]


def held(sandbox: Sandbox) -> dict[str, int]:
    names = [sandbox.topic(topic.name) for topic in topics.all_topics()]
    return topics_reader.counts(sandbox.bootstrap, *names)


def used(broker: LocalBroker, user: str, prefix: str) -> set[tuple[str, str]]:
    """The operations that the brokers allowed the user, each with its topic as in the table."""
    found = ALLOWED.findall(broker.log_path.read_text("utf-8", "replace"))
    return {(named(name.removeprefix(prefix)), operation) for who, operation, _, name in found if who == user}


def named(topic: str) -> str:
    """The topic's name in the table: with P for the provider, and N for the step of retries."""
    for provider in provider_names():
        topic = re.sub(rf"\.{provider}\b", ".P", topic)
    topic = re.sub(r"\.retry\.[0-9]\b", ".retry.N", topic)
    return GROUPS if topic.startswith(GROUPS) and "changelog" not in topic and topic != topics.CLOCK else topic


def test_tools_can_neither_charge_nor_write_results_nor_delete(sandbox: Sandbox, broker: LocalBroker) -> None:
    for command in ("charge, capture, release", "forget --yes"):
        code, said = run(sandbox, broker, TOOLS, *words(sandbox, command))
        assert code == 3, said
    assert run(sandbox, broker, TOOLS, *words(sandbox, "trace"))[0] == 0
    denied = KafkaProducer(
        bootstrap_servers=broker.address("SASL"),
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-256",
        sasl_plain_username=TOOLS,
        sasl_plain_password=PASSWORD,
    )
    try:
        for topic in (topics.STATUS, topics.LATEST, topics.REQUESTED, topics.changelog("resolve")):
            with pytest.raises(TopicAuthorizationFailedError):
                denied.send(sandbox.topic(topic), b"{}").get(timeout=30)
    finally:
        denied.close(timeout=10)


def test_rights_of_the_console_are_enough_for_its_pages(sandbox: Sandbox, broker: LocalBroker, tmp_path: Path) -> None:
    latest = {one.key.decode(): one.value for one in whole(sandbox.bootstrap, sandbox.topic(topics.LATEST))}
    paid = next(name for name, value in latest.items() if value)
    with Console(sandbox, tmp_path / "index.sqlite", file_of(sandbox, broker, VIEWER)) as console:
        console.until("/", "up to date")
        story = console.until(f"/payments/{paid}", "notification")
        assert "observation" in story
        console.until("/flow", "processed")
        lines = console.child.log_path.read_text()
    assert "index_not_updated" not in lines
    assert "flow_not_sampled" not in lines


@pytest.mark.parametrize("user", USERS if LONG else SHORT)
def test_rights_of_a_command_are_enough_and_none_too_many(sandbox: Sandbox, broker: LocalBroker, user: str) -> None:
    command = USERS[user]
    code, said = run(sandbox, broker, user, *words(sandbox, command))
    assert code in (0, 1), said
    assert "Authorization" not in said
    given = {(named(one.name), one.operation.upper()) for one in grants(COMMANDS[command])}
    # where nothing lies nothing is read; the brokers are asked what lies there
    full = {named(name.removeprefix(sandbox.prefix)) for name, count in held(sandbox).items() if count}
    needed = {(name, operation.replace("_", "")) for name, operation in used(broker, user, sandbox.prefix)}
    needed |= {(name, "READ") for name, operation in needed if operation == "DESCRIBE" and name not in full}
    if command == "replay":  # it needs those topics that the records came from, and here all came from one
        given = {(topics.REJECTED, "READ"), (topics.OPERATORS, "WRITE"), (CALLS, "WRITE")}
    # deleted is where copies of this payment lie
    given -= {one for one in given if one[1] == "DELETE"} - {(CALLS, "DELETE"), ("responses.P", "DELETE")}
    assert given - needed == set()
