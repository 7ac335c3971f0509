"""What the index keeps of each topic: one row for each thing that a page lists or a search finds.

Of two rows with the same key the newer one stays, whichever was read first. So the index is the same in whatever order
the partitions are read, and however often a record is repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from paynotify.ops.console.index import rows
from paynotify.ops.console.index.rows import Row
from paynotify.schemas import topics
from paynotify.schemas.records import Record

_PLACE: Final = ("partition", "offset")

#: The newest reports of each merchant that are kept: each may be large, and somebody may reconcile every minute.
KEPT_REPORTS: Final = 50


@dataclass(frozen=True, slots=True)
class Table:
    """A table and how its rows are read. The first ``keys`` columns are the key, the last two the record's place.

    Of two rows with the same key that with the greater ``newest`` column stays; if they are equal, the one with the
    greater place. ``searched`` are the columns that a search looks in, ``listed`` the columns by which lists are cut
    and ordered, then those of other filters: rows that these leave out need not be read. ``is_compacted``: a record
    without a value removes the row of its key. ``kept``: of the rows with the same first key column only so many stay,
    those with the greatest keys; 0 for all.
    """

    name: str
    topic: str
    columns: tuple[str, ...]
    keys: int
    newest: str
    searched: tuple[str, ...]
    read: Callable[[Record], Row]
    listed: tuple[tuple[str, ...], ...] = ()
    is_compacted: bool = False
    kept: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        """Without key columns each record has a row of its own, by its place."""
        return self.columns[: self.keys] or _PLACE

    @property
    def is_of_records(self) -> bool:
        """Whether a row stands for one record, however often it was written, and goes when the last of them goes.

        Those of operators' actions have names, which must not outlive their topic's retention.
        """
        return not self.newest


TABLES: Final = (
    Table(
        "payments",
        topics.LATEST,
        (
            *("merchant", "payment_id", "sequence", "order_id", "provider", "status", "fulfilment", "amount_check"),
            *("final", "amount", "currency", "reason", "observed_at", "event", *_PLACE),
        ),
        2,
        "sequence",
        ("payment_id", "order_id"),
        rows.payment_row,
        (
            ("fulfilment", "status", "observed_at", "merchant", "payment_id", "provider", "amount_check"),
            ("merchant", "status", "observed_at"),
        ),
        is_compacted=True,
    ),
    Table(
        "expected",
        topics.EXPECTED,
        ("merchant", "order_id", "version", "created_at", "payment_id", "amount", "currency", "final_by", *_PLACE),
        2,
        "version",
        ("order_id", "payment_id"),
        rows.expected_row,
    ),
    Table(
        "overdue",
        topics.OVERDUE,
        (
            *("merchant", "order_id", "at", "state", "provider", "payment_id", "status", "reason", "amount"),
            *("currency", "final_by", *_PLACE),
        ),
        2,
        "at",
        ("order_id",),
        rows.overdue_row,
        (("state", "at", "merchant", "order_id"),),
    ),
    Table(
        "requests",
        topics.REQUESTS,
        (
            *("merchant", "request_id", "progress", "state", "action", "provider", "reason", "order_id", "payment_id"),
            *("amount", "currency", "status", "at", *_PLACE),
        ),
        2,
        "progress",
        ("request_id", "order_id", "payment_id"),
        rows.request_row,
        (("state", "at", "merchant", "request_id"),),
    ),
    Table(
        "silent",
        topics.SILENT,
        ("provider", "merchant", "at", "state", "unheard", "since", "urgent", *_PLACE),
        2,
        "at",
        (),
        rows.silent_row,
    ),
    Table(
        "cases",
        topics.OPERATIONS,
        (
            *("event_id", "kind", "provider", "merchant", "payment_id", "status", "refused", "elements_total", "at"),
            *_PLACE,
        ),
        1,
        "",
        (),
        rows.case_row,
        (("kind", "at", "event_id"),),
    ),
    Table(
        "actions",
        topics.OPERATORS,
        (
            *("action_id", "ended", "state", "command", "by", "os_user", "kafka_user", "at", "merchant", "payment_id"),
            *("event", *_PLACE),
        ),
        2,
        "",
        (),
        rows.action_row,
        (("at", "action_id"),),
    ),
    Table(
        "reconciliations",
        topics.RECONCILIATIONS,
        (
            *("merchant", "run_id", "at", "provider", "start", "end", "source", "compared", "differences"),
            *("unreadable", "repair", "queued", "by", "report", *_PLACE),
        ),
        2,
        "",
        (),
        rows.reconciliation_row,
        (("at", "run_id"),),
        kept=KEPT_REPORTS,
    ),
    Table(
        "rejected",
        topics.REJECTED,
        (
            *("provider", "merchant", "transaction_id", "key", "notification_id", "reason", "received_at", "at"),
            *_PLACE,
        ),
        0,
        "",
        ("transaction_id", "notification_id"),
        rows.rejected_row,
        (("at", *_PLACE, "provider", "reason", "merchant", "key"), ("provider", "reason", "merchant", "at")),
    ),
    Table(
        "dead",
        topics.DEAD,
        (
            *("provider", "merchant", "transaction_id", "key", "record_id", "notification_id", "reason", "topic"),
            *("attempts", "first_seen", "at", *_PLACE),
        ),
        0,
        "",
        ("transaction_id", "record_id", "notification_id"),
        rows.dead_row,
        (("at", *_PLACE, "provider", "reason", "merchant", "key"), ("provider", "reason", "merchant", "at")),
    ),
)
