"""``paynotify topics apply|check``: creates the configured topics or compares them; never deletes one."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from dataclasses import asdict
from typing import Any, Final

from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import InvalidReplicationFactorError

from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ClusterUnavailableError
from paynotify.service.cluster import (
    PresentTopic,
    TopicDifference,
    admin,
    differences,
    inspect_topics,
    missing,
    wanted_settings,
)
from paynotify.service.partition_sizes import largest_partitions

_SETTLE_SECONDS: Final = 10.0
_SETTLE_PAUSE_SECONDS: Final = 0.1

_KEPT: Final = """\
A partition has more than its retention.bytes would be, and its oldest records would be deleted at once. Give the topic
more retention_bytes in topics.overrides, or let them be deleted with --delete-oldest."""

_EPILOG: Final = """\
`apply` creates missing topics and changes settings that can be changed without loss. No topic is deleted, no record
unless by --delete-oldest, and the number of partitions is never changed.

examples:
  paynotify topics check --config paynotify.yaml
  paynotify topics apply --config paynotify.yaml

exit codes: 0 the topics are as configured, 1 differences remain, 2 wrong use or configuration,
3 no Kafka broker is usable
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify topics``."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--delete-oldest",
        action="store_true",
        help="set retention.bytes also where a partition has more already, so that its oldest records are deleted",
    )
    parser.add_argument(
        "action", choices=("apply", "check"), help="create missing topics and adjust settings, or only compare"
    )


def run(arguments: argparse.Namespace) -> int:
    """Apply or check. Exit code 0 if the topics are as configured, 1 if differences remain.

    Raises:
        ConfigurationError: the configuration is wrong.
        ClusterUnavailableError: the cluster is not reachable.
    """
    configuration = load(arguments.config)
    with admin(configuration) as client:
        present = inspect_topics(configuration, client)
        created: list[str] = []
        changed: list[TopicDifference] = []
        kept: list[TopicDifference] = []
        if arguments.action == "apply":
            created = _create(configuration, client, missing(configuration, present))
            adjustable = [one for one in differences(configuration, present) if one.fixable]
            kept = [] if arguments.delete_oldest else deleting(client, adjustable)
            changed = _adjust(client, [one for one in adjustable if one not in kept])
            present = _settled(configuration, client, kept)
    absent, different = missing(configuration, present), differences(configuration, present)
    if arguments.json:
        report = {
            "created": created,
            "changed": [asdict(one) for one in changed],
            "missing": absent,
            "different": [asdict(one) for one in different],
        }
        print(json.dumps(report))
    else:
        _print(configuration, created, changed, absent, different)
        if kept:
            print(_KEPT, file=sys.stderr)
    return 1 if absent or different else 0


def deleting(client: Any, changes: list[TopicDifference]) -> list[TopicDifference]:
    """The changes that would delete records at once: bounds below what a partition has. None if no size can be seen."""
    bounds = [one for one in changes if one.what == "retention.bytes" and int(one.wanted) > 0]
    sizes = largest_partitions(client, [one.topic for one in bounds]) if bounds else {}
    return [one for one in bounds if sizes.get(one.topic, 0) > int(one.wanted)]


def _settled(configuration: Configuration, client: Any, kept: list[TopicDifference]) -> dict[str, PresentTopic]:
    """The topics, once the brokers' metadata shows what was created and changed, or after 10 seconds."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        present = inspect_topics(configuration, client)
        left = [one for one in differences(configuration, present) if one.fixable and one not in kept]
        unsettled = missing(configuration, present) or left
        if not unsettled or time.monotonic() >= deadline:
            return present
        time.sleep(_SETTLE_PAUSE_SECONDS)


def _create(configuration: Configuration, client: Any, names: list[str]) -> list[str]:
    if not names:
        return []
    wanted, settings = configuration.wanted_topics(), wanted_settings(configuration)
    topics = {
        name: {"num_partitions": wanted[name][1], "replication_factor": wanted[name][2], "configs": settings[name]}
        for name in names
    }
    try:
        client.create_topics(topics, wait_for_metadata=True)
    except InvalidReplicationFactorError:
        most = max(wanted[name][2] for name in names)
        # the topics job of the chart tries again after this error: a broker may be restarting
        raise ClusterUnavailableError(
            f"topics.replication_factor must be at most the number of brokers that are up, got {most}. Start the "
            "missing brokers. With a single broker, for a trial, set topics: {replication_factor: 1}."
        ) from None
    return names


def _adjust(client: Any, changes: list[TopicDifference]) -> list[TopicDifference]:
    by_topic: dict[str, dict[str, str]] = defaultdict(dict)
    for change in changes:
        by_topic[change.topic][change.what] = change.wanted
    if by_topic:
        client.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name, settings) for name, settings in by_topic.items()],
            incremental=True,
        )
    return changes


def _print(
    configuration: Configuration,
    created: list[str],
    changed: list[TopicDifference],
    absent: list[str],
    different: list[TopicDifference],
) -> None:
    for name in created:
        print(f"created {name}")
    for one in changed:
        print(f"changed {one}")
    for name in absent:
        print(f"missing {name}")
    for one in different:
        print(f"differs {one}")
    total = len(configuration.wanted_topics())
    print(
        f"{total - len(absent)} of {total} topics present, {len(created)} created, {len(changed)} settings changed, "
        f"{len(different)} differences left"
    )
