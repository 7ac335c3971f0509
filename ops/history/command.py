"""``paynotify history``: shows what operators did: who, when, why, with which arguments, and how it ended."""

from __future__ import annotations

import argparse
from typing import Any, Final

import orjson

from paynotify.ops.common.arguments import integer_between
from paynotify.ops.common.merchants import find_merchant
from paynotify.ops.common.terminal import print_table
from paynotify.ops.common.times import TIME_FORMS, parse_window
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.history.actions import HistoryEntry, HistoryFilter, read_history
from paynotify.ops.history.entry_row import ENTRY_HEADER, UNENDED, entry_row
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.ids import MAX_ID_LENGTH
from paynotify.schemas.messages import OPERATOR_COMMANDS, encode

_MAX_LIMIT: Final = 1_000_000

_EPILOG: Final = f"""\
Reads the topic operators.actions, on which replay, correct, charge, capture, release, reconcile --repair, forget and
subscriptions record what they are about to do, before they do it, and how it ended. "{UNENDED}" means that the command
is still running or was killed. docs/operations/history.md describes the records.

Times: {TIME_FORMS}.

examples:
  paynotify history --since 24h                               what was done yesterday and today
  paynotify history --by anna --command replay --command correct
  paynotify history --payment shop-uk/57-9-2204417 --json     everything that was done to one payment

exit codes: 0 some action was found, 1 none was, 2 wrong use or configuration, 3 no Kafka broker is usable
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify history``."""
    parser.epilog = _EPILOG
    parser.add_argument("--since", metavar="TIME", help="only actions that began at or after this time")
    parser.add_argument("--until", metavar="TIME", help="only actions that began before this time")
    parser.add_argument(
        "--by", action="append", default=[], metavar="USER", help="only what this user did (repeatable)"
    )
    parser.add_argument(
        "--command",
        action="append",
        default=[],
        choices=OPERATOR_COMMANDS,
        metavar="COMMAND",
        help=f"only this command (repeatable): {', '.join(OPERATOR_COMMANDS)}",
    )
    parser.add_argument(
        "--merchant", action="append", default=[], metavar="ID", help="only what names this merchant (repeatable)"
    )
    parser.add_argument("--payment", metavar="MERCHANT/PAYMENT", help="only what names this payment")
    parser.add_argument(
        "--limit",
        type=integer_between(1, _MAX_LIMIT),
        default=100,
        metavar="N",
        help="show at most this many, the newest ones (default: 100)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Show the actions. Exit code 1 if there are none.

    Raises:
        ConfigurationError: an option is wrong, or the topic does not exist.
        ClusterUnavailableError: the cluster cannot be read.
    """
    configuration = load(arguments.config)
    wanted = _filter(arguments, configuration)
    since, until = parse_window(arguments.since, arguments.until)
    with TopicReader(configuration) as reader:
        found = read_history(reader, configuration.kafka, wanted, since, until)
    shown = found[-arguments.limit :]
    if arguments.json:
        report = {"actions": [as_json(one) for one in shown], "left_out": len(found) - len(shown)}
        print(orjson.dumps(report).decode())
    else:
        print_table(map(entry_row, shown), header=ENTRY_HEADER)
        if len(found) > len(shown):
            print(f"{len(found) - len(shown)} earlier actions are not shown; --limit shows more")
    return 0 if found else 1


def _filter(arguments: argparse.Namespace, configuration: Configuration) -> HistoryFilter:
    for merchant_id in arguments.merchant:
        find_merchant(configuration, merchant_id)
    payment = None
    if arguments.payment is not None:
        text = arguments.payment[:MAX_ID_LENGTH]
        merchant, _, name = arguments.payment.partition("/")
        if not merchant or not name:
            raise ConfigurationError(f"The payment must be MERCHANT/PAYMENT, got {text!r}.")
        payment = (merchant, name)
    return HistoryFilter(by=arguments.by, commands=arguments.command, merchants=arguments.merchant, payment=payment)


def as_json(entry: HistoryEntry) -> dict[str, Any]:
    """Both records of an action, as they are on the topic."""
    return {
        "intended": orjson.Fragment(encode(entry.intended)),
        "ended": orjson.Fragment(encode(entry.ended)) if entry.ended is not None else None,
    }
