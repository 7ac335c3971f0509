"""What the operators' log shows of an action: the same as `paynotify history`."""

from __future__ import annotations

from functools import partial
from typing import Final

from paynotify.ops.console.links import payment_path
from paynotify.ops.console.lists.cells import Cell, ListColumn, Row
from paynotify.ops.history.actions import HistoryEntry
from paynotify.ops.history.entry_row import ENTRY_HEADER, entry_row
from paynotify.schemas.messages import OperatorAction, decode


def entry_of(row: Row) -> HistoryEntry:
    """The action; where its beginning is not known, its end stands for both."""
    end = row["event"] if row["ended"] else row["end_event"]
    return HistoryEntry(decode(row["event"], OperatorAction), decode(end, OperatorAction) if end is not None else None)


def _cell(position: int, row: Row) -> Cell:
    text = entry_row(entry_of(row))[position]
    leads = ENTRY_HEADER[position] == "about" and row["merchant"] and row["payment_id"]
    return Cell(text, payment_path(row["merchant"], row["payment_id"]) if leads else "")


ACTION_COLUMNS: Final = tuple(
    ListColumn(title, partial(_cell, position)) for position, title in enumerate(ENTRY_HEADER)
)
