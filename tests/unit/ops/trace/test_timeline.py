"""A payment's timeline: its entries, their order, and what is never shown."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import msgspec
import pytest

from paynotify.ops.trace.html import page
from paynotify.ops.trace.search import OrderMessage, PaymentRecords
from paynotify.ops.trace.timeline import Timeline, TimelineEntry, build_timeline
from paynotify.processors.dead_letters import dead_lettered
from paynotify.processors.interpret.stage import observation_id
from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.processors.resolve.release import CAPTURED_ONLY
from paynotify.processors.resolve.transitions import advance
from paynotify.schemas import messages
from paynotify.schemas.messages import (
    Correction,
    Expectation,
    ExpectedPayment,
    Observation,
    OperationsEvent,
    OperatorAction,
    OverduePayment,
    PaymentRequest,
)
from paynotify.schemas.money import Money
from paynotify.schemas.records import Record
from paynotify.schemas.status import Status
from tests.fakes import payment_histories
from tests.fakes.cloud_events import cloud_event
from tests.fakes.observations import observation
from tests.fakes.stages import lookup

TOKEN = "eyJ-pull-token"
BODY = b'{"cardNumber":"4111111111111111","name":"<b>A. Shopper</b>"}'


def _record(topic: str, offset: int, value: bytes, at: float, **headers: str) -> Record:
    return Record(topic, 0, offset, b"shop-uk/p1", value, tuple((k, v.encode()) for k, v in headers.items()), at)


def _found() -> PaymentRecords:
    found = PaymentRecords(complete=True)
    pull = lookup(
        None, "shop-uk", provider="omnikassa", operation="pull", notification_id="n1", arguments={"token": TOKEN}
    )
    stored = _record(
        "notifications",
        0,
        BODY,
        1.0,
        ce_id="n1",
        ce_time="2026-06-01T12:00:00.000Z",
        **{"content-type": "application/json; secret=1", "http-query": "q=personal"},
    )
    found.notifications = [stored]
    rejected = dead_lettered(stored, "rejected", "bad_signature")
    found.rejected = [Record(rejected.topic, 0, 0, rejected.key, rejected.value, rejected.headers, 1.5)]
    found.lookups = [_record("lookups", 0, messages.encode(pull), 2.0, ce_id="l1")]
    found.responses = [_record("responses", 0, BODY, 3.0, ce_id="r1", ce_time="2026-06-01T12:00:00.000Z")]
    state = PaymentState()
    seen: tuple[Status, ...] = ("captured", "pending")
    for number, status in enumerate(seen):
        one = observation("p1", status)
        name = observation_id("r1", one)
        found.observations.append((_record("observations", number, b"", 4.0 + number, ce_id=name), one))
        after = advance(state, one)
        state = after.state
        if after.event is not None:
            headers = cloud_event(event_id=after.event.event_id, source="", event_type="", event_time="")
            found.statuses.append((Record("status", 0, 0, b"", b"", headers, 4.5), after.event))
    return found


def _timeline() -> Timeline:
    return build_timeline("omnikassa", "shop-uk", "p1", _found(), CAPTURED_ONLY)


def test_timeline_has_every_record_in_order_with_its_position() -> None:
    timeline = _timeline()
    kinds = [one.kind for one in timeline.entries]
    assert kinds == [
        "notification",
        "rejected",
        "lookup",
        "answer",
        "observation",
        "status",
        "observation",
        "refused",
    ]
    assert timeline.status == "captured"
    assert timeline.entries[0].details["bytes"] == len(BODY)
    assert len(timeline.entries[0].details["sha256"]) == 64
    assert timeline.entries[1].details == {"reason": "bad_signature", "original": "notifications/0/0"}
    assert timeline.entries[-1].what == "captured -> pending refused"
    assert (timeline.entries[-1].topic, timeline.entries[-1].offset) == ("observations", 1)


def _overdue(state: Literal["raised", "cleared"], **fields: Any) -> OverduePayment:
    known: dict[str, Any] = {"payment_id": None, "status": None, **fields}
    return OverduePayment(
        event_id=f"{state}/{known['status']}",
        state=state,
        provider="omnikassa",
        merchant="shop-uk",
        order_id="O1",
        amount=Money(1050, "GBP"),
        created_at="",
        at="",
        final_by="2026-06-01T13:00:00Z",
        **known,
    )


def _order_message(number: int, kind: str) -> tuple[Record, OrderMessage]:
    amount = Money(1050, "GBP")
    news: dict[str, OrderMessage] = {
        "expected": ExpectedPayment(
            merchant="shop-uk",
            order_id="O1",
            amount=amount,
            created_at="<script>",
            final_by="2026-06-01T13:00:00+00:00",
        ),
        "raised": _overdue("raised"),
        "late": _overdue("raised", payment_id="p1", status="authorised", reason="settlement"),
        "cleared": _overdue("cleared", payment_id="p1", status="captured"),
        "request": PaymentRequest(
            event_id="r",
            request_id="R1",
            merchant="shop-uk",
            provider="omnikassa",
            action="charge",
            state="refused",
            reason="over_day_limit",
            order_id="O1",
            payment_id=None,
            amount=amount,
            status=None,
            at="2026-06-01T12:00:00Z",
        ),
    }
    return _record(f"payments.{kind}", number, b"", float(number)), news[kind]


def test_timeline_has_expected_and_overdue_payments_and_requests_by_time() -> None:
    found = _found()
    found.order_messages = [
        _order_message(1, "expected"),
        _order_message(2, "request"),
        _order_message(3, "raised"),
        _order_message(4, "late"),
        _order_message(9, "cleared"),
    ]
    timeline = build_timeline("omnikassa", "shop-uk", "p1", found, CAPTURED_ONLY)
    shown = {one.kind: one for one in timeline.entries if one.kind in ("expected", "request", "overdue")}
    assert timeline.entries[0].kind == "expected"  # of the same moment as the notification
    assert timeline.entries[-1].what == "no longer overdue: captured"
    assert [one.at for one in timeline.entries] == sorted(one.at for one in timeline.entries)
    assert shown["expected"].what == "expected by the shop: 1050 GBP (minor units), final by 2026-06-01T13:00:00.000Z"
    assert shown["request"].what == "charge refused: over_day_limit"
    told = [one.what for one in timeline.entries if one.what.startswith("overdue")]
    assert told == ["overdue: not final by 2026-06-01T13:00:00.000Z", "overdue: authorised, its settlement is late"]
    assert "<script>" not in messages.encode(timeline).decode()
    html = page([timeline])
    assert all(one in html for one in (">expected<", ">overdue<", ">request<"))
    assert html.count("<circle") == len(timeline.entries)


def test_timeline_of_an_order_without_a_payment() -> None:
    found = PaymentRecords(order_id="O1", order_messages=[_order_message(1, "expected"), _order_message(3, "raised")])
    timeline = build_timeline("omnikassa", "shop-uk", "", found, CAPTURED_ONLY)
    assert (timeline.name, timeline.order_id, timeline.status) == ("shop-uk", "O1", None)
    assert [one.kind for one in timeline.entries] == ["expected", "overdue"]
    assert "order O1" in page([timeline])


def test_recovery_lookup_shows_its_cause() -> None:
    recovery = lookup(
        None,
        "shop-uk",
        provider="trustpayments",
        operation="transaction",
        notification_id="overdue",
        arguments={"orderreference": "O1", "recovery": "1"},
    )
    found = PaymentRecords(order_id="O1", lookups=[_record("lookups", 0, messages.encode(recovery), 2.0, ce_id="l1")])
    (entry,) = build_timeline("trustpayments", "shop-uk", "", found, CAPTURED_ONLY).entries
    assert entry.what == "look up transaction (overdue)"
    assert entry.details["recovery"] == "overdue"


def test_response_shows_its_observations_whatever_was_expected_and_whenever_it_came() -> None:
    said = msgspec.structs.replace(
        observation("p1", "captured"),
        observed_at="2026-06-01T11:59:59.000Z",
        expected=Expectation(amount=Money(1050, "GBP"), order_id="O1"),
    )
    found = PaymentRecords(
        responses=[
            _record("responses", number, BODY, 3.0, ce_id=f"r{number}", ce_time="2026-06-01T12:00:00.000Z")
            for number in (1, 2)
        ],
        observations=[(_record("observations", 0, b"", 4.0, ce_id=observation_id("r2", said)), said)],
    )
    other, own, _ = build_timeline("nevogate", "shop-hu", "p1", found, CAPTURED_ONLY).entries
    assert other.what.endswith("no observation of this payment")
    assert "captured" in own.what


def test_timeline_hides_bodies_tokens_and_free_headers() -> None:
    timeline = _timeline()
    shown = messages.encode(timeline).decode() + page([timeline])
    for hidden in (TOKEN, "4111", "Shopper", "secret=1", "q=personal"):
        assert hidden not in shown


def test_refusals_are_left_out_if_observations_are_missing() -> None:
    found = _found()
    found.observations = found.observations[1:]
    timeline = build_timeline("omnikassa", "shop-uk", "p1", found, CAPTURED_ONLY)
    assert "refused" not in [one.kind for one in timeline.entries]
    assert "cannot be shown" in timeline.notes[0]


def test_html_page_is_self_contained_and_escapes_everything() -> None:
    timeline = dataclasses.replace(_timeline(), order_id="<script>alert(1)</script>")
    html = page([timeline])
    assert "<script" not in html
    assert "src=" not in html
    assert "http" not in html.replace("http_status", "")
    assert html.count("<circle") == len(timeline.entries)


def _entry_of(said: Observation) -> TimelineEntry:
    """The only entry of a payment of which nothing else is known."""
    found = PaymentRecords(observations=[(_record("observations", 0, b"", 1.0, ce_id="o1"), said)])
    (entry,) = build_timeline("trustpayments", "shop-uk", "p1", found, CAPTURED_ONLY).entries
    return entry


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (payment_histories.refund("r1", 400), "refund 400 GBP (minor units) under way"),
        (payment_histories.refund("r1", 400, settled=True), "refund 400 GBP (minor units) settled"),
        (payment_histories.refund("r1", 400, ended=True), "refund 400 GBP (minor units) ended"),
        (payment_histories.chargeback("c1", 300), "chargeback 300 GBP (minor units)"),
        (payment_histories.chargeback("c1", None), "chargeback of all"),
    ],
)
def test_refund_and_chargeback_say_what_became_of_them(said: Observation, text: str) -> None:
    assert _entry_of(said).what == text


def test_correction_names_its_author_and_reason() -> None:
    corrected = Correction(by="anna", reason="dispute won, case 4711")
    one = observation("p1", "captured", source="OPERATOR", correction=corrected)
    entry = _entry_of(one)
    assert entry.what == "captured (corrected by anna: dispute won, case 4711) 1000 GBP (minor units)"
    assert entry.details["source"] == "OPERATOR"


def test_lookup_says_that_an_amount_was_missing_and_no_cause_that_is_none() -> None:
    for cause, text in (("amount missing", "look up details (amount missing)"), ("X", "look up details (n-1)")):
        found = _found()
        details = lookup("p1", "shop-hu", operation="details", arguments={"cause": cause, "recovery": "1"})
        found.lookups.append(_record("lookups", 1, messages.encode(details), 9.0, ce_id="l2"))
        entry = build_timeline("nevogate", "shop-hu", "p1", found, CAPTURED_ONLY).entries[-1]
        assert (entry.kind, entry.what) == ("lookup", text)


def test_lookup_says_that_a_settlement_was_due() -> None:
    found = _found()
    arguments = {"references": "p1 p2", "cause": "settlement due", "recovery": "1"}
    due = lookup(
        None,
        "shop-uk",
        provider="trustpayments",
        operation="transaction",
        notification_id="settlement/shop-uk/2026-06-02T08:00:00.000Z",
        arguments=arguments,
    )
    found.lookups.append(_record("lookups", 1, messages.encode(due), 9.0, ce_id="l2"))
    entry = build_timeline("trustpayments", "shop-uk", "p1", found, CAPTURED_ONLY).entries[-1]
    assert (entry.kind, entry.what) == ("lookup", "look up transaction (settlement due)")
    assert "p2" not in str(entry), "another payment is none of this one's business"
    found.lookups[-1] = _record(
        "lookups", 1, messages.encode(msgspec.structs.replace(due, arguments={**arguments, "cause": "<b>"})), 9.0
    )
    assert "<b>" not in str(build_timeline("trustpayments", "shop-uk", "p1", found, CAPTURED_ONLY))


def test_cases_and_actions_stand_in_the_timeline_with_their_kind_and_reason() -> None:
    case = OperationsEvent(
        event_id="e1",
        kind="over_refunded",
        provider="trustpayments",
        merchant="shop-uk",
        cause="s1",
        at="2026-06-01T12:00:00.000Z",
        payment_id="p1",
    )
    action = OperatorAction(
        event_id="e2",
        action_id="a1",
        state="intended",
        command="replay",
        by="anna",
        identity="named",
        at="2026-06-01T12:00:00.000Z",
        reason="case 4711",
    )
    found = PaymentRecords(
        cases=[(_record("operations", 0, b"", 1.0, ce_id="e1"), case)],
        actions=[(_record("operators.actions", 0, b"", 2.0, ce_id="e2"), action)],
    )
    timeline = build_timeline("trustpayments", "shop-uk", "p1", found, CAPTURED_ONLY)
    assert [(one.kind, one.what) for one in timeline.entries] == [
        ("case", "over_refunded"),
        ("action", "replay by anna, intended: case 4711"),
    ]
    assert "over_refunded" in page([timeline])
