"""Prints a reconciliation as a table, as CSV or as JSON."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TextIO

from paynotify.ops.common.terminal import print_table, printable
from paynotify.ops.reconcile.compare import PaymentDifference, PaymentEntry, Period, by_kind
from paynotify.ops.reconcile.planning import Comparison
from paynotify.ops.reconcile.repair import RepairPlan
from paynotify.schemas import messages
from paynotify.schemas.configuration.merchants import Merchant, provider_of
from paynotify.schemas.messages import ReconciliationSource
from paynotify.schemas.money import Money, exponent
from paynotify.schemas.times import rfc3339

_SOURCES: Final[Mapping[ReconciliationSource, str]] = {"provider": "the provider's list", "export": "the shop's export"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileReport:
    """What was compared and what differs; ``unreadable`` are records of the list that could not be compared.

    ``plan`` is None without ``--repair``; ``sent`` is the number of queued lookups, None for a dry run. Where lookups
    were queued, ``action_id`` is that of the operator's action.
    """

    merchant: Merchant
    period: Period
    source: ReconciliationSource
    compared: int
    too_new: int
    differences: Sequence[PaymentDifference]
    unreadable: Sequence[str] = ()
    plan: RepairPlan | None = None
    sent: int | None = None
    action_id: str | None = None

    @property
    def compared_with(self) -> str:
        return _SOURCES[self.source]


def report_of(
    found: Comparison, plan: RepairPlan | None = None, sent: int | None = None, action_id: str | None = None
) -> ReconcileReport:
    """The report of a comparison, and of the lookups that were planned and queued because of it."""
    return ReconcileReport(
        merchant=found.merchant,
        period=found.period,
        source="provider" if found.is_listed else "export",
        compared=found.compared,
        too_new=found.too_new,
        differences=found.differences,
        unreadable=found.unreadable,
        plan=plan,
        sent=sent,
        action_id=action_id,
    )


def _print_table(report: ReconcileReport, limit: int) -> None:
    period = report.period
    print(
        f"{report.merchant.id} from {rfc3339(period.start)} to {rfc3339(period.end)}: "
        f"{report.compared} payments of {report.compared_with}"
    )
    print_table(map(_cells, report.differences[:limit]), header=("kind", "order", "payment", "here", "there"))
    _print_omitted(report, limit, sys.stdout)
    counts = ", ".join(f"{count} {kind}" for kind, count in by_kind(report.differences).items() if count)
    print(counts or "no differences")
    if report.too_new:
        print(f"{report.too_new} of their payments are not here yet, and too recent to count as missing")
    _print_unreadable(report, limit, sys.stdout)
    _print_plan(report, limit, sys.stdout)


def _print_csv(report: ReconcileReport, limit: int) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    names = [f"{side}_{name}" for side in ("here", "there") for name in ("status", "amount", "paid", "currency")]
    writer.writerow(["kind", "order_id", "payment_id", *names, "where"])
    for one in report.differences[:limit]:
        sides = [cell for side in (one.here, one.there) for cell in _csv_columns(side)]
        position = one.there.where if one.there else ""
        writer.writerow([one.kind, printable(one.order_id), printable(one.payment_id), *sides, position])
    _print_omitted(report, limit, sys.stderr)
    _print_unreadable(report, limit, sys.stderr)
    _print_plan(report, limit, sys.stderr)


def _print_json(report: ReconcileReport, limit: int) -> None:
    period, plan = report.period, report.plan
    content: dict[str, Any] = {
        "merchant": report.merchant.id,
        "provider": provider_of(report.merchant),
        "from": rfc3339(period.start),
        "to": rfc3339(period.end),
        "source": report.compared_with,
        "compared": report.compared,
        "too_new": report.too_new,
        "total": len(report.differences),
        "by_kind": by_kind(report.differences),
        "differences": [_difference_object(one) for one in report.differences[:limit]],
        "unreadable": list(report.unreadable[:limit]),
    }
    if plan is not None:
        content["repair"] = {
            "dry_run": report.sent is None,
            "lookups": len(plan.lookups),
            "sent": report.sent or 0,
            "left_out": dict(sorted(plan.left_out.items())),
            "first": _first_lookups(plan, limit),
        }
    print(messages.encode(content).decode())


#: By the value of ``--format``; the second argument limits the differences and lookups that are printed.
PRINTERS: Final[Mapping[str, Callable[[ReconcileReport, int], None]]] = {
    "table": _print_table,
    "csv": _print_csv,
    "json": _print_json,
}


def _print_omitted(report: ReconcileReport, limit: int, stream: TextIO) -> None:
    if len(report.differences) > limit:
        print(f"... and {len(report.differences) - limit} more (--limit)", file=stream)


def _print_unreadable(report: ReconcileReport, limit: int, stream: TextIO) -> None:
    for text in report.unreadable[:limit]:
        print(f"cannot be read: {printable(text)}", file=stream)
    if len(report.unreadable) > limit:
        print(f"... and {len(report.unreadable) - limit} more that cannot be read (--limit)", file=stream)


def _print_plan(report: ReconcileReport, limit: int, stream: TextIO) -> None:
    plan = report.plan
    if plan is None:
        return
    if report.sent is None:
        for one in _first_lookups(plan, limit):
            print(f"would look up {one['operation']} {printable(one['asked'])}", file=stream)
        if len(plan.lookups) > limit:
            print(f"... and {len(plan.lookups) - limit} more (--limit)", file=stream)
    left_out = [(str(count), f"left out: {cause}") for cause, count in sorted(plan.left_out.items())]
    print_table(left_out, right_aligned=1, stream=stream)
    dry_run = f"{len(plan.lookups)} lookups would be queued; --yes queues them"
    print(dry_run if report.sent is None else f"{report.sent} lookups queued", file=stream)


def _first_lookups(plan: RepairPlan, limit: int) -> list[dict[str, str]]:
    lookups = sorted(
        (one.operation, one.reference or one.arguments.get("orderreference", "")) for one in plan.lookups.values()
    )
    return [{"operation": operation, "asked": asked} for operation, asked in lookups[:limit]]


def _cells(difference: PaymentDifference) -> tuple[str, str, str, str, str]:
    here, there = difference.here, difference.there
    position = f" ({there.where})" if there is not None and there.where else ""
    return (
        difference.kind,
        difference.order_id or "",
        difference.payment_id or "",
        _entry_text(here),
        _entry_text(there) + position,
    )


def _entry_text(entry: PaymentEntry | None) -> str:
    if entry is None:
        return "-"
    paid = f", paid {_amount_text(entry.paid)}" if entry.paid is not None and entry.paid != entry.amount else ""
    return " ".join(filter(None, (entry.status, _amount_text(entry.amount)))) + paid or "?"


def _csv_columns(entry: PaymentEntry | None) -> tuple[str, str, str, str]:
    if entry is None:
        return "", "", "", ""
    currency = (entry.amount or entry.paid or Money(0, "")).currency
    return entry.status or "", major_units(entry.amount), major_units(entry.paid), currency


def _difference_object(difference: PaymentDifference) -> Mapping[str, Any]:
    return {
        "kind": difference.kind,
        "order_id": difference.order_id,
        "payment_id": difference.payment_id,
        "here": _entry_object(difference.here),
        "there": _entry_object(difference.there),
    }


def _entry_object(entry: PaymentEntry | None) -> Mapping[str, Any] | None:
    """The entry with amounts as in all JSON: integers in the currency's minor unit."""
    if entry is None:
        return None
    content: dict[str, Any] = {"status": entry.status, "amount": entry.amount, "paid": entry.paid}
    if entry.at is not None:
        content["at"] = rfc3339(entry.at)
    if entry.where:
        content["where"] = entry.where
    return content


def _amount_text(amount: Money | None) -> str:
    return f"{major_units(amount)} {amount.currency}" if amount is not None else ""


def major_units(amount: Money | None) -> str:
    """The amount in major units, as an export has it; empty for None."""
    if amount is None:
        return ""
    places = exponent(amount.currency)
    digits = f"{abs(amount.value):0{places + 1}d}"
    number = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return f"-{number}" if amount.value < 0 else number
