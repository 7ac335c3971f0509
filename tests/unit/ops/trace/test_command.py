"""A payment's story: what is told, in which order, and what never is."""

from __future__ import annotations

import dataclasses

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from ops.common.raw_scan import batches
from ops.trace.html import page
from ops.trace.search import OrderNews, PaymentRecords
from ops.trace.timeline import Timeline, tell
from processors.dead_letters import ended
from processors.interpret.stage import observation_id
from processors.resolve.transitions import PaymentState, advance
from schemas import messages
from schemas.cloudevents import cloud_event
from schemas.messages import Expectation, ExpectedPayment, Lookup, OverduePayment, PaymentRequest
from schemas.money import Money
from schemas.records import Record
from schemas.status import Status
from tests.fakes.observations import observation

TOKEN = "eyJ-pull-token"
BODY = b'{"cardNumber":"4111111111111111","name":"<b>A. Shopper</b>"}'


def _record(topic: str, offset: int, value: bytes, at: float, **headers: str) -> Record:
    return Record(topic, 0, offset, b"shop-uk/p1", value, tuple((k, v.encode()) for k, v in headers.items()), at)


def _found() -> PaymentRecords:
    found = PaymentRecords(whole=True)
    lookup = Lookup(
        provider="omnikassa",
        merchant="shop-uk",
        operation="pull",
        reference=None,
        notification_id="n1",
        received_at="2026-06-01T12:00:00.000Z",
        arguments={"token": TOKEN},
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
    buried = ended(stored, "rejected", "bad_signature")
    found.rejected = [Record(buried.topic, 0, 0, buried.key, buried.value, buried.headers, 1.5)]
    found.lookups = [_record("lookups", 0, messages.encode(lookup), 2.0, ce_id="l1")]
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


def _story() -> Timeline:
    return tell("omnikassa", "shop-uk", "p1", _found(), expected_required=False)


def test_everything_is_told_in_order_with_its_place() -> None:
    story = _story()
    kinds = [one.kind for one in story.entries]
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
    assert story.status == "captured"
    assert story.entries[0].details["bytes"] == len(BODY)
    assert len(story.entries[0].details["sha256"]) == 64
    assert story.entries[1].details == {"reason": "bad_signature", "original": "notifications/0/0"}
    assert story.entries[-1].what == "captured -> pending refused"
    assert (story.entries[-1].topic, story.entries[-1].offset) == ("observations", 1)


def _news(number: int, kind: str) -> tuple[Record, OrderNews]:
    amount = Money(1050, "GBP")
    news: dict[str, OrderNews] = {
        "expected": ExpectedPayment(
            merchant="shop-uk",
            order_id="O1",
            amount=amount,
            created_at="<script>",
            final_by="2026-06-01T13:00:00+00:00",
        ),
        "raised": OverduePayment(
            event_id="e",
            state="raised",
            provider="omnikassa",
            merchant="shop-uk",
            order_id="O1",
            payment_id=None,
            status=None,
            amount=amount,
            created_at="",
            at="",
            final_by="2026-06-01T13:00:00Z",
        ),
        "cleared": OverduePayment(
            event_id="f",
            state="cleared",
            provider="omnikassa",
            merchant="shop-uk",
            order_id="O1",
            payment_id="p1",
            status="captured",
            amount=amount,
            created_at="",
            at="",
            final_by="2026-06-01T13:00:00Z",
        ),
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


def test_what_the_shop_expected_and_requested_is_told_in_its_place_in_time() -> None:
    found = _found()
    found.news = [_news(1, "expected"), _news(2, "request"), _news(3, "raised"), _news(9, "cleared")]
    story = tell("omnikassa", "shop-uk", "p1", found, expected_required=False)
    told = {one.kind: one for one in story.entries if one.kind in ("expected", "request", "overdue")}
    assert story.entries[0].kind == "expected"  # of the same moment as the notification
    assert story.entries[-1].what == "no more overdue: captured"
    assert [one.at for one in story.entries] == sorted(one.at for one in story.entries)
    assert told["expected"].what == "the shop expects 1050 GBP (minor units), final by 2026-06-01T13:00:00.000Z"
    assert told["request"].what == "charge refused: over_day_limit"
    assert "overdue: not final by 2026-06-01T13:00:00.000Z" in [one.what for one in story.entries]
    assert "<script>" not in messages.encode(story).decode()
    html = page([story])
    assert all(one in html for one in (">expected<", ">overdue<", ">request<"))
    assert html.count("<circle") == len(story.entries)


def test_an_order_without_a_payment_has_a_story_too() -> None:
    found = PaymentRecords(order_id="O1", news=[_news(1, "expected"), _news(3, "raised")])
    story = tell("omnikassa", "shop-uk", "", found, expected_required=False)
    assert (story.name, story.order_id, story.status) == ("shop-uk", "O1", None)
    assert [one.kind for one in story.entries] == ["expected", "overdue"]
    assert "order O1" in page([story])


def test_a_lookup_of_recovery_tells_why_it_was_made() -> None:
    lookup = Lookup(
        provider="trustpayments",
        merchant="shop-uk",
        operation="transaction",
        reference=None,
        notification_id="overdue",
        received_at="2026-06-01T12:00:00.000Z",
        arguments={"orderreference": "O1", "recovery": "1"},
    )
    found = PaymentRecords(order_id="O1", lookups=[_record("lookups", 0, messages.encode(lookup), 2.0, ce_id="l1")])
    (entry,) = tell("trustpayments", "shop-uk", "", found, expected_required=False).entries
    assert entry.what == "asks for transaction (overdue)"
    assert entry.details["recovery"] == "overdue"


def test_an_answer_tells_what_follows_from_it_whatever_was_expected_and_whenever_it_was_asked() -> None:
    said = dataclasses.replace(
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
    other, own, _ = tell("nevogate", "shop-hu", "p1", found, expected_required=False).entries
    assert other.what.endswith("nothing of this payment")
    assert "captured" in own.what


def test_no_body_token_or_free_header_is_told() -> None:
    story = _story()
    told = messages.encode(story).decode() + page([story])
    for hidden in (TOKEN, "4111", "Shopper", "secret=1", "q=personal"):
        assert hidden not in told


def test_refusals_are_left_out_where_the_observations_don_t_lead_to_the_events() -> None:
    found = _found()
    found.observations = found.observations[1:]
    story = tell("omnikassa", "shop-uk", "p1", found, expected_required=False)
    assert "refused" not in [one.kind for one in story.entries]
    assert "can't be told" in story.notes[0]


def test_the_page_needs_nothing_else_and_escapes_what_came_from_outside() -> None:
    story = dataclasses.replace(_story(), order_id="<script>alert(1)</script>")
    html = page([story])
    assert "<script" not in html
    assert "src=" not in html
    assert "http" not in html.replace("http_status", "")
    assert html.count("<circle") == len(story.entries)


def _batch(base: int, keys: list[bytes], compression: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, compression, False, -1, -1, -1, 1 << 20)
    for number, key in enumerate(keys):
        builder.append(number, 1, key, b"v" * 100, [])
    raw = bytearray(builder.build())
    raw[0:8] = base.to_bytes(8, "big")
    return bytes(raw)


def test_batches_are_told_apart_and_a_torn_last_one_is_left_out() -> None:
    first, second = _batch(10, [b"a", b"b"]), _batch(12, [b"c"], compression=1)
    raw = first + second + first[:50]
    assert list(batches(raw)) == [
        (0, len(first), 12, False),
        (len(first), len(first) + len(second), 13, True),
    ]
