"""The lists of the console: where each has its rows, how it is cut, and what it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from paynotify.ops.console.lists import cells
from paynotify.ops.console.lists.action_columns import ACTION_COLUMNS
from paynotify.ops.console.lists.cells import ListColumn, plain
from paynotify.ops.console.lists.command_line import history_command, replay_command
from paynotify.ops.console.lists.filters import (
    ActionsFilter,
    CasesFilter,
    DeadFilter,
    ListFilter,
    OverdueFilter,
    PaymentsFilter,
    ReconciliationsFilter,
    RejectedFilter,
    RequestsFilter,
    SilentFilter,
)
from paynotify.ops.console.lists.listing import ListShape
from paynotify.ops.console.lists.shapes import SHAPES
from paynotify.ops.console.reconciliations.columns import RECONCILIATION_COLUMNS
from paynotify.schemas import topics
from paynotify.schemas.configuration.kafka import KafkaSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleList:
    """One list. ``groups`` are the columns by which its rows are counted, ``command`` shows the same in a shell."""

    path: str
    title: str
    about: str
    shape: ListShape
    filter: type[ListFilter]
    columns: tuple[ListColumn, ...]
    groups: tuple[str, ...] = ()
    command: Callable[[Any], str] | None = None


def console_lists(kafka: KafkaSettings) -> tuple[ConsoleList, ...]:
    """Every list, for topics as they are named on the cluster."""

    def record(topic: str) -> ListColumn:
        return cells.record(kafka.topic(topic))

    return (
        ConsoleList(
            path="/rejected",
            title="Rejected",
            about="Notifications that caused no lookup: nobody asked the provider because of them.",
            shape=SHAPES["rejected"],
            filter=RejectedFilter,
            columns=(
                *(plain("rejected", "at"), plain("reason"), plain("provider"), plain("merchant")),
                *(cells.payment("transaction_id"), plain("notification", "notification_id"), record(topics.REJECTED)),
            ),
            groups=("provider", "reason", "merchant"),
            command=lambda wanted: replay_command("rejected", wanted),
        ),
        ConsoleList(
            path="/dead",
            title="Dead letters",
            about="Records whose processing ended without a result. A replay gives them all their attempts again.",
            shape=SHAPES["dead"],
            filter=DeadFilter,
            columns=(
                *(plain("dead-lettered", "at"), plain("first seen", "first_seen"), plain("reason")),
                *(plain("attempts"), plain("of", "topic"), plain("merchant"), cells.payment("transaction_id")),
                record(topics.DEAD),
            ),
            groups=("provider", "reason", "merchant"),
            command=lambda wanted: replay_command("dead", wanted),
        ),
        ConsoleList(
            path="/overdue",
            title="Overdue",
            about="Orders that were not final in time. With the reason settlement only the bank's money is missing.",
            shape=SHAPES["overdue"],
            filter=OverdueFilter,
            columns=(
                *(plain("since", "at"), plain("state"), plain("merchant"), cells.order(), cells.amount()),
                *(plain("status"), plain("reason"), plain("final by", "final_by"), cells.payment()),
            ),
        ),
        ConsoleList(
            path="/requests",
            title="Requests",
            about="Requests to charge, capture or void (the action release). Of a started or uncertain one nobody "
            "knows whether money moved; paynotify polls the provider. Nobody may request it again under another id.",
            shape=SHAPES["requests"],
            filter=RequestsFilter,
            columns=(
                *(plain("as of", "at"), plain("state"), plain("reason"), plain("action"), plain("merchant")),
                *(plain("request", "request_id"), cells.order(), cells.payment(), cells.amount()),
                record(topics.REQUESTS),
            ),
        ),
        ConsoleList(
            path="/silent",
            title="Silent providers",
            about="Providers that report none of the orders expected of them. Without a merchant: of all merchants.",
            shape=SHAPES["silent"],
            filter=SilentFilter,
            columns=(
                *(plain("reported", "at"), plain("state"), plain("provider"), plain("merchant")),
                *(plain("orders in a row", "unheard"), plain("since"), record(topics.SILENT)),
            ),
        ),
        ConsoleList(
            path="/cases",
            title="Cases",
            about="What a person has to know of, such as a refund beyond what was captured.",
            shape=SHAPES["cases"],
            filter=CasesFilter,
            columns=(
                *(plain("at"), plain("kind"), plain("provider"), plain("merchant"), cells.payment()),
                *(plain("status"), plain("refused"), record(topics.OPERATIONS)),
            ),
        ),
        ConsoleList(
            path="/payments",
            title="Payments",
            about="Payments by their newest event.",
            shape=SHAPES["payments"],
            filter=PaymentsFilter,
            columns=(
                *(plain("observed", "observed_at"), plain("status"), plain("fulfilment"), cells.amount()),
                *(plain("amount check", "amount_check"), plain("merchant"), cells.payment(), cells.order()),
            ),
        ),
        ConsoleList(
            path="/history",
            title="Operators",
            about="What operators did: who, when, why, and how it ended.",
            shape=SHAPES["actions"],
            filter=ActionsFilter,
            columns=ACTION_COLUMNS,
            command=history_command,
        ),
        ConsoleList(
            path="/reconciliations",
            title="Reconciliations",
            about="What runs of paynotify reconcile found. The newest 50 reports of each merchant are here.",
            shape=SHAPES["reconciliations"],
            filter=ReconciliationsFilter,
            columns=RECONCILIATION_COLUMNS,
        ),
    )
