"""Each rule of the verifier sees the one thing it is for, and nothing in what is right."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from paynotify.schemas import topics
from tests.fault.evidence import Delivery, Entry, Evidence
from tests.fault.judgement import RULES, accepted, over_the_pace, pages
from tests.fault.watcher import Stalls

PAYMENT: Final = "shop-uk/57-9-1"
BODY: Final = b"transactionreference=57-9-1"
STORED: Final = topics.notifications("trustpayments")
LOOKUPS: Final = topics.lookups("trustpayments")
RESPONSES: Final = topics.responses("trustpayments")
BANK: Final = topics.responses("omnikassa")


def entry(key: str, value: Any, at: float = 0.0, **headers: str) -> Entry:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    named = {name if name.startswith("ce_") else name.replace("_", "-"): text for name, text in headers.items()}
    return Entry(partition=0, offset=0, key=key, value=raw, headers=named, at=at)


def status(sequence: int, word: str, before: str | None, **more: Any) -> Entry:
    event = {
        "event_id": f"id-{sequence}",
        "sequence": sequence,
        "status": word,
        "previous_status": before,
        "order_id": "O1",
        "amount": 5,
        "paid": None,
        "refunded": None,
        "fulfilment": "hold",
        "checks": {},
        **more,
    }
    return entry(PAYMENT, event, ce_id=event["event_id"])


def delivery(status_code: int | None = 200) -> Delivery:
    return Delivery(
        provider="trustpayments",
        merchant="shop-uk",
        method="POST",
        query="",
        sha256=hashlib.sha256(BODY).hexdigest(),
        status=status_code,
    )


@pytest.fixture
def right() -> Evidence:
    """One payment at a provider, told of once, and one page of the bank: all as it should be."""
    evidence = Evidence()
    evidence.books = {
        "trustpayments": {
            "payments": {
                "57-9-1": {"merchant": "shop-uk", "status": "captured", "history": ["authorised", "captured"]}
            },
            "violations": [],
            "waiting": 0,
        },
        "nevogate": {
            "payments": {},
            "violations": [],
            "waiting": 0,
            "unanswered": [],
            "uncaused": [],
            "money": {"c1": {"merchant": "shop-hu", "order_id": "R1", "moved": 1}},
        },
        "omnikassa": {
            "payments": {},
            "violations": [],
            "waiting": 0,
            "uncollected": 0,
            "pages": [{"signature": "abc", "at": 10.0, "merchant": "shop-uk", "payments": ["57-9-1"]}],
        },
    }
    evidence.deliveries = [delivery(), delivery(503), delivery(None)]
    evidence.records[STORED] = [
        entry(PAYMENT, BODY, ce_id="n1", ce_source="/notifications/trustpayments/shop-uk", http_method="POST")
    ]
    evidence.records[LOOKUPS] = [entry(PAYMENT, {"notification_id": "n1"}, ce_id="l1")]
    evidence.records[RESPONSES] = [entry(PAYMENT, {}, lookups='[{"lookup_id": "l1"}]')]
    evidence.records[BANK] = [entry("shop-uk", {"signature": "abc"}, at=10.5, lookups="[]")]
    first, second = status(1, "authorised", None), status(2, "captured", "authorised", paid={"value": 5})
    evidence.records[topics.STATUS] = [first, second, first]
    evidence.records[topics.LATEST] = [first, second]
    return evidence


def test_verifier_finds_nothing_in_a_right_run(right: Evidence) -> None:
    assert {name: rule(right) for name, rule in RULES.items()} == {name: [] for name in RULES}
    assert accepted(right) == 1
    assert pages(right).seconds == (0.5,)


def _change(evidence: Evidence, topic: str, number: int, **fields: Any) -> None:
    """The same event with other fields, where it stands."""
    old = evidence.records[topic][number]
    event = json.loads(old.value) | fields
    evidence.records[topic][number] = replace(
        old, value=json.dumps(event).encode(), headers={**old.headers, "ce_id": event["event_id"]}
    )


def _book(evidence: Evidence, provider: str, **fields: Any) -> None:
    books = copy.deepcopy(dict(evidence.books))
    books[provider] = {**books[provider], **fields}
    evidence.books = books


def _third(evidence: Evidence, word: str, **more: Any) -> None:
    last = status(3, word, "captured", **{"paid": {"value": 5}, **more})
    evidence.records[topics.STATUS].append(last)
    evidence.records[topics.LATEST].append(last)


def _looks(*references: str) -> list[Entry]:
    """Lookups of so many references each, because of their settlement."""
    return [
        entry(
            PAYMENT,
            {"notification_id": f"c{number}", "arguments": {"cause": "settlement due", "references": some}},
            ce_id=f"look-{number}",
        )
        for number, some in enumerate(references)
    ]


WRONGS: Final[list[tuple[str, Callable[[Evidence], object]]]] = [
    ("lost", lambda one: one.records[STORED].clear()),
    ("lost", lambda one: one.deliveries.append(delivery())),
    ("wrong_or_missing_final_status", lambda one: one.records[topics.STATUS].clear()),
    ("wrong_or_missing_final_status", lambda one: one.records[topics.STATUS].pop(1)),
    ("payments_no_provider_knows", lambda one: _book(one, "trustpayments", payments={})),
    ("events_beyond_the_allowed", lambda one: _third(one, "captured")),
    ("events_beyond_the_allowed", lambda one: _third(one, "refunded")),
    ("status_regressions", lambda one: _third(one, "authorised")),
    ("sequence_gaps", lambda one: one.records[topics.STATUS].pop(0)),
    ("sequence_gaps", lambda one: _change(one, topics.STATUS, 1, previous_status="pending")),
    ("one_id_two_contents", lambda one: _change(one, topics.STATUS, 1, event_id="id-1")),
    ("one_id_two_contents", lambda one: _change(one, topics.LATEST, 1, amount=6)),
    ("latest_is_not_the_last", lambda one: one.records[topics.LATEST].reverse()),
    ("notifications_or_lookups_without_one_end", lambda one: one.records[LOOKUPS].clear()),
    (
        "notifications_or_lookups_without_one_end",
        lambda one: one.records[topics.REJECTED].append(entry(PAYMENT, b"", ce_id="n1")),
    ),
    ("notifications_or_lookups_without_one_end", lambda one: one.records[RESPONSES].clear()),
    ("wrong_or_missing_final_status", lambda one: _change(one, topics.STATUS, 1, refunding={"value": 3})),
    ("settlements_asked_for_twice", lambda one: one.records[LOOKUPS].extend(_looks("57-9-1", "57-9-1 57-9-2"))),
    (
        "lookups_refused_with_another",
        lambda one: one.records[topics.DEAD].append(entry(PAYMENT, {}, ce_id="l1", reason="refused")),
    ),
    ("nevogate_calls_without_result", lambda one: _book(one, "nevogate", unanswered=["t1"])),
    ("nevogate_results_without_cause", lambda one: _book(one, "nevogate", uncaused=["t1"])),
    ("provider_rules_broken", lambda one: _book(one, "omnikassa", violations=[{"rule": "r", "about": "a", "at": "t"}])),
    ("left_at_the_provider", lambda one: _book(one, "omnikassa", uncollected=1)),
    (
        "money_moved_twice",
        lambda one: _book(
            one, "nevogate", money={n: {"merchant": "m", "order_id": "R1", "moved": 1} for n in ("c1", "c2")}
        ),
    ),
    (
        "cases_without_one_operations_event",
        lambda one: one.records[topics.DEAD].append(entry("shop-nl", b"", ce_id="r1", elements="orderResults/3")),
    ),
    ("cases_without_one_operations_event", lambda one: _third(one, "refunded", refunded={"value": 6})),
    ("cases_without_one_operations_event", lambda one: one.records[topics.OPERATIONS].append(_noticed("o1", "r1"))),
    (
        "cases_without_one_operations_event",
        lambda one: one.records[topics.OPERATIONS].extend((_noticed("o1", "s1", "corrected"), _noticed("o2", "s1"))),
    ),
]


def _noticed(event_id: str, cause: str, kind: str = "odd_elements") -> Entry:
    return entry("shop-nl", {"event_id": event_id, "kind": kind, "cause": cause}, ce_id=event_id)


def test_page_with_odd_elements_and_its_one_event_are_right_if_repeated(right: Evidence) -> None:
    right.records[topics.DEAD] = [entry("shop-nl", b"", ce_id="r1", elements="orderResults/3")] * 2
    right.records[topics.OPERATIONS] = [_noticed("o1", "r1")] * 2
    assert RULES["cases_without_one_operations_event"](right) == []
    right.records[topics.OPERATIONS].append(_noticed("o2", "r1"))
    assert RULES["cases_without_one_operations_event"](right) == ["odd_elements at r1: 2 ids"]


@pytest.mark.parametrize(("figure", "go_wrong"), WRONGS)
def test_wrong_is_found_by_its_rule(right: Evidence, figure: str, go_wrong: Callable[[Evidence], object]) -> None:
    go_wrong(right)
    assert RULES[figure](right)


def test_one_look_at_each_settlement_is_right(right: Evidence) -> None:
    right.records[LOOKUPS].extend(_looks("57-9-1 57-9-2", "57-9-3") * 2)
    assert RULES["settlements_asked_for_twice"](right) == []


def test_rule_has_its_wrong() -> None:
    assert {figure for figure, _ in WRONGS} == RULES.keys() - {"omnikassa_orders_lost_in_the_window"}


def test_page_that_was_never_stored_is_healed_by_a_right_status_and_lost_without(right: Evidence) -> None:
    right.records[BANK].clear()
    window = pages(right)
    assert (window.not_stored, window.orders_on_them, window.not_healed) == (("abc",), 1, ())
    assert RULES["omnikassa_orders_lost_in_the_window"](right) == []
    right.records[topics.STATUS].clear()
    assert RULES["omnikassa_orders_lost_in_the_window"](right) == [PAYMENT]


def test_calls_over_the_banks_pace_are_stated_and_break_no_rule(right: Evidence) -> None:
    _book(right, "omnikassa", violations=[{"rule": "calls per second", "about": "shop-nl", "at": "t"}])
    assert over_the_pace(right) == 1
    assert RULES["provider_rules_broken"](right) == []


@pytest.mark.parametrize(("word", "right_word"), [("pending", True), ("captured", False)])
def test_charge_opened_and_never_started_is_only_pending(right: Evidence, word: str, right_word: bool) -> None:
    charge = {"c2": {"merchant": "shop-hu", "order_id": "R2", "moved": 0}}
    _book(right, "nevogate", money=charge, orphans=["c2"])
    told = status(1, word, None)
    right.records[topics.STATUS].append(replace(told, key="shop-hu/c2"))
    assert RULES["payments_no_provider_knows"](right) == []
    assert (RULES["events_beyond_the_allowed"](right) == []) is right_word


def test_partition_stalls_while_it_has_records_to_read() -> None:
    place, stalls = ("group", "topic", 0), Stalls()
    for now, committed, end in ((0, 5, 5), (9, 5, 5), (10, 5, 7), (12, 5, 8), (13, 6, 8), (15, 8, 8), (30, 8, 8)):
        stalls.look({place: (committed, end)}, float(now))
    # behind from 10 on, moved at 13; then 2 s more to the end
    assert stalls.longest == {place: (3.0, 10.0)}
