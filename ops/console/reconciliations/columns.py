"""What the list of reconciliations shows of each report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from paynotify.ops.console.links import report_path
from paynotify.ops.console.lists.cells import Cell, ListColumn, plain

SOURCES: Final = {"provider": "the provider's list", "export": "the shop's export"}


def _run(row: Mapping[str, Any]) -> Cell:
    return Cell(row["at"], report_path(row["merchant"], row["run_id"]))


def _period(row: Mapping[str, Any]) -> Cell:
    return Cell(f"{row['start']} to {row['end']}")


def _differences(row: Mapping[str, Any]) -> Cell:
    unreadable = f", {row['unreadable']} unreadable" if row["unreadable"] else ""
    return Cell(f"{row['differences']}{unreadable}")


def _repair(row: Mapping[str, Any]) -> Cell:
    return Cell(f"{row['queued']} lookups queued" if row["repair"] == "queued" else row["repair"])


RECONCILIATION_COLUMNS: Final = (
    ListColumn("ended", _run),
    plain("merchant"),
    ListColumn("period", _period),
    ListColumn("compared with", lambda row: Cell(SOURCES.get(str(row["source"]), "?"))),
    plain("payments", "compared"),
    ListColumn("differences", _differences),
    ListColumn("repair", _repair),
    plain("by"),
)
