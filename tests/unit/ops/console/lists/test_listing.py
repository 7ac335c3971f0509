"""The lists over an index: page by page each row once, the rows that the filter is about, and no others."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from paynotify.ops.console.index.payment_index import PaymentIndex
from paynotify.ops.console.lists.attention import ATTENTION
from paynotify.ops.console.lists.definitions import console_lists
from paynotify.ops.console.lists.filters import (
    ActionsFilter,
    DeadFilter,
    ListFilter,
    PaymentsFilter,
    RejectedFilter,
    SilentFilter,
    WrongFilterError,
)
from paynotify.ops.console.lists.listing import PAGE_ROWS, count_statement, page_statement
from paynotify.ops.console.lists.shapes import SHAPES
from paynotify.ops.console.queries import IndexQueries, IndexRow
from paynotify.ops.history.actions import HistoryFilter, entries
from paynotify.ops.history.entry_row import entry_row
from paynotify.ops.replay.original import replay_targets
from paynotify.ops.replay.plan import ReplaySelection
from paynotify.schemas import topics
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.messages import OperatorAction, ProviderSilent, encode
from paynotify.schemas.reasons import DEAD_REASONS, REJECT_REASONS
from paynotify.schemas.records import Record
from tests.fakes.console_topics import NAMES, newest_record, payment_status, record

NOW: Final = datetime(2026, 11, 29, 20, 0, tzinfo=UTC)
MERCHANTS: Final = ("shop-uk", "shop-hu", "unheard-of")
TARGETS: Final = replay_targets(KafkaSettings())
Filled = Callable[[list[Record]], IndexQueries]
LISTS: Final = {one.path: one for one in console_lists(KafkaSettings())}


def failed_records(topic: str, reasons: tuple[str, ...], count: int) -> list[Record]:
    """Records of a topic of failures, several in each second of the last ten minutes, by chance."""
    chance = random.Random(5)
    made = []
    for offset in range(count):
        key = f"{chance.choice(MERCHANTS)}/{chance.choice('ab')}"
        headers = {"reason": chance.choice(reasons), "original-topic": chance.choice(sorted(TARGETS))}
        one = record(topic, offset % 2, offset, key, b"body", ce_id=f"n{offset}", **headers)
        at = NOW - timedelta(seconds=chance.randint(1, 600))
        made.append(msgspec.structs.replace(one, timestamp_seconds=at.timestamp()))
    return made


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    """What makes the queries of an index of records."""
    path = tmp_path / "index.sqlite"

    def fill(records: list[Record]) -> IndexQueries:
        with closing(PaymentIndex(path, NAMES, "test")) as index:
            for partition in (0, 1):
                for topic in {one.topic for one in records}:
                    part = [one for one in records if (one.topic, one.partition) == (topic, partition)]
                    if part:
                        index.apply(topic, partition, part, part[-1].offset + 1)
            index.add_search_indexes()
        return queries

    with closing(IndexQueries(path)) as queries:
        yield fill


def walked(queries: IndexQueries, table: str, wanted: ListFilter, merchants: set[str] | None = None) -> list[IndexRow]:
    """All pages of a list, one after the other."""
    found: list[IndexRow] = []
    while True:
        page = queries.page(SHAPES[table], wanted, merchants, NOW)
        assert len(page.rows) <= PAGE_ROWS
        found += page.rows
        if page.older is None:
            return found
        wanted = wanted.older(page.older)


FILTERS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"reason": ("stale", "malformed", "unavailable", "refused")},
    {"merchant": ("shop-uk",)},
    {"provider": ("nevogate", "trustpayments")},
    {"key": ("shop-hu/a",)},
    {"since": "5m"},
    {"until": "5m", "merchant": ("shop-uk", "shop-hu")},
    {"since": "2026-11-29T19:52:00Z", "until": "2026-11-29T19:58:00Z", "provider": ("omnikassa",)},
)


@pytest.mark.parametrize(("table", "kind"), [("rejected", RejectedFilter), ("dead", DeadFilter)])
def test_list_has_what_a_replay_selects_page_by_page(
    filled: Filled, table: str, kind: type[RejectedFilter] | type[DeadFilter]
) -> None:
    topic, reasons = {"rejected": (topics.REJECTED, REJECT_REASONS), "dead": (topics.DEAD, DEAD_REASONS)}[table]
    records = failed_records(topic, reasons, 400)
    queries = filled(records)
    for given in FILTERS:
        wanted = kind(**{name: value for name, value in given.items() if name != "reason"})
        if "reason" in given:
            wanted = replace(wanted, reason=tuple(one for one in given["reason"] if one in reasons))
        since, until = wanted.window(NOW)
        selection = ReplaySelection(
            reasons=wanted.reason,
            merchants=wanted.merchant,
            providers=wanted.provider,
            keys=[one.encode() for one in wanted.key],
        )
        expected = [
            one
            for one in records
            if selection.matches(one, TARGETS[one.header("original-topic")])
            and (since is None or one.timestamp_seconds >= since.timestamp())
            and (until is None or one.timestamp_seconds < until.timestamp())
        ]
        rows = walked(queries, table, wanted)
        assert {(row["partition"], row["offset"]) for row in rows} == {(one.partition, one.offset) for one in expected}
        assert [row["at"] for row in rows] == sorted((row["at"] for row in rows), reverse=True)
        assert len(rows) == len(expected), "no row comes twice"
        groups = queries.groups(SHAPES[table], ("provider", "reason", "merchant"), wanted, None, NOW)
        assert sum(one["records"] for one in groups) <= len(rows)
        if len(groups) < 50:
            assert sum(one["records"] for one in groups) == len(rows)


def test_list_has_no_row_of_a_merchant_that_may_not_be_seen(filled: Filled) -> None:
    queries = filled(failed_records(topics.REJECTED, REJECT_REASONS, 200))
    rows = walked(queries, "rejected", RejectedFilter(), {"shop-hu"})
    assert rows
    assert {row["merchant"] for row in rows} == {"shop-hu"}
    groups = queries.groups(SHAPES["rejected"], ("merchant",), RejectedFilter(), {"shop-hu"}, NOW)
    assert [(one["merchant"], one["records"]) for one in groups] == [("shop-hu", len(rows))]
    assert walked(queries, "rejected", RejectedFilter(), set()) == []
    counts = {one.title: one.count for one in queries.attention({"shop-hu"}, NOW)}
    assert counts["rejected notifications of a week"] == len(rows)
    hits = queries.search("unheard", {"shop-hu"})
    assert hits == []
    assert {one.row["merchant"] for one in queries.search("n10", {"shop-hu"})} <= {"shop-hu"}


def test_row_of_another_list_is_no_place_in_a_list(filled: Filled) -> None:
    queries = filled([])
    with pytest.raises(WrongFilterError, match="first page"):
        queries.page(SHAPES["rejected"], RejectedFilter(before=("2026-11-29T10:00:00.000Z",)), None, NOW)


def test_payments_are_cut_by_the_words_of_their_index_and_ordered_by_time(filled: Filled) -> None:
    chance = random.Random(3)
    made = []
    for offset in range(300):
        status, fulfilment = chance.choice(("captured", "unknown", "pending")), chance.choice(("hold", "release"))
        at = f"2026-11-29T1{chance.randint(0, 9)}:00:00.000Z"
        one = payment_status(f"p{offset}", 1, observed_at=at, status=status, fulfilment=fulfilment)
        made.append(newest_record(offset, one))
    queries = filled(made)
    assert len(walked(queries, "payments", PaymentsFilter())) == 300
    held = walked(queries, "payments", PaymentsFilter(fulfilment=("hold",), status=("unknown", "captured")))
    assert {(row["fulfilment"], row["status"]) for row in held} == {("hold", "unknown"), ("hold", "captured")}
    assert [row["observed_at"] for row in held] == sorted((row["observed_at"] for row in held), reverse=True)
    counted = sum(one.count for one in queries.attention(None, NOW) if one.href.startswith("/payments?"))
    assert counted == len(held)


def test_recalled_payment_with_an_unknown_status_needs_a_person_too(filled: Filled) -> None:
    one = payment_status("p", 2, status="unknown", fulfilment="stop", reason="unknown_after_release")
    queries = filled([newest_record(0, one)])
    assert [item.title for item in queries.attention(None, NOW) if item.count] == [
        "payments with a status that nobody knows"
    ]


def test_provider_that_is_silent_to_all_is_silent_to_each_merchant(filled: Filled) -> None:
    made = [
        record(topics.SILENT, 0, at, "trustpayments", encode(silent_provider(merchant)))
        for at, merchant in enumerate((None, "shop-hu"))
    ]
    queries = filled(made)
    listed = walked(queries, "silent", SilentFilter(), merchants={"shop-uk"})
    assert [row["merchant"] for row in listed] == [""]
    assert [one.count for one in queries.attention({"shop-uk"}, NOW) if one.href == "/silent"] == [1]


def silent_provider(merchant: str | None) -> ProviderSilent:
    return ProviderSilent(
        event_id="e",
        state="silent",
        provider="trustpayments",
        unheard=12,
        since="2026-11-29T10:00:00.000Z",
        at="2026-11-29T11:00:00.000Z",
        urgent=True,
        merchant=merchant,
    )


def began(number: int) -> OperatorAction:
    return OperatorAction(
        event_id=f"b{number}",
        action_id=f"a{number}",
        state="intended",
        command="replay",
        by=f"user{number}",
        identity="os_user",
        os_user="anna",
        at=f"2026-11-29T1{number}:00:00.000Z",
        merchant="shop-uk",
    )


def ended(action: OperatorAction) -> OperatorAction:
    return msgspec.structs.replace(action, event_id="e", state="done", at="2026-11-29T18:00:00.000Z", published=4)


def actions() -> list[OperatorAction]:
    """Two that ended, one that did not, and one of which only the end is known."""
    return [*map(began, range(3)), *(ended(began(number)) for number in (0, 1)), ended(began(9))]


def test_operators_log_is_what_history_shows(filled: Filled) -> None:
    made = actions()
    random.Random(2).shuffle(made)
    queries = filled([record(topics.OPERATORS, 0, at, "any", encode(one)) for at, one in enumerate(made)])
    columns = LISTS["/history"].columns

    def shown(wanted: ActionsFilter) -> list[list[str]]:
        return [[one.cell(row).text for one in columns] for row in walked(queries, "actions", wanted)]

    history = [list(entry_row(one)) for one in reversed(entries(made))]
    assert shown(ActionsFilter()) == history
    assert [row[-1] for row in shown(ActionsFilter(ended=("no",)))] == ["unknown end"]
    assert [row[1] for row in shown(ActionsFilter(by=("user1",)))] == ["user1"]
    assert len(shown(ActionsFilter(by=("anna",)))) == len(history), "a name that somebody gave hides no user"
    assert HistoryFilter(by=["anna"]).matches(made[0])
    assert {one.title: one.count for one in queries.attention(None, NOW)}["actions that did not end"] == 1


def test_pages_and_counts_of_every_list_are_found_by_an_index(filled: Filled, tmp_path: Path) -> None:
    filled([])
    database = sqlite3.connect(tmp_path / "index.sqlite")
    small = ("silent",)  # a row for each provider and merchant
    for one in LISTS.values():
        if one.shape.table in small:
            continue
        plan = _plan(database, page_statement(one.shape, one.filter(), None, NOW))
        assert all("USING" in step for step in plan if f" {one.shape.table}" in step), (one.path, plan)
        assert not any("SCAN" in step and "USING" not in step and one.shape.table in step for step in plan), plan
    for title, _, shape, wanted in ATTENTION:
        if shape.table not in small:
            assert any("INDEX" in step for step in _plan(database, count_statement(shape, wanted, None, NOW))), title
    database.close()


def _plan(database: sqlite3.Connection, sql: tuple[str, list[Any]]) -> list[str]:
    return [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {sql[0]}", sql[1])]


def test_narrower_filter_is_a_part_of_the_wider_list(filled: Filled) -> None:
    queries = filled(failed_records(topics.DEAD, DEAD_REASONS, 200))
    wide = DeadFilter(merchant=("shop-uk",))
    narrow = replace(wide, reason=("unavailable",))
    places = [{(row["partition"], row["offset"]) for row in walked(queries, "dead", one)} for one in (wide, narrow)]
    assert places[1] < places[0]
