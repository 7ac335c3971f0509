"""``paynotify trace MERCHANT/PAYMENT``: shows everything known about one payment, in order."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson

from paynotify.ops.common.arguments import add_json_option
from paynotify.ops.common.merchants import find_merchant
from paynotify.ops.common.terminal import print_table, printable
from paynotify.ops.common.times import TIME_FORMS, parse_time_option
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.trace.html import page
from paynotify.ops.trace.reading import read_timeline
from paynotify.ops.trace.search import payments_of_order
from paynotify.ops.trace.timeline import Timeline, TimelineEntry
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.merchants import Merchant
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError

_MAX_PAYMENTS: Final = 20
_MAX_ID_LENGTH: Final = 250

_EPILOG: Final = f"""\
Shows notifications, lookups, retries, responses, observations, status events and refused transitions with their
positions, and the order's expected payment, overdue reports and requests. Bodies, tokens, card data and personal data
are never shown. docs/operations/trace.md describes what is searched.

Times: {TIME_FORMS}.

examples:
  paynotify trace shop-uk/57-9-2204417
  paynotify trace --merchant shop-uk --order ORD-2024-000481 --json
  paynotify trace shop-hu/6a5e3c4fb0d14bd6a7b0f1c2d3e4f506 --html payment.html

exit codes: 0 records were found, 1 no records were found, 2 wrong use or configuration,
3 no Kafka broker is usable
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify trace``."""
    parser.epilog = _EPILOG
    parser.add_argument("payment", nargs="?", metavar="MERCHANT/PAYMENT", help="payment's key on the result topic")
    parser.add_argument("--merchant", metavar="ID", help="with --order: the order's merchant")
    parser.add_argument("--order", metavar="ID", help="show every payment of this order")
    parser.add_argument(
        "--since", metavar="TIME", help="start the search here (default: one hour before the payment's first event)"
    )
    output = parser.add_mutually_exclusive_group()
    add_json_option(output)
    output.add_argument("--html", metavar="FILE", help="write an HTML page with a timeline to this file")


def run(arguments: argparse.Namespace) -> int:
    """Show the payment's timeline, or one for each payment of the order. Exit code 1 if no records were found.

    Raises:
        ConfigurationError: an option is wrong, or the HTML file cannot be written.
        ClusterUnavailableError: the cluster is not reachable.
    """
    configuration = load(arguments.config)
    merchant, payment = _target(arguments, configuration)
    since = parse_time_option("--since", arguments.since)
    since_seconds = since.timestamp() if since is not None else None
    with TopicReader(configuration) as reader:
        payments = [payment]
        if arguments.order is not None:
            payments = payments_of_order(reader, configuration, merchant.id, arguments.order, since_seconds)
        timelines = [
            read_timeline(reader, configuration, merchant, one, since_seconds, arguments.order)
            for one in payments[:_MAX_PAYMENTS] or [""]
        ]
    _show(timelines, arguments)
    return 0 if any(one.entries for one in timelines) else 1


def _target(arguments: argparse.Namespace, configuration: Configuration) -> tuple[Merchant, str]:
    """The merchant and the payment's id, which is empty with ``--order``."""
    merchant_id, slash, payment = (arguments.payment or "").partition("/")
    if arguments.order is not None:
        if arguments.payment or not arguments.merchant or not arguments.order:
            raise ConfigurationError("--order must be given with --merchant, and without MERCHANT/PAYMENT.")
        merchant_id, payment = arguments.merchant, ""
    elif not slash or not merchant_id or not payment or arguments.merchant or len(payment) > _MAX_ID_LENGTH:
        raise ConfigurationError("The payment must be named as MERCHANT/PAYMENT, or by --merchant ID --order ID.")
    return find_merchant(configuration, merchant_id), payment


def _show(timelines: list[Timeline], arguments: argparse.Namespace) -> None:
    if arguments.html:
        try:
            Path(arguments.html).write_text(page(timelines), "utf-8")
        except OSError as error:
            raise ConfigurationError(f"The page {arguments.html} cannot be written: {error.strerror}.") from None
        print(f"{sum(len(one.entries) for one in timelines)} entries written to {arguments.html}")
    elif arguments.json:
        print(orjson.dumps({"payments": [asdict(one) for one in timelines]}).decode())
    else:
        for timeline in timelines:
            _print(timeline)
    if not any(one.entries for one in timelines):
        print("No records were found. Check the id, or search from an earlier time with --since.", file=sys.stderr)


def _print(timeline: Timeline) -> None:
    order = f", order {printable(timeline.order_id)}" if timeline.order_id else ""
    print(f"{printable(timeline.name)} at {timeline.provider}: {timeline.status or 'no status'}{order}")
    if timeline.searched_from:
        print(f"searched from {timeline.searched_from}")
    print_table(map(_row, timeline.entries))
    for note in timeline.notes:
        print(note)
    print()


def _row(entry: TimelineEntry) -> tuple[str, ...]:
    position = f"{entry.topic}/{entry.partition}/{entry.offset}"
    return entry.at, entry.kind, entry.what, position, _details_text(entry.details)


def _details_text(details: dict[str, Any]) -> str:
    """The details a person needs most; the JSON output has all of them."""
    shown = {name: details[name] for name in ("attempts", "bytes", "reason", "provider_status") if details.get(name)}
    if details.get("sha256"):
        shown["sha256"] = details["sha256"][:12]
    return " ".join(f"{name}={value}" for name, value in shown.items())
