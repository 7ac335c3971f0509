"""``python -m paynotify.sandbox.billing.biller --csv FILE --config FILE``: an example biller of monthly subscriptions.

It requests one charge per line of the CSV on ``payments.requested`` and follows ``payments.requests`` and
``payments.status`` until each is settled. A request's id is derived from month and customer, so a biller that crashes
or is started twice charges nobody twice: a repeated request gets the outcome of the first.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from paynotify.sandbox.billing.bills import COLUMNS, SETTLED, Bill, Month, in_major, read_bills
from paynotify.schemas import topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.events import DEFAULT_EVENTS
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.load import load
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError, UnreadableError
from paynotify.schemas.messages import REQUEST_MADE, PaymentRequest, PaymentStatus, decode, encode
from paynotify.schemas.times import rfc3339
from paynotify.schemas.traceparent import new_traceparent
from paynotify.service.exit_codes import exit_code
from paynotify.service.kafka_client import client_settings
from paynotify.service.tail import Tail

_ACKNOWLEDGED_SECONDS: Final = 30
_headers: Final = EventHeaders(DEFAULT_EVENTS, "/biller", REQUEST_MADE)
_READ_SECONDS: Final = 0.2
_BAR_AFTER_SECONDS: Final = 2.0
#: The result topic may be a moment behind the events of a request.
_GRACE_SECONDS: Final = 2.0
_LISTED: Final = 20
_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])\Z")


def bill(configuration: Configuration, month: Month, wait_seconds: float) -> None:
    """Request every bill of the month and follow the outcomes, for at most ``wait_seconds``.

    Raises:
        ClusterUnavailableError: the brokers cannot be reached, or did not acknowledge every request. Billing again
            is safe.
    """
    with Tail(configuration.kafka, topics.REQUESTS, topics.STATUS) as tail:
        _request(configuration.kafka, month)
        deadline = time.monotonic() + wait_seconds
        with _progress(len(month.bills)) as show:
            while month.count(*SETTLED) < len(month.bills) and time.monotonic() < deadline:
                _note(month, tail)
                show(month.count(*SETTLED))
            deadline = min(deadline, time.monotonic() + _GRACE_SECONDS)
            while month.confirmed < month.count("paid") and time.monotonic() < deadline:
                _note(month, tail)


def _request(kafka: KafkaSettings, month: Month) -> None:
    try:
        producer = KafkaProducer(
            **client_settings(kafka, "paynotify-biller"), acks="all", enable_idempotence=True, linger_ms=5
        )
        with closing(producer):
            sent = [_send(producer, kafka.topic(topics.REQUESTED), one, month) for one in month.bills]
            for one in sent:
                one.get(timeout=_ACKNOWLEDGED_SECONDS)
    except KafkaError as error:
        raise ClusterUnavailableError(
            f"The brokers at {kafka.bootstrap_servers} did not acknowledge every request ({type(error).__name__}). "
            "Check the brokers and start again: nobody is charged twice."
        ) from None


def _send(producer: Any, topic: str, owed: Bill, month: Month) -> Any:
    request = owed.request(month.merchant, month.month)
    key = f"{request.merchant}/{request.request_id}".encode()
    headers = _headers(request.request_id, rfc3339(), key, traceparent=new_traceparent())
    return producer.send(topic, encode(request), key, list(headers))


def _note(month: Month, tail: Tail) -> None:
    for record in tail.read(_READ_SECONDS):
        try:
            if tail.named(record) == topics.REQUESTS:
                month.requested(decode(record.value, PaymentRequest))
            else:
                month.changed(decode(record.value, PaymentStatus))
        except UnreadableError:  # of a later version or of another program: not about these requests
            continue


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, on a terminal only and after two seconds; yields its update function."""
    columns = (TextColumn("billing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    task = progress.add_task("billing", total=total)
    shows_at = time.monotonic() + _BAR_AFTER_SECONDS if sys.stderr.isatty() else float("inf")

    def show(settled: int) -> None:
        progress.update(task, completed=settled)
        if time.monotonic() >= shows_at:
            progress.start()

    try:
        yield show
    finally:
        progress.stop()


def show(month: Month, console: Console, *, everybody: bool) -> None:
    """Print who paid, who did not and why, who is uncertain, and the sums."""
    found = month.as_json()
    for verdict, title in (
        ("paid", "Paid"),
        ("unpaid", "Not paid"),
        ("uncertain", "Uncertain: paynotify polls the provider"),
        ("open", "No outcome in time"),
    ):
        lines = found[verdict]
        shown = lines if everybody else [] if verdict == "paid" else lines[:_LISTED]
        if shown:
            table = Table("customer", "order", "why", title=title)
            for line in shown:
                table.add_row(line["customer"], line["order_id"], line.get("why", ""))
            console.print(table)
        if shown and len(lines) > len(shown):
            console.print(f"... and {len(lines) - len(shown)} more; --list shows all")
    sums = Table("currency", "paid", "not paid", "uncertain", "open", title=f"{month.merchant}, {month.month}")
    for currency, counts in found["sums"].items():
        sums.add_row(
            currency,
            *(
                f"{counts.get(one, 0)}: {in_major(counts.get(f'{one}_value', 0), currency)}"
                for one in ("paid", "unpaid", "uncertain", "open")
            ),
        )
    console.print(sums)
    console.print(f"{found['confirmed']} of {len(found['paid'])} paid bills are on payments.status since the start.")


def main(argv: Sequence[str] | None = None) -> int:
    """Bill a month. Exit code 0: every bill is paid or unpaid. 1: some are uncertain or open. 2: wrong use."""
    parser = argparse.ArgumentParser(
        prog="paynotify.sandbox.billing.biller", description="Bill a month of subscriptions by topic."
    )
    parser.add_argument("--csv", required=True, type=Path, metavar="FILE", help=f"columns: {', '.join(COLUMNS)}")
    parser.add_argument("--config", metavar="FILE", help="the configuration (or PAYNOTIFY_CONFIG)")
    parser.add_argument("--merchant", metavar="ID", help="the billing merchant; optional if only one may charge")
    parser.add_argument(
        "--month",
        default=f"{datetime.now(UTC):%Y-%m}",
        metavar="YYYY-MM",
        help="the billed month, part of each request's id (default %(default)s)",
    )
    parser.add_argument(
        "--wait", type=float, default=600.0, metavar="SECONDS", help="maximum time to wait (default %(default)g)"
    )
    parser.add_argument("--list", action="store_true", help="list every bill, including the paid ones")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    return exit_code(
        parser.prog,
        lambda: _run(arguments),
        when_interrupted="Interrupted. The requests continue; start the biller again to follow them.",
    )


def _run(arguments: argparse.Namespace) -> int:
    configuration = load(arguments.config)
    month = _month(arguments, configuration)
    bill(configuration, month, arguments.wait)
    if arguments.json:
        print(json.dumps(month.as_json()))
    else:
        show(month, Console(highlight=False), everybody=arguments.list)
    left = len(month.bills) - month.count(*SETTLED)
    if left:
        print(
            f"{left} of {len(month.bills)} bills are not settled after {arguments.wait:g} s. Start the biller again to "
            "follow them: nobody is charged twice.",
            file=sys.stderr,
        )
    return 1 if left else 0


def _month(arguments: argparse.Namespace, configuration: Configuration) -> Month:
    if not _MONTH.match(arguments.month):
        raise ConfigurationError(f"--month must be a month such as 2026-11, got {arguments.month!r}.")
    if not 0 <= arguments.wait <= 86_400:
        raise ConfigurationError(f"--wait must be between 0 and 86400 seconds, got {arguments.wait:g}.")
    charging = [one.id for one in configuration.merchants if getattr(one, "charges", None) is not None]
    merchant = arguments.merchant or (charging[0] if len(charging) == 1 else None)
    if merchant not in charging:
        raise ConfigurationError(
            f"--merchant must be a merchant that may charge ({', '.join(sorted(charging)) or 'none is configured'}), "
            f"got {arguments.merchant or 'none'}. Name one, or give a merchant a charges section."
        )
    bills = read_bills(arguments.csv)
    if not bills:
        raise ConfigurationError(f"{arguments.csv} contains no bills. Name another file.")
    return Month(merchant, arguments.month, bills)


if __name__ == "__main__":
    sys.exit(main())
