"""``paynotify audit``: verifies from the topics, not from counters, that everything is accounted for.

It checks three guarantees (docs/reference/guarantees.md): each stored notification becomes a lookup, a duplicate, an
alert or a rejection; each lookup gets a response or a dead letter; and result events are gapless, repeat only with
identical content, and match ``payments.latest``.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from paynotify.ops.audit.report import MAX_SHOWN, AuditReport, print_report
from paynotify.ops.audit.scan import AuditScan
from paynotify.ops.common.committed import committed_offsets, stage_groups
from paynotify.ops.common.times import TIME_FORMS, parse_window
from paynotify.ops.common.topic_reader import TopicPartition, TopicReader
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import MissingTopicsError
from paynotify.schemas.providers import provider_names
from paynotify.schemas.times import rfc3339
from paynotify.service.cluster import admin, inspect_topics, missing

_EPILOG: Final = f"""\
Adds up, for each provider and by distinct id:

  notifications  stored = lookup + duplicate + rejected + alert + in work
  lookups        asked  = answered + dead + waiting (on a retry topic) + in work

"in work" is what the stages have not committed yet. docs/operations/audit.md explains the sums.

Times: {TIME_FORMS}.

examples:
  paynotify audit --since 24h
  paynotify audit --since 2026-11-23T00:00:00Z --until 2026-11-24T00:00:00Z --json

exit codes: 0 everything is accounted for, 1 differences (the first {MAX_SHOWN} are shown),
2 wrong use or configuration, 3 no Kafka broker is usable
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify audit``."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--since", required=True, metavar="TIME", help="only notifications received at or after this time"
    )
    parser.add_argument("--until", metavar="TIME", help="only notifications received before this time")


def run(arguments: argparse.Namespace) -> int:
    """Audit. Exit code 0 if everything is accounted for, 1 if there are differences.

    Raises:
        ConfigurationError: an option is wrong.
        MissingTopicsError: a topic does not exist.
        ClusterUnavailableError: the cluster is not reachable.
    """
    configuration = load(arguments.config)
    since, until = parse_window(arguments.since, arguments.until)
    assert since is not None
    report = audit(configuration, since, until)
    if arguments.json:
        print(orjson.dumps(asdict(report)).decode())
    else:
        print_report(report)
    return 1 if report.total else 0


def audit(configuration: Configuration, since: datetime, until: datetime | None = None) -> AuditReport:
    """Audit the notifications received in the window.

    A window that starts before the shortest retention is shortened to what the topics hold completely.
    """
    retention_seconds = [
        topic.retention_seconds
        for topic, _, _ in configuration.wanted_topics().values()
        if topic.retention_seconds is not None and not topic.compacted
    ]
    since = max(since, datetime.now(UTC) - timedelta(seconds=min(retention_seconds)))
    started = time.monotonic()
    report = AuditReport(rfc3339(since), rfc3339(until) if until else "")
    # a stage publishes before it commits: reading the commits before the topics' ends misses no output
    committed = _committed(configuration)
    with TopicReader(configuration) as reader:
        AuditScan(configuration, reader, committed, since, report).run()
    report.seconds = time.monotonic() - started
    return report


def _committed(configuration: Configuration) -> dict[TopicPartition, int]:
    """The committed offsets of the verify and fetch stages; 0 where a stage has committed nothing."""
    with admin(configuration) as client:
        present = inspect_topics(configuration, client)
        for name in missing(configuration, present):
            raise MissingTopicsError(f"The topic {name} does not exist. Create it with `paynotify topics apply`.")

        def partitions(*names: str) -> list[TopicPartition]:
            return [TopicPartition(name, number) for name in names for number in range(present[name].partitions)]

        groups: dict[str, list[TopicPartition]] = {}
        for provider in provider_names():
            groups |= stage_groups(configuration.kafka, provider, ("verify", "fetch"), partitions)
        return committed_offsets(client, groups)
