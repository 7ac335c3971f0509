"""One event as a line of an export: CSV for spreadsheets, JSON Lines for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from paynotify.schemas.messages import PaymentStatus, fields_of
from paynotify.schemas.money import Money, to_major

#: The amounts of an event, each of which has three columns.
_AMOUNTS: Final = ("amount", "paid", "refunded", "refunding", "charged_back", "customer_amount")

_TEXTS: Final = (
    "observed_at",
    "merchant",
    "provider",
    "payment_id",
    "order_id",
    "sequence",
    "status",
    "previous_status",
    "final",
)
_LAST: Final = ("reason", "order_role", "settles_by", "source", "provider_time", "corrected_by", "event_id")

COLUMNS: Final = (
    *_TEXTS,
    *(column for name in _AMOUNTS for column in (name, f"{name}_minor", f"{name}_currency")),
    *_LAST,
)

#: What makes a spreadsheet take a cell for a formula, which may read other cells and call other programs.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Line = Callable[[PaymentStatus], bytes]


def csv_header() -> bytes:
    """The first line of an export as CSV."""
    return _csv(COLUMNS)


def csv_line(event: PaymentStatus) -> bytes:
    """The event as a line of CSV (RFC 4180), its amounts in the currency's major unit and in the minor one."""
    fields = {**fields_of(event), "corrected_by": event.correction.by if event.correction else None}
    cells = [_text_cell(fields[name]) for name in _TEXTS]
    for name in _AMOUNTS:
        cells += _amount_cells(getattr(event, name))
    return _csv([*cells, *(_text_cell(fields[name]) for name in _LAST)])


def json_line(event: PaymentStatus) -> bytes:
    """The event as a line of JSON, as on the topic; each amount has a ``decimal`` beside its minor units."""
    fields = fields_of(event)
    for name in _AMOUNTS:
        amount: Money | None = getattr(event, name)
        if amount is not None:
            fields[name] = {**fields[name], "decimal": to_major(amount)}
    return orjson.dumps(fields) + b"\n"


def guarded(text: str) -> str:
    """The text as a spreadsheet shows it: one that would be a formula begins with an apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _text_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return guarded(str(value))


def _amount_cells(amount: Money | None) -> tuple[str, str, str]:
    if amount is None:
        return "", "", ""
    # digits with a sign of our own making: they are to be numbers
    return to_major(amount), str(amount.value), guarded(amount.currency)


def _csv(cells: Any) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().encode()


#: By ``--format``: the first line, and how an event becomes one.
FORMATS: Final[Mapping[str, tuple[bytes, Line]]] = {"csv": (csv_header(), csv_line), "jsonl": (b"", json_line)}
