"""``paynotify schemas register``: registers the JSON Schemas of the topics' values in a schema registry."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, get_args

import orjson

from paynotify.ops.common.terminal import print_table
from paynotify.ops.schemas.registry import Compatibility, RegistryAccess, SchemaRegistry
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.generate.json_schema import carries, schema_of

#: What the registry's own setting is left at.
KEEP: Final = "KEEP"

_EPILOG: Final = f"""\
Registers each topic's schema under the subject TOPIC-value. Run it again after an upgrade: what is registered already
stays as it is. --compatibility is set for each subject, FORWARD by default: consumers of an earlier release can read
what a later one writes, as fields are only added. BACKWARD, most registries' own default, refuses an added field.
{KEEP} leaves the registry's setting alone.

The ids that it prints are for kafka.events.schema_ids, which writes them into the records' headers.

examples:
  paynotify schemas register --registry https://registry.example.com --dry-run
  paynotify schemas register --registry https://registry.example.com --user erp --password-file /run/secrets/registry
  paynotify schemas register --registry https://apicurio.example.com/apis/ccompat/v7 --ca ca.pem --json

exit codes: 0 every schema is registered, or with --dry-run could be; 1 with --dry-run: the registry would refuse one;
2 wrong use or configuration, or refused by the registry; 3 the registry does not answer
"""


@dataclass(frozen=True, slots=True)
class SubjectResult:
    """What became, or would become, of one subject. ``compatibility`` is its setting afterwards, if that is known."""

    subject: str
    message: str
    state: str
    id: int | None
    guid: str | None
    compatibility: str | None


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify schemas``."""
    parser.epilog = _EPILOG
    parser.add_argument("action", choices=("register",), help="register the schemas of the topics' values")
    parser.add_argument(
        "--registry", required=True, metavar="URL", help="root of the registry's Confluent-compatible API"
    )
    parser.add_argument(
        "--compatibility",
        choices=(*get_args(Compatibility), KEEP),
        default="FORWARD",
        metavar="LEVEL",
        help=f"{', '.join(get_args(Compatibility))} or {KEEP} (default: FORWARD)",
    )
    parser.add_argument("--user", metavar="NAME", help="user for basic authentication")
    parser.add_argument("--password-file", metavar="FILE", help="file with the user's password")
    parser.add_argument("--token-file", metavar="FILE", help="file with a bearer token")
    parser.add_argument("--ca", metavar="FILE", help="PEM file of the authorities to trust (default: the system's)")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be registered")


def run(arguments: argparse.Namespace) -> int:
    """Register the schemas. Exit code 1 if a dry run finds one that the registry would refuse.

    Raises:
        ConfigurationError: an option is wrong, or the registry refuses a call or a schema.
        ClusterUnavailableError: the registry does not answer.
    """
    configuration = load(arguments.config)
    level: Compatibility | None = None if arguments.compatibility == KEEP else arguments.compatibility
    with SchemaRegistry(_access(arguments)) as registry:
        results = [
            (_planned if arguments.dry_run else _registered)(registry, subject, message, schema, level)
            for subject, message, schema in subjects(configuration.kafka)
        ]
    if arguments.json:
        report = {"subjects": [asdict(one) for one in results], "schema_ids": schema_ids(results)}
        print(orjson.dumps(report).decode())
    else:
        _print(results)
    return 1 if any(one.state == "incompatible" for one in results) else 0


def subjects(kafka: KafkaSettings) -> Iterator[tuple[str, str, str]]:
    """Each topic's subject, with its message's name and schema."""
    for topic, kind in sorted(carries().items()):
        schema = orjson.dumps(schema_of(kind), option=orjson.OPT_SORT_KEYS).decode()
        yield f"{kafka.topic(topic)}-value", kind.__name__, schema


def schema_ids(results: Sequence[SubjectResult]) -> dict[str, str]:
    """The ids by message, for ``kafka.events.schema_ids``: the GUID where the registry gives one, else the number."""
    return {one.message: one.guid or str(one.id) for one in results if one.id is not None}


def _access(arguments: argparse.Namespace) -> RegistryAccess:
    if (arguments.user is None) != (arguments.password_file is None):
        raise ConfigurationError("--user and --password-file must be given together.")
    if arguments.user is not None and arguments.token_file is not None:
        raise ConfigurationError("Only one of --user and --token-file may be given.")
    return RegistryAccess(
        arguments.registry,
        arguments.user,
        _secret(arguments.password_file),
        _secret(arguments.token_file),
        arguments.ca,
    )


def _secret(file: str | None) -> SecretRef | None:
    return None if file is None else SecretRef(file=file)


def _planned(
    registry: SchemaRegistry, subject: str, message: str, schema: str, level: Compatibility | None
) -> SubjectResult:
    found, known = registry.find(subject, schema)
    if found is not None:
        state = "registered"
    else:
        state = "new" if not known else "changed" if registry.compatible(subject, schema) else "incompatible"
    known_level = registry.compatibility(subject) if known else None
    number, guid = (found.id, found.guid) if found is not None else (None, None)
    return SubjectResult(subject, message, state, number, guid, level or known_level)


def _registered(
    registry: SchemaRegistry, subject: str, message: str, schema: str, level: Compatibility | None
) -> SubjectResult:
    found, known = registry.find(subject, schema)
    if known:
        level_now = _set_level(registry, subject, level)
        one = found or registry.register(subject, schema)
    else:
        # some registries know no settings of a subject before its first version, which is compatible with any
        one = registry.register(subject, schema)
        level_now = _set_level(registry, subject, level)
    state = "registered" if found else "changed" if known else "new"
    return SubjectResult(subject, message, state, one.id, one.guid, level_now)


def _set_level(registry: SchemaRegistry, subject: str, level: Compatibility | None) -> str | None:
    now = registry.compatibility(subject)
    if level is None or now == level:
        return now
    registry.set_compatibility(subject, level)
    return level


def _print(results: Sequence[SubjectResult]) -> None:
    rows: list[tuple[Any, ...]] = [
        (one.subject, one.message, one.state, one.guid or str(one.id or ""), one.compatibility or "") for one in results
    ]
    print_table(rows, header=("subject", "message", "state", "id", "compatibility"))
