"""Reads a shop's CSV export of its payments; a file with any bad row is refused as a whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, get_args

from paynotify.ops.reconcile.compare import PaymentEntry
from paynotify.schemas.errors import ConfigurationError, UnreadableError
from paynotify.schemas.money import Money, from_major
from paynotify.schemas.status import Status
from paynotify.schemas.times import parse_time

COLUMNS: Final = ("order_id", "payment_id", "status", "amount", "currency", "created_at")

_MAX_BYTES: Final = 256 * 1024 * 1024
_MAX_ID_LENGTH: Final = 250
_MAX_ERRORS_SHOWN: Final = 20
_STATUSES: Final[Mapping[str, Status]] = {status: status for status in get_args(Status)}


class _BadRowError(Exception):
    """The problem of one row; does not leave this module."""


def read_export(path: str) -> list[PaymentEntry]:
    """The file's payments, each with its line number.

    Raises:
        ConfigurationError: the file cannot be read, or rows are wrong; the text names their lines.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"The export {path} cannot be read: {error.strerror}.") from None
    if len(raw) > _MAX_BYTES:
        raise ConfigurationError(
            f"The export {path} must be at most {_MAX_BYTES // 1024**2} MiB. Export a shorter period."
        )
    return payments_in(raw, path)


def payments_in(raw: bytes, path: str) -> list[PaymentEntry]:
    """The payments in an export's bytes; ``path`` is used in error messages only.

    Raises:
        ConfigurationError: rows are wrong, or the content is not such an export.
    """
    text = _text(raw, path)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    entries: list[PaymentEntry] = []
    problems: list[str] = []
    lines: dict[tuple[str, str], int] = {}
    try:
        names = _header(path, next(rows, []))
        for cells in rows:
            if not any(cells):
                continue  # an empty line, such as the last one
            try:
                entry = _entry(names, cells, rows.line_num)
                _refuse_duplicate(entry, lines, rows.line_num)
                entries.append(entry)
            except _BadRowError as error:
                problems.append(f"line {rows.line_num}: {error}")
    except csv.Error as error:
        problems.append(f"line {rows.line_num}: not CSV ({error})")
    if problems:
        more = len(problems) - _MAX_ERRORS_SHOWN
        rest = [f"... and {more} more"] if more > 0 else []
        raise ConfigurationError(
            "\n  ".join(
                [f"The export {path} has bad rows, so nothing was compared:", *problems[:_MAX_ERRORS_SHOWN], *rest]
            )
        )
    return entries


def _text(raw: bytes, path: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"The export {path} must be UTF-8, but line {line} is not.") from None


def _delimiter(text: str) -> str:
    header = text.partition("\n")[0]
    return ";" if header.count(";") > header.count(",") else ","


def _header(path: str, cells: list[str]) -> list[str]:
    names = [one.strip() for one in cells]
    known = f"The columns must be among {', '.join(COLUMNS)}, with at least order_id or payment_id."
    unknown = sorted({one if one.isprintable() else "?" for one in names if one not in COLUMNS})
    if unknown:
        raise ConfigurationError(f"The export {path} has an unknown column in its header: {unknown[0][:50]!r}. {known}")
    if len(set(names)) != len(names):
        raise ConfigurationError(f"The export {path} has a duplicate column. {known}")
    if not {"order_id", "payment_id"} & set(names):
        raise ConfigurationError(f"The export {path} has neither order_id nor payment_id. {known}")
    return names


def _entry(names: list[str], cells: list[str], line: int) -> PaymentEntry:
    if len(cells) != len(names):
        raise _BadRowError(f"must have {len(names)} cells, got {len(cells)}")
    row = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
    payment_id, order_id = row.get("payment_id") or None, row.get("order_id") or None
    if payment_id is None and order_id is None:
        raise _BadRowError("must have an order_id or a payment_id")
    if any(len(one) > _MAX_ID_LENGTH for one in (payment_id, order_id) if one):
        raise _BadRowError(f"ids must have at most {_MAX_ID_LENGTH} characters")
    return PaymentEntry(
        payment_id=payment_id,
        order_id=order_id,
        status=_status(row.get("status", "")),
        amount=_amount(row.get("amount", ""), row.get("currency", "")),
        at=_time(row.get("created_at", "")),
        where=f"line {line}",
    )


def _status(text: str) -> Status | None:
    if not text:
        return None
    if text not in _STATUSES:
        raise _BadRowError(f"status must be one of {', '.join(_STATUSES)}")
    return _STATUSES[text]


def _amount(amount: str, currency: str) -> Money | None:
    if not amount:
        return None
    try:
        return from_major(amount, currency)
    except UnreadableError:
        raise _BadRowError(
            "amount must be in major units with a point (10.50) and no more decimals than the currency has, "
            "and currency must be three capital letters"
        ) from None


def _time(text: str) -> datetime | None:
    if not text:
        return None
    at = parse_time(text)
    if at is None:
        raise _BadRowError("created_at must be an RFC 3339 time with offset, such as 2026-11-23T09:00:00Z")
    return at


def _refuse_duplicate(entry: PaymentEntry, lines: dict[tuple[str, str], int], line: int) -> None:
    """Refuse a second row for one payment, because the two could contradict each other."""
    for key in _keys(entry):
        if key in lines:
            raise _BadRowError(f"{key[0]} must be unique, but it is also on line {lines[key]}")
        lines[key] = line


def _keys(entry: PaymentEntry) -> Iterator[tuple[str, str]]:
    if entry.payment_id is not None:
        yield "payment_id", entry.payment_id
    elif entry.order_id is not None:
        yield "order_id", entry.order_id
