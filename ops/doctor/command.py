"""``paynotify doctor``: what is wrong around paynotify, each finding with what to do. Changes nothing."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
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

from ops.doctor.finding import Finding
from ops.doctor.providers import examine
from processors.providers.base import SECRET_FIELDS, account_of
from processors.providers.omnikassa.signature import signed
from schemas.configuration.merchants import Merchant, OmniKassaMerchant, provider_of
from schemas.configuration.model import Configuration, load
from schemas.configuration.secrets import Secret
from schemas.errors import ClusterUnavailableError, ConfigurationError, SecretError
from schemas.topics import PROVIDERS
from service.cluster import admin, differences, inspect_topics, missing

_HELP: Final = """
Looks at the configuration, every secret, the brokers, the topics (as `topics check`), access rules, and each provider:
connection and TLS, the clock beside the provider's, and credentials where asking is harmless.

  trustpayments  a TRANSACTIONQUERY about an order that doesn't exist; it reads only
  omnikassa      credentials are left out: asking is a token refresh, out of the merchant's budget; --recovery asks
  nevogate       credentials are left out: the gateway allows no Result without a call that caused it

Nothing is changed anywhere. Each line is ok, warning, error or skipped, with what to do.

examples:
  paynotify doctor --config paynotify.yaml
  paynotify doctor --offline --json        configuration and secrets only
  paynotify doctor --provider omnikassa    where no other provider's secrets are, such as a worker's pod of one provider

exit code: 0 no error, 1 at least one error, 2 wrong use
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``paynotify doctor``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _HELP
    parser.add_argument("--config", metavar="FILE", help="the configuration (or PAYNOTIFY_CONFIG)")
    parser.add_argument(
        "--provider",
        action="append",
        choices=PROVIDERS,
        default=[],
        help="of the providers, only this one and its merchants' secrets (repeatable)",
    )
    parser.add_argument("--recovery", action="store_true", help="also one OmniKassa token refresh per webshop")
    parser.add_argument("--offline", action="store_true", help="only configuration and secrets")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Examine. Exit code 1 if anything is an error; a configuration that can't be read is one too."""
    findings: list[Finding] = []
    for finding in _examine(arguments):
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


def _examine(arguments: argparse.Namespace) -> Iterator[Finding]:
    configuration = load(arguments.config)  # without one there is nothing to examine: exit code 2
    kinds = ", ".join(sorted(one.id for one in configuration.merchants))
    yield Finding("configuration", "ok", f"{len(configuration.merchants)} merchants: {kinds}")
    if configuration.sandbox:
        yield Finding(
            "configuration",
            "warning",
            "sandbox: true allows http and secrets in the file",
            "Take it out for production.",
        )
    asked_for = arguments.provider or PROVIDERS
    merchants = [one for one in configuration.merchants if provider_of(one) in asked_for]
    broken: set[str] = set()
    for merchant in merchants:
        for finding in _secrets(merchant):
            if finding.verdict == "error":
                broken.add(merchant.id)
            yield finding
    if arguments.offline:
        return
    yield from _cluster(configuration)
    for merchant in merchants:
        # an examination with a secret that can't be read would only repeat its error
        account = None if merchant.id in broken else account_of(merchant)
        yield from examine(merchant, account, configuration, recovery=arguments.recovery)


def _secrets(merchant: Merchant) -> Iterator[Finding]:
    where = f"secrets of {merchant.id}"
    readable, unreadable = 0, 0
    for name in SECRET_FIELDS:
        reference = getattr(merchant, name, None)
        if reference is None:
            continue
        for one in reference if isinstance(reference, tuple) else (reference,):
            try:
                Secret(one).reveal()
                readable += 1
            except SecretError as error:
                unreadable += 1
                yield Finding(where, "error", f"{name}: {error}")
    if not unreadable:
        yield Finding(where, "ok", f"{readable} readable")
    if isinstance(merchant, OmniKassaMerchant):
        yield from _signing_keys(merchant, where)


def _signing_keys(merchant: OmniKassaMerchant, where: str) -> Iterator[Finding]:
    try:
        signed("", "", account_of(merchant, {"signing_keys"}))
    except SecretError as error:
        if "base64" in str(error):
            yield Finding(where, "error", str(error))


def _cluster(configuration: Configuration) -> Iterator[Finding]:
    servers = configuration.kafka.bootstrap_servers
    try:
        with admin(configuration) as client:
            yield Finding("brokers", "ok", f"{len(client.describe_cluster()['brokers'])} at {servers}")
            for examine_one in _OF_CLUSTER:
                yield from examine_one(configuration, client)
    except (ClusterUnavailableError, ConfigurationError) as error:
        yield Finding("brokers", "error", str(error))


def _topics(configuration: Configuration, client: Any) -> Iterator[Finding]:
    present = inspect_topics(configuration, client)
    absent, different = missing(configuration, present), differences(configuration, present)
    if absent:
        yield Finding("topics", "error", f"{_first_of(absent)} missing", "Run `paynotify topics apply`.")
    for one in different:
        remedy = "Run `paynotify topics apply`." if one.mendable else "Set the configuration to what the topic has."
        yield Finding("topics", "warning" if one.mendable else "error", str(one), remedy)
    if not absent and not different:
        yield Finding("topics", "ok", f"{len(present)} as configured")
    for name, topic in sorted(present.items()):
        if topic.replication_factor == 1 and not configuration.sandbox:
            yield Finding(
                "topics",
                "warning",
                f"{name} has one replica only: a lost disk loses accepted notifications",
                "Set topics.replication_factor to 3 and move the topic.",
            )
            return


def _access(configuration: Configuration, client: Any) -> Iterator[Finding]:
    """What the configured user may do, by the brokers' own word, and whether anybody is kept from anything."""
    yield from _granted(configuration, client)
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
            "no authoriser: whoever reaches the brokers may read and write every topic",
            "Switch one on in production (authorizer.class.name).",
        )
    except ClusterAuthorizationFailedError:
        yield Finding("access", "skipped", "an authoriser is there; this user may not list its rules")
    except KafkaError as error:
        yield Finding("access", "warning", f"the access rules could not be listed ({type(error).__name__})")
    else:
        found = rules[0] if isinstance(rules, tuple) else rules
        yield Finding("access", "ok", f"an authoriser with {len(found)} rules")


def _granted(configuration: Configuration, client: Any) -> Iterator[Finding]:
    """Each process's user needs its own part of this; one that is used for all needs everything."""
    described = client.describe_topics(list(configuration.wanted_topics()))
    granted = {
        one["name"]: set(one.get("authorized_operations") or ()) for one in described if not one.get("error_code")
    }
    for operation in ("READ", "WRITE"):
        refused = sorted(name for name, operations in granted.items() if operations and operation not in operations)
        if refused:
            yield Finding(
                "access",
                "error",
                f"this user may not {operation} {_first_of(refused)}",
                "Grant it, unless another process does that under a user of its own.",
            )
    hidden = sorted(one["name"] for one in described if one.get("error_code") == TopicAuthorizationFailedError.errno)
    if hidden:
        yield Finding("access", "error", f"this user may not DESCRIBE {_first_of(hidden)}", "Grant it.")
    elif granted and all(operations >= {"READ", "WRITE"} for operations in granted.values()):
        yield Finding("access", "ok", f"this user may read and write all {len(granted)} topics")


def _first_of(names: Sequence[str]) -> str:
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]


_OF_CLUSTER: Final[tuple[Callable[[Configuration, Any], Iterator[Finding]], ...]] = (_topics, _access)
