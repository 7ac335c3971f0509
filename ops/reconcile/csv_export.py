"""A shop's export of its payments: a CSV file with documented columns, read whole or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, get_args

from ops.reconcile.compare import PaymentEntry
from schemas.errors import ConfigurationError, UnreadableError
from schemas.money import Money, from_major
from schemas.status import Status
from schemas.times import parse_time

COLUMNS: Final = ("order_id", "payment_id", "status", "amount", "currency", "created_at")

_LARGEST_BYTES: Final = 256 * 1024 * 1024
_LONGEST: Final = 250
_ERRORS_SHOWN: Final = 20
_WORDS: Final[Mapping[str, Status]] = {word: word for word in get_args(Status)}


class _BadRowError(Exception):
    """What is wrong with one row; never leaves this module."""


def read_export(path: str) -> list[PaymentEntry]:
    """The file's payments, each with the line it stands on.

    Raises:
        ConfigurationError: it can't be read, or some rows are wrong; the text names their lines.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"The export {path} can't be read: {error.strerror}.") from None
    if len(raw) > _LARGEST_BYTES:
        raise ConfigurationError(
            f"The export {path} is larger than {_LARGEST_BYTES // 1024**2} MiB. Export a shorter period."
        )
    return payments_in(raw, path)


def payments_in(raw: bytes, path: str) -> list[PaymentEntry]:
    """The payments in an export's bytes; ``path`` is only named in errors.

    Raises:
        ConfigurationError: some rows are wrong, or it is no such file at all.
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
                continue  # an empty line at the end is no payment
            try:
                entry = _entry(names, cells, rows.line_num)
                _refuse_second(entry, lines, rows.line_num)
                entries.append(entry)
            except _BadRowError as error:
                problems.append(f"line {rows.line_num}: {error}")
    except csv.Error as error:
        problems.append(f"line {rows.line_num}: not CSV ({error})")
    if problems:
        more = len(problems) - _ERRORS_SHOWN
        rest = [f"... and {more} more"] if more > 0 else []
        raise ConfigurationError(
            "\n  ".join([f"The export {path} has bad rows; nothing was compared.", *problems[:_ERRORS_SHOWN], *rest])
        )
    return entries


def _text(raw: bytes, path: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"The export {path} is not UTF-8 (line {line}). Export it as UTF-8.") from None


def _delimiter(text: str) -> str:
    header = text.partition("\n")[0]
    return ";" if header.count(";") > header.count(",") else ","


def _header(path: str, cells: list[str]) -> list[str]:
    names = [one.strip() for one in cells]
    known = f"Its columns may be {', '.join(COLUMNS)}; order_id or payment_id must be among them."
    unknown = sorted({one if one.isprintable() else "?" for one in names if one not in COLUMNS})
    if unknown:
        raise ConfigurationError(f"The export {path} has no header of known columns: {unknown[0][:50]!r}. {known}")
    if len(set(names)) != len(names):
        raise ConfigurationError(f"The export {path} has a column twice. {known}")
    if not {"order_id", "payment_id"} & set(names):
        raise ConfigurationError(f"The export {path} names no payments. {known}")
    return names


def _entry(names: list[str], cells: list[str], line: int) -> PaymentEntry:
    if len(cells) != len(names):
        raise _BadRowError(f"{len(cells)} cells instead of {len(names)}")
    row = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
    payment_id, order_id = row.get("payment_id") or None, row.get("order_id") or None
    if payment_id is None and order_id is None:
        raise _BadRowError("neither order_id nor payment_id")
    if any(len(one) > _LONGEST for one in (payment_id, order_id) if one):
        raise _BadRowError(f"an id of more than {_LONGEST} characters")
    return PaymentEntry(
        payment_id=payment_id,
        order_id=order_id,
        status=_status(row.get("status", "")),
        amount=_amount(row.get("amount", ""), row.get("currency", "")),
        at=_time(row.get("created_at", "")),
        where=f"line {line}",
    )


def _status(word: str) -> Status | None:
    if not word:
        return None
    if word not in _WORDS:
        raise _BadRowError(f"status is none of {', '.join(_WORDS)}")
    return _WORDS[word]


def _amount(amount: str, currency: str) -> Money | None:
    if not amount:
        return None
    try:
        return from_major(amount, currency)
    except UnreadableError:
        raise _BadRowError(
            "amount and currency are no sum of money: write the amount in major units with a point (10.50), "
            "with no more digits than the currency has, and the currency as three capital letters"
        ) from None


def _time(text: str) -> datetime | None:
    if not text:
        return None
    at = parse_time(text)
    if at is None:
        raise _BadRowError("created_at is no RFC 3339 time with offset, such as 2026-11-23T09:00:00Z")
    return at


def _refuse_second(entry: PaymentEntry, lines: dict[tuple[str, str], int], line: int) -> None:
    """Two rows of one payment could say two things of it."""
    for key in _keys(entry):
        if key in lines:
            raise _BadRowError(f"the same {key[0]} stands on line {lines[key]}")
        lines[key] = line


def _keys(entry: PaymentEntry) -> Iterator[tuple[str, str]]:
    if entry.payment_id is not None:
        yield "payment_id", entry.payment_id
    elif entry.order_id is not None:
        yield "order_id", entry.order_id
