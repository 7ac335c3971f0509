"""``paynotify replay``: re-publishes rejected and dead-lettered records to their original topics.

Id, key and bytes stay the same, so the stages treat a replay as a repeat: verify knows the notification's id, its
lookup gets the same derived id, and resolve publishes only what changes a payment. A replayed record has the header
``replayed-from`` with its position on the rejected or dead-letter topic. The target topics therefore record what was
replayed, and an interrupted replay can be started again.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from paynotify.ops.common.action_log import ActionLog, intention, recorded_arguments
from paynotify.ops.common.arguments import number_between
from paynotify.ops.common.merchants import find_merchant
from paynotify.ops.common.operator import Operator, add_operator_options, operator_of
from paynotify.ops.common.progress_bar import ProgressBar
from paynotify.ops.common.terminal import print_table
from paynotify.ops.common.times import TIME_FORMS, parse_window
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.replay.kinds import KINDS, checked_reasons, sources_of
from paynotify.ops.replay.original import replay_targets
from paynotify.ops.replay.plan import ReplayPlan, ReplaySelection, find, leave_out_replayed
from paynotify.ops.replay.sending import ReplayCounts, counted, first_records, send
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.messages import OperatorAction
from paynotify.schemas.providers import provider_names
from paynotify.schemas.reasons import DEAD_REASONS, DELIVERY_REASONS, REJECT_REASONS
from paynotify.schemas.records import Record

_SELECTED: Final = ("kind", "reason", "merchant", "provider", "subscription", "key")
_RECORDED: Final = (*_SELECTED, "since", "until", "again", "per_second")

_EPILOG: Final = f"""\
Nothing is sent without --yes. Of several records with one id only the newest is sent. Requests that move money are
never replayed. docs/operations/replay.md describes what a replay changes.

Times: {TIME_FORMS}.

examples:
  paynotify replay --reason bad_signature --merchant shop-uk          list the records, after a key was corrected
  paynotify replay --reason bad_signature --merchant shop-uk --yes    send them
  paynotify replay dead --provider nevogate --since 24h --yes         everything of yesterday's outage
  paynotify replay dead --key shop-uk/57-9-2204417 --yes              one transaction
  paynotify replay deliveries --subscription erp --yes                what a subscriber did not take

exit codes: 0 done, 1 some records were not sent (their original topic is not one of paynotify's),
2 wrong use or configuration, 3 no Kafka broker is usable
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify replay``."""
    parser.epilog = _EPILOG
    reasons = sorted({*REJECT_REASONS, *DEAD_REASONS, *DELIVERY_REASONS})
    parser.add_argument(
        "kind",
        nargs="?",
        choices=KINDS,
        default="all",
        help="rejected notifications; dead-lettered lookups and responses; dead-lettered deliveries to subscribers; "
        "all: the first two (default: all)",
    )
    parser.add_argument(
        "--reason",
        action="append",
        default=[],
        choices=reasons,
        metavar="REASON",
        help=f"only records with this reason (repeatable): {', '.join(reasons)}",
    )
    parser.add_argument(
        "--merchant", action="append", default=[], metavar="ID", help="only this merchant's records (repeatable)"
    )
    parser.add_argument(
        "--provider",
        action="append",
        default=[],
        choices=provider_names(),
        help="only this provider's records (repeatable)",
    )
    parser.add_argument(
        "--key", action="append", default=[], metavar="KEY", help="only records with this key (repeatable)"
    )
    parser.add_argument(
        "--subscription",
        action="append",
        default=[],
        metavar="ID",
        help="only deliveries of this subscription (repeatable)",
    )
    parser.add_argument("--since", metavar="TIME", help="only records rejected or dead-lettered at or after this time")
    parser.add_argument("--until", metavar="TIME", help="only records rejected or dead-lettered before this time")
    parser.add_argument("--again", action="store_true", help="include records that were replayed before")
    parser.add_argument(
        "--per-second",
        type=number_between(0, 1_000_000, above_minimum=True),
        default=100.0,
        metavar="N",
        help="send at most this many records per second (default: 100)",
    )
    add_operator_options(parser, "--why")  # ``--reason`` selects records here
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--dry-run", action="store_true", help="only print what would be sent (default)")
    group.add_argument("--yes", "--execute", action="store_true", dest="yes", help="send the records")


def run(arguments: argparse.Namespace) -> int:
    """Plan the replay, and with ``--yes`` send the records. Exit code 1 if a record has an unknown original topic.

    Raises:
        ConfigurationError: an option is wrong.
        ClusterUnavailableError: the cluster is not reachable, or did not acknowledge a record.
    """
    configuration = load(arguments.config)
    selection = _selection(arguments, configuration)
    operator = operator_of(arguments.by, arguments.why)
    since, until = parse_window(arguments.since, arguments.until)
    with TopicReader(configuration) as reader:
        plan = find(reader, configuration.kafka, sources_of(arguments.kind), selection, since, until)
        if not arguments.again:
            leave_out_replayed(reader, plan)
        counts: ReplayCounts = Counter()
        records = counted(plan.records(reader), counts, replay_targets(configuration.kafka))
        listed, sent = [], 0
        if arguments.yes and plan.selected:
            with ActionLog(configuration.kafka, _intention(arguments, configuration, operator, plan)) as log:
                _send(configuration, records, log, len(plan.selected), arguments.per_second)
            sent = log.published
        elif not arguments.yes:
            listed = first_records(records)
    report = _report(plan, counts, listed, sent, dry_run=not arguments.yes)
    if arguments.json:
        print(orjson.dumps(report).decode())
    else:
        _print(report)
    return 1 if plan.unknown_targets else 0


def _selection(arguments: argparse.Namespace, configuration: Configuration) -> ReplaySelection:
    for merchant_id in arguments.merchant:
        find_merchant(configuration, merchant_id)
    return ReplaySelection(
        reasons=checked_reasons(arguments.kind, arguments.reason),
        merchants=frozenset(arguments.merchant),
        providers=frozenset(arguments.provider),
        keys=frozenset(one.encode() for one in arguments.key),
        subscriptions=frozenset(arguments.subscription),
    )


def _intention(
    arguments: argparse.Namespace, configuration: Configuration, operator: Operator, plan: ReplayPlan
) -> OperatorAction:
    merchant = arguments.merchant[0] if len(arguments.merchant) == 1 else None
    key_merchant, _, payment = arguments.key[0].partition("/") if len(arguments.key) == 1 else ("", "", "")
    return intention(
        "replay",
        operator,
        configuration.kafka,
        recorded_arguments(arguments, _RECORDED),
        merchant=key_merchant or merchant,
        payment_id=payment or None,
        planned=len(plan.selected),
    )


def _send(
    configuration: Configuration, records: Iterator[Record], log: ActionLog, total: int, per_second: float
) -> None:
    with ProgressBar("replaying", total) as bar:

        def sent() -> None:
            log.count()
            bar.advance(1)

        send(records, configuration, per_second, sent)


def _report(
    plan: ReplayPlan, counts: ReplayCounts, listed: list[dict[str, Any]], sent: int, *, dry_run: bool
) -> dict[str, Any]:
    return {
        "sent": sent,
        "matched": len(plan.selected),
        "dry_run": dry_run,
        "by": [
            {"provider": provider, "reason": reason, "to": target, "records": count}
            for (provider, reason, target), count in sorted(counts.items())
        ],
        "left_out": dict(plan.left_out),
        "foreign_targets": dict(plan.unknown_targets),
        "first": listed,
    }


def _print(report: Mapping[str, Any]) -> None:
    listed = report["first"]
    print_table(
        ((one["first_seen"], one["reason"], one["key"], one["from"], one["to"]) for one in listed),
        header=("first seen", "reason", "key", "from", "to"),
    )
    if report["matched"] > len(listed) and listed:
        print(f"... and {report['matched'] - len(listed)} more")
    rows = [(str(one["records"]), f"{one['provider']} {one['reason']} -> {one['to']}") for one in report["by"]]
    rows += [(str(count), f"left out: {cause}") for cause, count in report["left_out"].items()]
    print_table(rows, right_aligned=1)
    unknown = [
        (str(count), f"not sent: the original topic {target!r} is not one of paynotify's")
        for target, count in report["foreign_targets"].items()
    ]
    print_table(unknown, right_aligned=1, stream=sys.stderr)
    matched = report["matched"]
    print(f"{matched} would be sent; --yes sends them" if report["dry_run"] else f"{report['sent']} sent")
