"""What a list shows of a row, cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from paynotify.ops.common.amounts import money_text
from paynotify.ops.console.links import order_path, payment_path, record_path
from paynotify.schemas.money import Money

Row = Mapping[str, Any]
_TIMES: Final = frozenset({"at", "observed_at", "first_seen", "final_by", "since"})


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, where it leads, and the class of its style."""

    text: str
    href: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True)
class ListColumn:
    """A column of a list: its heading, and what it shows of a row."""

    title: str
    cell: Callable[[Row], Cell]


def plain(title: str, name: str = "") -> ListColumn:
    """The value of the column ``name``, by default of that titled so."""
    column = name or title
    style = "time" if column in _TIMES else ""
    return ListColumn(title, lambda row: Cell("" if row[column] is None else str(row[column]), style=style))


def amount() -> ListColumn:
    """The amount with its decimals."""

    def cell(row: Row) -> Cell:
        if row["amount"] is None:
            return Cell("")
        return Cell(money_text(Money(row["amount"], row["currency"])))

    return ListColumn("amount", cell)


def payment(name: str = "payment_id") -> ListColumn:
    """The payment, and the way to its page."""

    def cell(row: Row) -> Cell:
        merchant, payment_id = row["merchant"], row[name]
        return Cell(payment_id, payment_path(merchant, payment_id)) if merchant and payment_id else Cell("")

    return ListColumn("payment", cell)


def order() -> ListColumn:
    """The order, and the way to its page."""

    def cell(row: Row) -> Cell:
        return Cell(row["order_id"], order_path(row["merchant"], row["order_id"])) if row["order_id"] else Cell("")

    return ListColumn("order", cell)


def record(topic: str) -> ListColumn:
    """The record that the row was made from: its place on the topic (its name on the cluster)."""

    def cell(row: Row) -> Cell:
        place = (row["partition"], row["offset"])
        return Cell(f"{topic}/{place[0]}/{place[1]}", record_path(topic, *place))

    return ListColumn("record", cell)
