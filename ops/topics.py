"""``paynotify topics apply|check``: the topics of the configuration, created and compared, never deleted."""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from dataclasses import asdict
from typing import Any, Final

from kafka.admin import ConfigResource, ConfigResourceType

from schemas.configuration.model import Configuration, load
from service.cluster import (
    PresentTopic,
    TopicDifference,
    admin,
    differences,
    inspect_topics,
    missing,
    wanted_settings,
)

_SETTLE_SECONDS: Final = 10.0
_SETTLE_PAUSE_SECONDS: Final = 0.1


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("apply", "check"), help="create and adjust, or only compare")
    parser.add_argument("--config", metavar="FILE", help="the configuration (or PAYNOTIFY_CONFIG)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0: the topics are as wanted. 1: they differ in what can't or may not be changed here."""
    configuration = load(arguments.config)
    with admin(configuration) as client:
        present = inspect_topics(configuration, client)
        created: list[str] = []
        changed: list[TopicDifference] = []
        if arguments.action == "apply":
            created = _create(configuration, client, missing(configuration, present))
            changed = _adjust(client, [one for one in differences(configuration, present) if one.mendable])
            present = _settled(configuration, client)
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
    return 1 if absent or different else 0


def _settled(configuration: Configuration, client: Any) -> dict[str, PresentTopic]:
    """The topics once the brokers tell of what was created and changed, which may take them a moment."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        present = inspect_topics(configuration, client)
        waits = missing(configuration, present) or any(one.mendable for one in differences(configuration, present))
        if not waits or time.monotonic() >= deadline:
            return present
        time.sleep(_SETTLE_PAUSE_SECONDS)


def _create(configuration: Configuration, client: Any, names: list[str]) -> list[str]:
    if not names:
        return []
    wanted, settings = configuration.wanted_topics(), wanted_settings(configuration)
    client.create_topics(
        {
            name: {
                "num_partitions": wanted[name][1],
                "replication_factor": wanted[name][2],
                "configs": settings[name],
            }
            for name in names
        },
        wait_for_metadata=True,
    )
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
