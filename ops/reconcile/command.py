"""``paynotify reconcile``: a period's payments as the provider or the shop has them, against ours."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from ops.common.times import FORMS, duration, moment
from ops.common.topic_reader import TopicReader
from ops.reconcile.compare import (
    AFTER_CAPTURE,
    Here,
    PaymentDifference,
    PaymentEntry,
    Period,
    by_kind,
    compare,
    count_too_new,
)
from ops.reconcile.csv_export import COLUMNS, read_export
from ops.reconcile.repair import RepairPlan, leave_out, mending, queue
from ops.reconcile.sources import ProviderList, read_here
from processors.providers.base import account_of
from processors.providers.payment_list import PaymentReference
from processors.providers.registry import LISTERS
from schemas.configuration.merchants import Merchant, provider_of
from schemas.configuration.model import Configuration, load
from schemas.errors import ConfigurationError
from schemas.money import Money, exponent
from schemas.times import rfc3339

_HELP: Final = f"""
Compares with payments.latest what the provider lists for the period (Trust Payments, by TRANSACTIONQUERY), or what the
shop exported (--export). OmniKassa and Nevogate have no list, so there --export is needed. Kinds of differences:

  missing_here   they have the payment, we don't        other_status   both have it, with another status
  missing_there  we have it, they don't                 other_amount   with another amount or currency

A payment belongs to the period by their time: when the provider says it was started, or created_at of the export
(a row without one always belongs). Ours belong by when they were first seen. The two may lie --slack apart, so ours are
only missing there if they were first seen that much inside of the period, and theirs are only missing here if they are
older than that. Set it to the time your customers take to pay. Before something is called missing there, and where
money went back after the period, Trust Payments is asked about the payment itself. A refund made after the period of
which we know nothing is not seen: a longer period finds it.

The export is a CSV file in UTF-8 with a header, comma or semicolon between the columns:
  {", ".join(COLUMNS)}
order_id or payment_id (the provider's) must be there, everything else may be left out and is then not compared. status
is a word of paynotify (pending, authorised, captured, ...), amount in major units with a point, currency ISO 4217,
created_at RFC 3339 with offset. A row with order_id only is compared with the payment of the order that agrees, or else
the one that got furthest.

--mend shows the lookups that would mend the differences, and queues them with --yes: Trust Payments is asked by order
or transaction; OmniKassa by payment_id, where the merchant has a refresh_token, and no more within an hour than the
worker's recovery_calls_per_hour (the bank keeps an order a day or so after its end); Nevogate by Details, where the
merchant has recover_by_details. Each is queued once a day (UTC).

Times: {FORMS}.

examples:
  paynotify reconcile --merchant shop-uk --from 2026-11-22T00:00:00Z --to 2026-11-23T00:00:00Z
  paynotify reconcile --merchant shop-nl --from 7d --export november.csv --format csv >differences.csv
  paynotify reconcile --merchant shop-uk --from 24h --mend --yes

exit code: 0 no differences, 1 differences, 2 wrong use or nothing could be compared,
3 no Kafka broker could be used
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileReport:
    """What was compared and what differs; ``sent`` is none where nothing was to be mended."""

    merchant: Merchant
    period: Period
    source: str
    compared: int
    too_new: int
    differences: Sequence[PaymentDifference]
    mending: RepairPlan | None = None
    sent: int | None = None


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``paynotify reconcile``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _HELP
    parser.add_argument("--config", metavar="FILE", help="the configuration (or PAYNOTIFY_CONFIG)")
    parser.add_argument("--merchant", required=True, metavar="ID", help="whose payments")
    parser.add_argument("--from", required=True, metavar="TIME", dest="start", help="the period's first moment")
    parser.add_argument("--to", metavar="TIME", dest="end", help="the moment after the period (default: now)")
    parser.add_argument("--export", metavar="FILE", help="compare with this CSV file of the shop's")
    parser.add_argument("--slack", default="15m", metavar="TIME", help="how far two books' times may differ (15m)")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="how to print (table)")
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="as --format json")
    parser.add_argument("--most", type=int, default=100, metavar="N", help="print at most so many differences (100)")
    parser.add_argument("--mend", action="store_true", help="also the lookups that would mend them")
    really = parser.add_mutually_exclusive_group()
    really.add_argument("--dry-run", action="store_true", help="only print what would be queued (the default)")
    really.add_argument("--yes", action="store_true", help="really queue them")
    parser.add_argument(
        "--rate",
        type=float,
        default=5.0,
        metavar="N",
        help="at most so many queries, and queued lookups, a second (default 5)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Compare, and with ``--mend --yes`` queue. Exit code 1 if there are differences.

    Raises:
        ConfigurationError: wrong use, a bad export, no cluster, a provider that does not answer.
    """
    configuration = load(arguments.config)
    merchant = _merchant(arguments, configuration)
    period = _period(arguments)
    exported = read_export(arguments.export) if arguments.export is not None else None
    with TopicReader(configuration) as reader:
        report = _report(reader, configuration, merchant, period, exported, arguments)
    _PRINTERS[arguments.format](report, arguments.most)
    return 1 if report.differences else 0


def _merchant(arguments: argparse.Namespace, configuration: Configuration) -> Merchant:
    if not 0 < arguments.rate <= 1000:
        raise ConfigurationError(f"--rate {arguments.rate:g} is no rate. Give a number above 0, at most 1000.")
    if not 0 < arguments.most <= 1_000_000:
        raise ConfigurationError(f"--most {arguments.most} is no number of lines. Give one from 1 to 1000000.")
    if arguments.yes and not arguments.mend:
        raise ConfigurationError("--yes goes with --mend: without it nothing is queued.")
    merchant = next((one for one in configuration.merchants if one.id == arguments.merchant), None)
    if merchant is None:
        known = ", ".join(sorted(one.id for one in configuration.merchants))
        raise ConfigurationError(f"The configuration has no merchant {arguments.merchant!r}; it knows {known}.")
    if arguments.export is None and provider_of(merchant) not in LISTERS:
        raise ConfigurationError(
            f"The provider {provider_of(merchant)} has no list of a period's payments. Let the shop export its own and "
            f"give the file with --export (columns: {', '.join(COLUMNS)})."
        )
    return merchant


def _period(arguments: argparse.Namespace) -> Period:
    now = datetime.now(UTC)
    start, end = moment("--from", arguments.start, now), moment("--to", arguments.end, now) or now
    assert start is not None
    slack = duration("--slack", arguments.slack)
    end = min(end, now)  # nothing can be missing of what is still to come
    if start >= end:
        raise ConfigurationError("--from is not before --to, or lies in the future, so the period is empty.")
    if slack > timedelta(days=7):
        raise ConfigurationError("--slack is longer than 7 days. Give how far two clocks, or sale and payment, differ.")
    return Period(start=start, end=end, slack=slack, now=now)


def _report(
    reader: TopicReader,
    configuration: Configuration,
    merchant: Merchant,
    period: Period,
    exported: list[PaymentEntry] | None,
    arguments: argparse.Namespace,
) -> ReconcileReport:
    if exported is None:
        there, here = _listed(reader, configuration, merchant, period, arguments.rate)
        source = "the provider's list"
    else:
        there, here, source = exported, read_here(reader, configuration, merchant.id, period), "the shop's export"
    differences = compare(there, here, period)
    found, sent = None, None
    if arguments.mend:
        found = mending(merchant, differences, period.now, listed=exported is None)
        leave_out(found, reader, configuration, merchant, period.now)
        sent = queue(found, configuration.kafka, arguments.rate) if arguments.yes else None
    return ReconcileReport(
        merchant=merchant,
        period=period,
        source=source,
        compared=sum(period.holds(one.at) for one in there),
        too_new=count_too_new(there, here, period),
        differences=differences,
        mending=found,
        sent=sent,
    )


def _listed(
    reader: TopicReader, configuration: Configuration, merchant: Merchant, period: Period, per_second: float
) -> tuple[list[PaymentEntry], Here]:
    """Theirs and ours. What a list that ends with the period can't tell is asked for payment by payment."""
    book = ProviderList(configuration, account_of(merchant), LISTERS[provider_of(merchant)], per_second)
    book.read(period)
    here = read_here(reader, configuration, merchant.id, period)
    book.ask(
        [
            PaymentReference(one.payment_id, one.order_id)
            for one in compare(book.entries(), here, period)
            if one.payment_id is not None and _open_question(one)
        ]
    )
    return book.entries(), here


def _open_question(difference: PaymentDifference) -> bool:
    here = difference.here
    if difference.kind == "missing_there":
        return True  # it may have been started before the period, and told late
    went_back = here is not None and here.status in AFTER_CAPTURE
    return difference.kind == "other_status" and went_back  # the refund may lie after the period


# --- printing ------------------------------------------------------------------------------------------------


def _table(report: ReconcileReport, most: int) -> None:
    period = report.period
    print(
        f"{report.merchant.id} from {rfc3339(period.start)} to {rfc3339(period.end)}: "
        f"{report.compared} payments of {report.source}"
    )
    shown = report.differences[:most]
    rows = [("kind", "order", "payment", "here", "there"), *map(_cells, shown)] if shown else []
    widths = [max(len(row[column]) for row in rows) for column in range(5)] if rows else []
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    _print_rest(report, most, sys.stdout)
    print(
        ", ".join(f"{count} {kind}" for kind, count in by_kind(report.differences).items() if count) or "no differences"
    )
    if report.too_new:
        print(f"{report.too_new} of theirs are not here yet and too new to be missing")
    _print_mending(report, most, sys.stdout)


def _csv(report: ReconcileReport, most: int) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    names = [f"{side}_{name}" for side in ("here", "there") for name in ("status", "amount", "paid", "currency")]
    writer.writerow(["kind", "order_id", "payment_id", *names, "where"])
    for one in report.differences[:most]:
        sides = [cell for side in (one.here, one.there) for cell in _columns(side)]
        where = one.there.where if one.there else ""
        writer.writerow([one.kind, _safe(one.order_id), _safe(one.payment_id), *sides, where])
    _print_rest(report, most, sys.stderr)
    _print_mending(report, most, sys.stderr)


def _json(report: ReconcileReport, most: int) -> None:
    period, found = report.period, report.mending
    told: dict[str, Any] = {
        "merchant": report.merchant.id,
        "provider": provider_of(report.merchant),
        "from": rfc3339(period.start),
        "to": rfc3339(period.end),
        "source": report.source,
        "compared": report.compared,
        "too_new": report.too_new,
        "total": len(report.differences),
        "by_kind": by_kind(report.differences),
        "differences": [_object(one) for one in report.differences[:most]],
    }
    if found is not None:
        told["mend"] = {
            "dry_run": report.sent is None,
            "lookups": len(found.lookups),
            "sent": report.sent or 0,
            "left_out": dict(sorted(found.left_out.items())),
            "first": _first_lookups(found, most),
        }
    print(orjson.dumps(told).decode())


_PRINTERS: Final = {"table": _table, "csv": _csv, "json": _json}


def _print_rest(report: ReconcileReport, most: int, stream: Any) -> None:
    if len(report.differences) > most:
        print(f"... and {len(report.differences) - most} more (--most)", file=stream)


def _print_mending(report: ReconcileReport, most: int, stream: Any) -> None:
    found = report.mending
    if found is None:
        return
    if report.sent is None:
        for one in _first_lookups(found, most):
            print(f"would ask for {one['operation']} {_safe(one['asked'])}", file=stream)
        if len(found.lookups) > most:
            print(f"... and {len(found.lookups) - most} more (--most)", file=stream)
    for cause, count in sorted(found.left_out.items()):
        print(f"{count:>8} left out: {cause}", file=stream)
    said = f"{len(found.lookups)} lookups would be queued; --yes queues them"
    print(said if report.sent is None else f"{report.sent} lookups queued", file=stream)


def _first_lookups(found: RepairPlan, most: int) -> list[dict[str, str]]:
    lookups = sorted(
        (one.operation, one.reference or one.arguments.get("orderreference", "")) for one in found.lookups.values()
    )
    return [{"operation": operation, "asked": asked} for operation, asked in lookups[:most]]


def _cells(one: PaymentDifference) -> tuple[str, str, str, str, str]:
    place = f" ({one.there.where})" if one.there is not None and one.there.where else ""
    return one.kind, _safe(one.order_id), _safe(one.payment_id), _state(one.here), _state(one.there) + place


def _state(entry: PaymentEntry | None) -> str:
    if entry is None:
        return "-"
    paid = f", paid {_major(entry.paid)}" if entry.paid is not None and entry.paid != entry.amount else ""
    return " ".join(filter(None, (entry.status, _major(entry.amount)))) + paid or "?"


def _columns(entry: PaymentEntry | None) -> tuple[str, str, str, str]:
    if entry is None:
        return "", "", "", ""
    currency = (entry.amount or entry.paid or Money(0, "")).currency
    return entry.status or "", _digits(entry.amount), _digits(entry.paid), currency


def _object(one: PaymentDifference) -> Mapping[str, Any]:
    return {
        "kind": one.kind,
        "order_id": one.order_id,
        "payment_id": one.payment_id,
        "here": _told(one.here),
        "there": _told(one.there),
    }


def _told(entry: PaymentEntry | None) -> Mapping[str, Any] | None:
    """Amounts as everywhere in JSON: integers in the currency's minor unit."""
    if entry is None:
        return None
    told: dict[str, Any] = {"status": entry.status, "amount": entry.amount, "paid": entry.paid}
    if entry.at is not None:
        told["at"] = rfc3339(entry.at)
    if entry.where:
        told["where"] = entry.where
    return told


def _major(amount: Money | None) -> str:
    return f"{_digits(amount)} {amount.currency}" if amount is not None else ""


def _digits(amount: Money | None) -> str:
    """The amount in major units, as an export has it."""
    if amount is None:
        return ""
    places = exponent(amount.currency)
    digits = f"{abs(amount.value):0{places + 1}d}"
    point = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return f"-{point}" if amount.value < 0 else point


def _safe(text: str | None) -> str:
    """Ids come from outside; control characters would speak to the terminal."""
    return "".join(one if one.isprintable() else "?" for one in text or "")
