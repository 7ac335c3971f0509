"""What a search found, as its page shows it, and the one page that all of it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from paynotify.ops.console.index.tables import TABLES
from paynotify.ops.console.links import order_path, payment_path, record_path
from paynotify.ops.console.queries import IndexRow, SearchHit

#: A kind's heading, and what of its row is its id, its state and its time.
_SHOWN: Final[Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...], str]]] = {
    "payments": ("payment", ("payment_id",), ("status", "fulfilment"), "observed_at"),
    "expected": ("expected order", ("order_id",), ("final_by",), "created_at"),
    "overdue": ("overdue order", ("order_id",), ("state", "reason"), "at"),
    "requests": ("request", ("request_id",), ("action", "state", "reason"), "at"),
    "rejected": ("rejected notification", ("notification_id", "transaction_id"), ("reason",), "at"),
    "dead": ("dead letter", ("record_id", "transaction_id"), ("reason",), "at"),
}
_TABLES: Final = {one.name: one for one in TABLES}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownHit:
    """A line of the search page. ``is_exact``: the text is the whole id, and not only its beginning."""

    kind: str
    merchant: str
    id: str
    href: str
    order_id: str
    state: str
    at: str
    is_exact: bool


def shown_hits(hits: Iterable[SearchHit], text: str, topic: Callable[[str], str]) -> list[ShownHit]:
    """Exact hits first; otherwise in the order of their kinds. ``topic`` tells the name on the cluster."""
    found = [_shown(one, text, topic) for one in hits]
    return sorted(found, key=lambda one: not one.is_exact)


def only_page(hits: Sequence[SearchHit], text: str, topic: Callable[[str], str]) -> str:
    """The page that every hit is about: of one hit its own, of several that of their order or payment; empty if there
    is no such page."""
    if len(hits) == 1:
        return _href(hits[0], topic)
    for names, path in ((("merchant", "payment_id"), payment_path), (("merchant", "order_id"), order_path)):
        about = {tuple(_value(one.row, name) for name in names) for one in hits}
        if len(about) == 1:
            merchant, found = about.pop()
            if merchant and found.startswith(text):
                return path(merchant, found)
    return ""


def _shown(hit: SearchHit, text: str, topic: Callable[[str], str]) -> ShownHit:
    kind, ids, states, at = _SHOWN[hit.kind]
    return ShownHit(
        kind=kind,
        merchant=_value(hit.row, "merchant"),
        id=next((value for name in ids if (value := _value(hit.row, name))), ""),
        href=_href(hit, topic),
        order_id=_value(hit.row, "order_id"),
        state=" ".join(value for name in states if (value := _value(hit.row, name))),
        at=_value(hit.row, at),
        is_exact=any(hit.row[name] == text for name in _TABLES[hit.kind].searched),
    )


def _href(hit: SearchHit, topic: Callable[[str], str]) -> str:
    row = hit.row
    if hit.kind == "payments":
        return payment_path(row["merchant"], row["payment_id"])
    if hit.kind in ("expected", "overdue") or (hit.kind == "requests" and row["order_id"]):
        return order_path(row["merchant"], row["order_id"])
    if hit.kind == "requests" and row["payment_id"]:
        return payment_path(row["merchant"], row["payment_id"])
    return record_path(topic(_TABLES[hit.kind].topic), row["partition"], row["offset"])


def _value(row: IndexRow, name: str) -> Any:
    if name == "payment_id" and name not in row:
        name = "transaction_id"
    value = row.get(name)
    return "" if value is None else str(value)
