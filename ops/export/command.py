"""``paynotify export``: writes the status changes of payments as CSV or JSON Lines, for accountants."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from paynotify.ops.common.merchants import find_merchant
from paynotify.ops.common.times import TIME_FORMS, parse_window
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.export.events import ExportWindow, wanted_events
from paynotify.ops.export.lines import FORMATS
from paynotify.ops.export.newest import SeenPayments
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError

_EPILOG: Final = f"""\
Reads payments.status. Amounts are totals after the change, in decimals (10.50) beside the minor units (1050). Book
differences, as docs/how-to/export.md says. The window is about observed_at, the time of the provider's response. Lines
are in order for each payment; sort by observed_at where the order of all counts.

A text that a spreadsheet would take for a formula begins with an apostrophe in CSV.

Times: {TIME_FORMS}.

examples:
  paynotify export --since 2026-11-01T00:00:00+01:00 --until 2026-12-01T00:00:00+01:00 --output november.csv
  paynotify export --since 24h --merchant shop-uk --format jsonl | jq 'select(.status == "refunded")'
  paynotify export --until 2027-01-01T00:00:00Z --per payment --output year-end.csv --json

exit codes: 0 there are events, 1 there are none, 2 wrong use or configuration, 3 no Kafka broker is usable
"""


@dataclass(slots=True)
class ExportCounts:
    """What was written."""

    lines: int = 0
    repeats: int = 0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify export``."""
    parser.epilog = _EPILOG
    parser.add_argument("--since", metavar="TIME", help="only events observed at or after this time")
    parser.add_argument("--until", metavar="TIME", help="only events observed before this time")
    parser.add_argument(
        "--merchant", action="append", default=[], metavar="ID", help="only events of this merchant (repeatable)"
    )
    parser.add_argument("--format", choices=tuple(FORMATS), default="csv", help="output format (default: csv)")
    parser.add_argument(
        "--per",
        choices=("change", "payment"),
        default="change",
        help="one line for each change, or for each payment as it was at the end (default: change)",
    )
    parser.add_argument(
        "--output", metavar="FILE", help="write this file, once it is complete (default: standard output)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the export. Exit code 1 if there are no events.

    Raises:
        ConfigurationError: an option is wrong, the file can't be written, or an event can't be read.
        ClusterUnavailableError: the cluster cannot be read.
    """
    if arguments.json and arguments.output is None:
        raise ConfigurationError("--json needs --output: standard output has the export otherwise.")
    configuration = load(arguments.config)
    since, until = parse_window(arguments.since, arguments.until)
    for merchant_id in arguments.merchant:
        find_merchant(configuration, merchant_id)
    window = ExportWindow(since=since, until=until, merchants=frozenset(arguments.merchant))
    counts = ExportCounts()
    try:
        with _destination(arguments.output) as file:
            for line in _lines(configuration, window, arguments.format, arguments.per, counts):
                file.write(line)
    except BrokenPipeError:
        # the reader has seen enough, as `head` does; what is left in the buffer must not be an error again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if arguments.json:
        print(orjson.dumps({"lines": counts.lines, "repeats": counts.repeats, "output": arguments.output}).decode())
    elif arguments.output is not None:
        print(f"{counts.lines} lines, {counts.repeats} repeated events left out")
    return 0 if counts.lines else 1


def _lines(
    configuration: Configuration, window: ExportWindow, form: str, per: str, counts: ExportCounts
) -> Iterator[bytes]:
    header, line_of = FORMATS[form]
    with TopicReader(configuration) as reader, SeenPayments() as seen:
        if header:
            yield header
        for record, event in wanted_events(reader, configuration.kafka, window):
            line = line_of(event)
            if not seen.take(record.key or b"", event.sequence, event.observed_at, line if per == "payment" else None):
                counts.repeats += 1
            elif per == "change":
                counts.lines += 1
                yield line
        if per == "payment":
            for line in seen.lines():
                counts.lines += 1
                yield line


@contextmanager
def _destination(output: str | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that takes its name once it is complete: half an export looks like a whole one."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = Path(f"{output}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(output)
    except OSError as error:
        raise ConfigurationError(f"The file {output} can't be written: {error.strerror}.") from None
    finally:
        with suppress(OSError):
            part.unlink()
