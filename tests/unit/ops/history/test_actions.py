"""The records of one action are one entry, and the filters find it."""

from __future__ import annotations

from itertools import permutations

import pytest
from msgspec.structs import replace

from paynotify.ops.history.actions import HistoryEntry, HistoryFilter, entries
from paynotify.ops.history.entry_row import UNENDED, entry_row
from paynotify.schemas.messages import OperatorAction

INTENDED = OperatorAction(
    event_id="e-1",
    action_id="a-1",
    state="intended",
    command="correct",
    by="anna",
    identity="named",
    at="2026-06-01T12:00:00.000Z",
    os_user="root",
    kafka_user="ops",
    merchant="shop-uk",
    payment_id="p1",
    reason="case 4711",
    arguments={"status": "captured"},
    planned=1,
)
ENDED = replace(INTENDED, event_id="e-2", state="done", at="2026-06-01T12:00:01.000Z", published=1)
LATER = replace(INTENDED, event_id="e-3", action_id="a-2", at="2026-06-02T12:00:00.000Z")


def test_records_of_an_action_are_one_entry_in_whatever_order_and_number() -> None:
    for records in permutations((INTENDED, ENDED, LATER, ENDED)):
        assert entries(records) == [HistoryEntry(INTENDED, ENDED), HistoryEntry(LATER)]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (HistoryFilter(), True),
        (HistoryFilter(by=["anna"]), True),
        (HistoryFilter(by=["root"]), True),
        (HistoryFilter(by=["ops", "nobody"]), True),
        (HistoryFilter(by=["bob"]), False),
        (HistoryFilter(commands=["replay", "correct"]), True),
        (HistoryFilter(commands=["replay"]), False),
        (HistoryFilter(merchants=["shop-uk"]), True),
        (HistoryFilter(merchants=["shop-nl"]), False),
        (HistoryFilter(payment=("shop-uk", "p1")), True),
        (HistoryFilter(payment=("shop-uk", "p2")), False),
        (HistoryFilter(by=["anna"], commands=["replay"]), False),
    ],
)
def test_filter_matches_by_who_command_merchant_and_payment(wanted: HistoryFilter, found: bool) -> None:
    assert wanted.matches(INTENDED) is found


def test_row_shows_who_gave_a_name_and_that_an_end_is_missing() -> None:
    assert entry_row(HistoryEntry(INTENDED, ENDED))[1:] == (
        "anna (root)",
        "correct",
        "shop-uk/p1",
        "status=captured",
        "case 4711",
        "done 1 of 1",
    )
    assert entry_row(HistoryEntry(LATER))[-1] == f"{UNENDED} of 1"
