"""``paynotify reconcile``: compares a period's payments with the provider's list or with a shop's export."""

from __future__ import annotations

import argparse
from typing import Final

from paynotify.ops.common.action_log import ActionLog, intention, recorded_arguments
from paynotify.ops.common.arguments import integer_between, number_between
from paynotify.ops.common.merchants import find_merchant
from paynotify.ops.common.operator import add_operator_options, operator_of
from paynotify.ops.common.progress_bar import ProgressBar
from paynotify.ops.common.times import TIME_FORMS
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.reconcile.compare import PaymentEntry, Period
from paynotify.ops.reconcile.csv_export import COLUMNS, read_export
from paynotify.ops.reconcile.kept_report import keep, kept_report
from paynotify.ops.reconcile.options import DEFAULT_SLACK, parse_period
from paynotify.ops.reconcile.planning import compared, lister_of, repair_of
from paynotify.ops.reconcile.repair import RepairPlan, queue
from paynotify.ops.reconcile.report import PRINTERS, ReconcileReport, report_of
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.merchants import Merchant, provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError

_RECORDED: Final = ("start", "end", "export", "slack", "rate")
_MAX_RATE: Final = 1000
_MAX_LIMIT: Final = 1_000_000

_EPILOG: Final = f"""\
Compares payments.latest with the provider's list of payments, or with the shop's CSV export (--export; required for
providers that have no list). Kinds of differences:

  missing_here   they have the payment, paynotify does not     other_status   the statuses differ
  missing_there  paynotify has the payment, they do not        other_amount   the amounts or currencies differ

Columns of the export: {", ".join(COLUMNS)}.
--repair lists the lookups that can repair the differences; with --yes it queues them. docs/operations/reconcile.md
describes the comparison, the export and each provider's rules for lookups.

The report of a finished run is kept on the topic reconciliations, where `paynotify console` shows it. If it can't be
written there, a warning says so and the exit code stays.

Times: {TIME_FORMS}.

examples:
  paynotify reconcile --merchant shop-uk --from 2026-11-22T00:00:00Z --to 2026-11-23T00:00:00Z
  paynotify reconcile --merchant shop-nl --from 7d --export november.csv --format csv >differences.csv
  paynotify reconcile --merchant shop-uk --from 24h --repair --yes

exit codes: 0 no differences, 1 differences or records of the list that cannot be read, 2 wrong use or configuration, or
nothing could be compared, 3 no Kafka broker is usable
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify reconcile``."""
    parser.epilog = _EPILOG
    parser.add_argument("--merchant", required=True, metavar="ID", help="merchant whose payments to compare")
    parser.add_argument("--from", required=True, metavar="TIME", dest="start", help="start of the period")
    parser.add_argument("--to", metavar="TIME", dest="end", help="end of the period, exclusive (default: now)")
    parser.add_argument("--export", metavar="FILE", help="compare with this CSV export of the shop")
    parser.add_argument(
        "--slack",
        default=DEFAULT_SLACK,
        metavar="DURATION",
        help="how far the times of the two sides may differ (default: %(default)s)",
    )
    parser.add_argument(
        "--format", choices=("table", "csv", "json"), default="table", help="output format (default: table)"
    )
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="same as --format json")
    parser.add_argument(
        "--limit",
        type=integer_between(1, _MAX_LIMIT),
        default=100,
        metavar="N",
        help="print at most this many differences (default: 100)",
    )
    parser.add_argument(
        "--no-report",
        action="store_false",
        dest="keep_report",
        help="do not keep the report on the topic reconciliations, to which this user then need not write",
    )
    parser.add_argument("--repair", action="store_true", help="list the lookups that can repair the differences")
    parser.add_argument("--mend", dest="repair", action="store_true", help=argparse.SUPPRESS)  # its earlier name
    add_operator_options(parser)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--dry-run", action="store_true", help="with --repair: only list the lookups (default)")
    group.add_argument("--yes", action="store_true", help="with --repair: queue the lookups")
    parser.add_argument(
        "--rate",
        type=number_between(0, _MAX_RATE, above_minimum=True),
        default=5.0,
        metavar="N",
        help="send at most this many queries, and queue at most this many lookups, per second (default: 5)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Compare, and with ``--repair --yes`` queue lookups. Exit code 1 if there are differences, or records of
    the list that can't be read.

    Raises:
        ConfigurationError: an option or the export is wrong, or the provider's list cannot be read.
        ClusterUnavailableError: the cluster is not reachable, or did not acknowledge a lookup.
    """
    configuration = load(arguments.config)
    operator = operator_of(arguments.by, arguments.why)  # wrong names are refused before anything is compared
    merchant = _merchant(arguments, configuration)
    period = parse_period(arguments.start, arguments.end, arguments.slack)
    exported = read_export(arguments.export) if arguments.export is not None else None
    with TopicReader(configuration) as reader:
        report = _report(reader, configuration, merchant, period, exported, arguments)
        PRINTERS[arguments.format](report, arguments.limit)
        if arguments.keep_report:
            keep(kept_report(report, operator, configuration.kafka.sasl_plain_username), configuration.kafka, reader)
    return 1 if report.differences or report.unreadable else 0


def _merchant(arguments: argparse.Namespace, configuration: Configuration) -> Merchant:
    if arguments.yes and not arguments.repair:
        raise ConfigurationError("--yes must be given with --repair; without it nothing is queued.")
    merchant = find_merchant(configuration, arguments.merchant)
    if arguments.export is None and lister_of(merchant) is None:
        raise ConfigurationError(
            f"--export must be given for merchants of {provider_of(merchant)}, which has no list of payments. "
            f"The shop's CSV file has the columns {', '.join(COLUMNS)}."
        )
    return merchant


def _report(
    reader: TopicReader,
    configuration: Configuration,
    merchant: Merchant,
    period: Period,
    exported: list[PaymentEntry] | None,
    arguments: argparse.Namespace,
) -> ReconcileReport:
    found = compared(reader, configuration, merchant, period, exported, arguments.rate)
    plan, sent, action_id = None, None, None
    if arguments.repair:
        plan = repair_of(found, reader, configuration)
        if arguments.yes:
            sent, action_id = _queue(plan, configuration, merchant, arguments, len(found.differences))
    return report_of(found, plan, sent, action_id)


def _queue(
    plan: RepairPlan,
    configuration: Configuration,
    merchant: Merchant,
    arguments: argparse.Namespace,
    differences: int,
) -> tuple[int, str | None]:
    """The number of lookups queued, and the id of the action that is recorded of it."""
    if not plan.lookups:
        return 0, None
    intended = intention(
        "reconcile",
        operator_of(arguments.by, arguments.why),
        configuration.kafka,
        recorded_arguments(arguments, _RECORDED),
        merchant=merchant.id,
        planned=len(plan.lookups),
    )
    with ActionLog(configuration.kafka, intended) as log:
        log.result = {"differences": str(differences)}
        with ProgressBar("queueing lookups", len(plan.lookups)) as bar:

            def sent() -> None:
                log.count()
                bar.advance(1)

            queue(plan, configuration.kafka, arguments.rate, sent)
    return log.published, intended.action_id
