"""The SQL of the console's lists: a page of rows after a given one, and how many there are.

A list is ordered by time and cut by a few columns of closed words, its leads. An SQL index begins with them. So a page
is the first rows of one short search for each combination of leads, however many rows the list has.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from itertools import product
from typing import Any, Final

from paynotify.ops.console.lists.filters import ListFilter, WrongFilterError
from paynotify.schemas.times import rfc3339

#: The rows of a page.
PAGE_ROWS: Final = 50
#: Groups of records that are counted apart.
MAX_GROUPS: Final = 50

#: Holds for rows of merchants that may be seen. The plus keeps SQLite from looking for all rows of a merchant first.
OWN_MERCHANTS: Final = "+merchant IN (SELECT value FROM json_each(?))"

#: A statement and its values.
Sql = tuple[str, list[Any]]


@dataclass(frozen=True, slots=True)
class ListShape:
    """Where a list's rows are. ``order`` are the columns that order it, of which the first is its time.

    ``leads`` are the columns of closed words that its SQL index begins with, each with all its words. ``condition``
    holds for every row of the list, and ``selected`` is what a page reads of each. ``shared``: a row without a merchant
    concerns all of them, and may be seen by everybody.
    """

    table: str
    order: tuple[str, ...]
    leads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    condition: str = ""
    selected: str = "*"
    shared: bool = False


def page_statement(shape: ListShape, wanted: ListFilter, merchants: Collection[str] | None, now: datetime) -> Sql:
    """The rows of a page, and one more if there are older ones. ``merchants`` are those that may be seen; None: all.

    Raises:
        WrongFilterError: its ``before`` is not of this list.
    """
    rest, rest_values = _conditions(shape, wanted, merchants, now, without=shape.leads)
    if wanted.before:
        if len(wanted.before) != len(shape.order):
            raise WrongFilterError("before names no row of this list. Go back to its first page.")
        names = ", ".join(f'"{one}"' for one in shape.order)
        rest.append(f"({names}) < ({', '.join('?' for _ in shape.order)})")
        rest_values += wanted.before
    order = ", ".join(f'"{one}" DESC' for one in shape.order)
    chosen = f"SELECT {shape.selected} FROM {shape.table}"  # noqa: S608 - own names
    branches, values = [], []
    for words in product(*(getattr(wanted, lead) or all_words for lead, all_words in shape.leads.items())):
        tests = [*(f'"{lead}" = ?' for lead in shape.leads), *rest]
        branches.append(f"{chosen}{_where(tests)} ORDER BY {order} LIMIT {PAGE_ROWS + 1}")
        values += [*words, *rest_values]
    if len(branches) == 1:
        return branches[0], values
    together = " UNION ALL ".join(f"SELECT * FROM ({one})" for one in branches)  # noqa: S608 - own names
    return f"{together} ORDER BY {order} LIMIT {PAGE_ROWS + 1}", values


def count_statement(shape: ListShape, wanted: ListFilter, merchants: Collection[str] | None, now: datetime) -> Sql:
    """How many rows the list has, and the time of the oldest."""
    tests, values = _conditions(shape, wanted, merchants, now)
    return f"SELECT count(*), min({shape.order[0]}) FROM {shape.table}{_where(tests)}", values  # noqa: S608 - own names


def groups_statement(
    shape: ListShape, by: tuple[str, ...], wanted: ListFilter, merchants: Collection[str] | None, now: datetime
) -> Sql:
    """How many rows the list has of each combination of the columns ``by``, with the times of the oldest and newest."""
    tests, values = _conditions(shape, wanted, merchants, now)
    names, time = ", ".join(by), shape.order[0]
    counts = f"SELECT {names}, count(*) AS records, min({time}) AS oldest, max({time}) AS newest"
    grouped = f" FROM {shape.table}{_where(tests)} GROUP BY {names} ORDER BY records DESC, {names} LIMIT {MAX_GROUPS}"
    return counts + grouped, values


def _conditions(
    shape: ListShape,
    wanted: ListFilter,
    merchants: Collection[str] | None,
    now: datetime,
    without: Collection[str] = (),
) -> tuple[list[str], list[Any]]:
    """All that the rows must be, but for the columns ``without``."""
    tests, values = ([shape.condition] if shape.condition else []), []
    if merchants is not None:
        tests.append(OWN_MERCHANTS)
        values.append(json.dumps(sorted({*merchants, ""} if shape.shared else merchants)))
    for one in fields(wanted):
        texts = getattr(wanted, one.name)
        if one.name in ("since", "until", "before", *without) or not texts:
            continue
        columns = one.metadata.get("sql") or (f'"{one.name}"',)
        tests.append("(" + " OR ".join(f"{column} IN ({', '.join('?' for _ in texts)})" for column in columns) + ")")
        values += [*texts] * len(columns)
    for sign, moment in zip((">=", "<"), wanted.window(now), strict=True):
        if moment is not None:
            tests.append(f'"{shape.order[0]}" {sign} ?')
            values.append(rfc3339(moment))
    return tests, values


def _where(tests: Collection[str]) -> str:
    return f" WHERE {' AND '.join(tests)}" if tests else ""
