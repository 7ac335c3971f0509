"""``paynotify doctor``: diagnoses configuration, brokers, topics and providers; changes nothing but its own topic."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from kafka.admin import (
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    SecurityDisabledError,
    TopicAuthorizationFailedError,
)

from paynotify.ops.doctor.broker_kind import check_kind
from paynotify.ops.doctor.clocks import check_brokers
from paynotify.ops.doctor.finding import Finding
from paynotify.ops.doctor.floods import check_disks, check_rates
from paynotify.ops.doctor.ingress import check_certificate
from paynotify.ops.doctor.personal_fields import check_fields
from paynotify.ops.doctor.providers import examine, examine_outgoing
from paynotify.ops.doctor.public_urls import check_public_urls
from paynotify.processors.providers.account import open_account
from paynotify.processors.providers.registry import provider_specs
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.merchants import Merchant, provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.configuration.secrets import Secret
from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError, SecretError
from paynotify.schemas.providers import provider_names
from paynotify.schemas.topics import REQUESTED
from paynotify.service.cluster import admin, differences, inspect_topics, missing
from paynotify.service.value_cipher import cipher_of

_EPILOG: Final = """\
Checks the configuration, every secret, the brokers, the topics (as `topics check`), access control, and each provider:
connection, TLS, clock, and credentials where a call is harmless. Nothing is changed; to learn the brokers' time, empty
records are written to the topic paynotify.clock. Each finding is ok, warning, error or skipped.
docs/operations/doctor.md lists the checks.

examples:
  paynotify doctor --config paynotify.yaml
  paynotify doctor --offline --json        configuration and secrets only
  paynotify doctor --provider omnikassa    where only this provider's secrets are mounted

exit codes: 0 no errors, 1 errors (unreachable brokers are one), 2 wrong use or configuration
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify doctor``."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--provider",
        action="append",
        choices=provider_names(),
        default=[],
        help="check only this provider and its merchants' secrets (repeatable)",
    )
    parser.add_argument(
        "--recovery",
        action="store_true",
        help="also check credentials that a provider lets be used only rarely, with one call for each merchant",
    )
    parser.add_argument("--offline", action="store_true", help="check only configuration and secrets")


def run(arguments: argparse.Namespace) -> int:
    """Run the checks. Exit code 1 if a finding is an error.

    Raises:
        ConfigurationError: the configuration cannot be loaded, so nothing can be checked.
    """
    findings: list[Finding] = []
    for finding in _findings(arguments):
        findings.append(finding)
        if not arguments.json:
            print(finding, flush=True)
    errors = sum(one.verdict == "error" for one in findings)
    if arguments.json:
        print(orjson.dumps({"errors": errors, "findings": [asdict(one) for one in findings]}).decode())
    else:
        warnings = sum(one.verdict == "warning" for one in findings)
        print(f"{len(findings)} checks, {errors} errors, {warnings} warnings")
    return 1 if errors else 0


def _findings(arguments: argparse.Namespace) -> Iterator[Finding]:
    configuration = load(arguments.config)  # without a configuration there is nothing to check: exit code 2
    merchant_ids = ", ".join(sorted(one.id for one in configuration.merchants))
    yield Finding("configuration", "ok", f"{len(configuration.merchants)} merchants: {merchant_ids}")
    if configuration.sandbox:
        yield Finding(
            "configuration",
            "warning",
            "sandbox: true allows plain HTTP and secrets in the file",
            "Remove it for production.",
        )
    yield from check_certificate(configuration.ingest, datetime.now(UTC))
    yield from check_public_urls(configuration, offline=arguments.offline)
    providers = arguments.provider or provider_names()
    merchants = [one for one in configuration.merchants if provider_of(one) in providers]
    broken: set[str] = set()
    for merchant in merchants:
        yield from check_fields(merchant)
        for finding in _check_secrets(merchant):
            if finding.verdict == "error":
                broken.add(merchant.id)
            yield finding
    yield from examine_outgoing(configuration.worker)
    yield from _check_encryption(configuration)
    yield from check_rates(configuration)
    if arguments.offline:
        return
    yield from _check_cluster(configuration)
    for merchant in merchants:
        # a check with an unreadable secret would only repeat that error
        account = None if merchant.id in broken else open_account(merchant)
        yield from examine(merchant, account, configuration, recovery=arguments.recovery)


def _check_secrets(merchant: Merchant) -> Iterator[Finding]:
    where = f"secrets of {merchant.id}"
    readable, unreadable = 0, 0
    for key, reference in merchant.secret_references():
        try:
            Secret(reference).reveal()
            readable += 1
        except SecretError as error:
            unreadable += 1
            yield Finding(where, "error", f"{key}: {error}")
    if not unreadable:
        yield Finding(where, "ok", f"{readable} readable")
    problem = provider_specs()[provider_of(merchant)].probe.secret_problem(open_account(merchant, needed=()))
    if problem is not None:
        yield Finding(where, "error", problem)


def _check_encryption(configuration: Configuration) -> Iterator[Finding]:
    if configuration.encryption is None:
        return
    try:
        cipher = cipher_of(configuration)
    except SecretError as error:
        yield Finding("encryption", "error", str(error))
        return
    names = ", ".join(one.id for one in configuration.encryption.keys)
    yield Finding("encryption", "ok", f"keys {names}; new records are {'' if cipher.encrypts else 'not '}encrypted")


def _check_cluster(configuration: Configuration) -> Iterator[Finding]:
    servers = configuration.kafka.bootstrap_servers
    try:
        with admin(configuration) as client:
            yield Finding("brokers", "ok", f"{len(client.describe_cluster()['brokers'])} at {servers}")
            for check in _CLUSTER_CHECKS:
                yield from check(configuration, client)
    except (ClusterUnavailableError, ConfigurationError) as error:
        yield Finding("brokers", "error", str(error))


def _check_topics(configuration: Configuration, client: Any) -> Iterator[Finding]:
    present = inspect_topics(configuration, client)
    absent, different = missing(configuration, present), differences(configuration, present)
    if absent:
        yield Finding("topics", "error", f"{_first_of(absent)} missing", "Run `paynotify topics apply`.")
    for one in different:
        remedy = "Run `paynotify topics apply`." if one.fixable else "Set the configuration to the topic's value."
        yield Finding("topics", "warning" if one.fixable else "error", str(one), remedy)
    if not absent and not different:
        yield Finding("topics", "ok", f"{len(present)} as configured")
    for name, topic in sorted(present.items()):
        if topic.replication_factor == 1 and not configuration.sandbox:
            yield Finding(
                "topics",
                "warning",
                f"{name} has only one replica: a lost disk loses accepted notifications",
                "Set topics.replication_factor to 3 and reassign the topic's replicas.",
            )
            return


def _check_access(configuration: Configuration, client: Any) -> Iterator[Finding]:
    """What the brokers allow the configured user, and whether they enforce access control at all."""
    yield from _check_grants(configuration, client)
    everything = ACLFilter(
        None,
        None,
        ACLOperation.ANY,
        ACLPermissionType.ANY,
        ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
    )
    try:
        rules = client.describe_acls(everything)
    except SecurityDisabledError:
        yield Finding(
            "access",
            "warning",
            "no authorizer enabled: anyone who reaches the brokers can read and write every topic",
            "Enable one in production (authorizer.class.name).",
        )
    except ClusterAuthorizationFailedError:
        yield Finding("access", "skipped", "authorizer enabled; this user is not allowed to list ACLs")
    except KafkaError as error:
        yield Finding("access", "warning", f"the ACLs could not be listed ({type(error).__name__})")
    else:
        found = rules[0] if isinstance(rules, tuple) else rules
        yield Finding("access", "ok", f"authorizer enabled with {len(found)} ACLs")


def _check_grants(configuration: Configuration, client: Any) -> Iterator[Finding]:
    """Compares the granted operations with all that paynotify needs; each process's own user needs only a part."""
    described = client.describe_topics(list(configuration.wanted_topics()))
    granted = {
        one["name"]: set(one.get("authorized_operations") or ()) for one in described if not one.get("error_code")
    }
    missing_grants = missing_operations(granted, configuration.kafka.topic(REQUESTED))
    for operation, refused in missing_grants.items():
        yield Finding(
            "access",
            "error",
            f"this user is not allowed to {operation} {_first_of(refused)}",
            "Grant it, unless another process with its own user does that.",
        )
    hidden = sorted(one["name"] for one in described if one.get("error_code") == TopicAuthorizationFailedError.errno)
    if hidden:
        yield Finding("access", "error", f"this user is not allowed to DESCRIBE {_first_of(hidden)}", "Grant it.")
    elif granted and all(granted.values()) and not missing_grants:
        requested = configuration.kafka.topic(REQUESTED)
        may_charge = "WRITE" in granted.get(requested, ())
        written = "read and write" if may_charge else f"read, and except {requested} write,"
        yield Finding("access", "ok", f"this user is allowed to {written} all {len(granted)} topics")


def missing_operations(granted: Mapping[str, Set[str]], requested: str) -> dict[str, list[str]]:
    """The operations that are not granted, each with its topics. Brokers without access rules report none at all.

    Whoever may write ``requested`` can charge customers: shops and operators, but no process of paynotify has to.
    """
    found = {}
    for operation in ("READ", "WRITE"):
        refused = sorted(
            name
            for name, operations in granted.items()
            if operations and operation not in operations and (operation, name) != ("WRITE", requested)
        )
        if refused:
            found[operation] = refused
    return found


def _first_of(names: Sequence[str]) -> str:
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]


_CLUSTER_CHECKS: Final[tuple[Callable[[Configuration, Any], Iterator[Finding]], ...]] = (
    lambda _, client: check_kind(client),
    _check_topics,
    check_disks,
    _check_access,
    check_brokers,
)
