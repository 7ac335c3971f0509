"""What must be 0 on a good day: each is a list with a filter, so that its rows are one click away."""

from __future__ import annotations

from typing import Final

from paynotify.ops.console.lists.filters import (
    ActionsFilter,
    CasesFilter,
    DeadFilter,
    ListFilter,
    OverdueFilter,
    PaymentsFilter,
    RejectedFilter,
    RequestsFilter,
    SilentFilter,
)
from paynotify.ops.console.lists.listing import ListShape
from paynotify.ops.console.lists.shapes import SHAPES

#: Rejected and dead-lettered records stay on their topics for months, also after they were replayed.
_LATELY: Final = "7d"
_CASES: Final = ("money_taken_back", "money_returned", "over_refunded", "odd_elements")

#: A title, the list's address, its shape, and the filter.
ATTENTION: Final[tuple[tuple[str, str, ListShape, ListFilter], ...]] = (
    ("overdue orders", "/overdue", SHAPES["overdue"], OverdueFilter(state=("raised",))),
    ("rejected notifications of a week", "/rejected", SHAPES["rejected"], RejectedFilter(since=_LATELY)),
    ("dead letters of a week", "/dead", SHAPES["dead"], DeadFilter(since=_LATELY)),
    ("uncertain requests", "/requests", SHAPES["requests"], RequestsFilter(state=("uncertain",))),
    (
        "requests that were started an hour ago and did not end",
        "/requests",
        SHAPES["requests"],
        RequestsFilter(state=("started",), until="1h"),
    ),
    ("silent providers", "/silent", SHAPES["silent"], SilentFilter(state=("silent",))),
    ("cases of a week", "/cases", SHAPES["cases"], CasesFilter(kind=_CASES, since=_LATELY)),
    (
        "payments with a status that nobody knows",  # also of goods that left and are recalled
        "/payments",
        SHAPES["payments"],
        PaymentsFilter(fulfilment=("hold", "stop"), status=("unknown",)),
    ),
    (
        "captured payments that are held",
        "/payments",
        SHAPES["payments"],
        PaymentsFilter(fulfilment=("hold",), status=("captured", "partially_refunded")),
    ),
    ("actions that did not end", "/history", SHAPES["actions"], ActionsFilter(ended=("no",))),
)
