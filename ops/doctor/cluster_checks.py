"""What ``paynotify doctor`` checks at the brokers: themselves, the topics, and what they allow this user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any, Final

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
from paynotify.ops.doctor.floods import check_disks
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError
from paynotify.schemas.topics import REQUESTED
from paynotify.service.cluster import admin, differences, inspect_topics, missing


def check_cluster(configuration: Configuration, *, as_worker: bool) -> Iterator[Finding]:
    """Every check. What only the workers' user can tell is left out for others: whether it may write, and the brokers'
    clock, which is asked by writing."""
    servers = configuration.kafka.bootstrap_servers
    try:
        with admin(configuration) as client:
            yield Finding("brokers", "ok", f"{len(client.describe_cluster()['brokers'])} at {servers}")
            for check in (*_READING, *(_WRITING if as_worker else ())):
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
    """Whether the brokers enforce access control at all."""
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


_Check = Callable[[Configuration, Any], Iterator[Finding]]
_READING: Final[tuple[_Check, ...]] = (lambda _, client: check_kind(client), _check_topics, check_disks, _check_access)
_WRITING: Final[tuple[_Check, ...]] = (_check_grants, check_brokers)
