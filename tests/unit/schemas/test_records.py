"""Records, their headers, ids and times."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.dead_letters import dead_lettered
from paynotify.schemas import messages
from paynotify.schemas.cloudevents import EventHeaders, with_headers
from paynotify.schemas.configuration.events import EventSettings
from paynotify.schemas.ids import derived_id, time_ordered_id
from paynotify.schemas.records import Record
from paynotify.schemas.times import parse_time, rfc3339, rfc3339_of
from paynotify.schemas.traceparent import new_traceparent, valid_traceparent
from tests.fakes.cloud_events import cloud_event
from tests.fakes.stages import header, record

texts = st.text(max_size=20)


@given(st.lists(texts, max_size=4), st.lists(texts, max_size=4))
def test_derived_ids_depend_on_their_parts_alone(one: list[str], other: list[str]) -> None:
    assert derived_id(*one) == derived_id(*one)
    if "\x1f".join(one) != "\x1f".join(other):
        assert derived_id(*one) != derived_id(*other)


def test_derived_ids_stay_what_they_are() -> None:
    # consumers remember them: another id for the same content would be a second effect
    assert derived_id("status", "{}") == "bffae669-67a3-5b2f-9b5c-58a71bd1aaa6"


def test_ids_are_ordered_by_time() -> None:
    first = uuid.UUID(time_ordered_id())
    moment = time.time_ns() // 1_000_000
    assert first.version == 7
    assert first.variant == uuid.RFC_4122
    assert abs((first.int >> 80) - moment) < 60_000
    assert len({time_ordered_id() for _ in range(1000)}) == 1000


def test_traces() -> None:
    assert valid_traceparent(new_traceparent())
    assert not any(
        map(
            valid_traceparent,
            [
                "",
                f"00-{'0' * 32}-{'1' * 16}-01",
                f"00-{'1' * 32}-{'0' * 16}-01",
                f"01-{'1' * 32}-{'1' * 16}-01",
                f"00-{'A' * 32}-{'1' * 16}-01",
                f"00-{'1' * 32}-{'1' * 16}-01\n",
            ],
        )
    )


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 - hypothesis wants naive bounds
def test_times_survive_their_text_to_the_millisecond(naive: datetime) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(hours=2)))
    text = rfc3339(moment)
    back = parse_time(text)
    assert back is not None
    assert text.endswith("Z")
    assert timedelta(0) <= moment - back < timedelta(milliseconds=1)


def test_moment_in_unix_seconds_is_a_text_in_utc() -> None:
    assert rfc3339_of(1_780_315_200.25) == "2026-06-01T12:00:00.250Z"


@given(st.datetimes(), st.datetimes())
def test_order_of_texts_is_the_order_of_times(one: datetime, other: datetime) -> None:
    first, second = one.replace(tzinfo=UTC), other.replace(tzinfo=UTC)
    if first <= second:
        assert rfc3339(first) <= rfc3339(second)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-06-01", "2026-06-01T12:00:00", "2026-13-01T12:00:00Z"])
def test_text_that_is_no_instant_is_none(text: str) -> None:
    assert parse_time(text) is None


def test_last_header_of_a_name_counts_and_no_value_breaks_it() -> None:
    made = Record("t", 0, 0, None, None, (("a", b"1"), ("a", b"2"), ("b", b"\xff"), ("c", None)), 0.0)  # type: ignore[arg-type]  # a null header is legal in Kafka
    assert (made.header("a"), made.header("b", "x"), made.header("c", "y"), made.header("d")) == ("2", "x", "y", "")


@pytest.mark.parametrize("value", [b"\xff", None, b"z"])
def test_all_headers_at_once_are_those_read_one_by_one(value: Any) -> None:
    one = Record("t", 0, 0, None, None, (("a", b"1"), ("b", b"2"), ("a", value), ("c", b"3")), 0.0)
    assert one.texts() == {name: one.header(name) for name in "abc"}


def test_changed_headers_keep_the_order_of_the_others() -> None:
    headers = (("a", b"1"), ("b", b"2"), ("a", b"3"), ("c", b"4"))
    assert with_headers(headers, {"a": "9", "d": "5"}) == (("b", b"2"), ("c", b"4"), ("a", b"9"), ("d", b"5"))


def test_cloud_events_are_binary_mode_headers() -> None:
    headers = cloud_event(event_id="i", source="/s", event_type="t", event_time="z", traceparent="p", duplicate_of="o")
    assert headers == (
        ("ce_specversion", b"1.0"),
        ("ce_id", b"i"),
        ("ce_source", b"/s"),
        ("ce_type", b"t"),
        ("ce_time", b"z"),
        ("traceparent", b"p"),
        ("duplicate-of", b"o"),
    )


def test_headers_without_a_value_are_left_out() -> None:
    """The SDKs refuse an event with an empty attribute."""
    headers = cloud_event(event_id="i", source="/s", event_type="t", event_time="", traceparent="", known="")
    assert [name for name, _ in headers] == ["ce_specversion", "ce_id", "ce_source", "ce_type"]
    assert with_headers((("a", b"1"), ("b", b"2")), {"a": "", "c": ""}) == (("b", b"2"),)


def test_event_with_a_json_value_names_its_type_schema_and_subject() -> None:
    said = dict(
        cloud_event(event_id="i", source="/s", event_type=messages.STATUS_CHANGED, event_time="z", subject=b"k")
    )
    assert (said["content-type"], said["ce_subject"]) == (b"application/json", b"k")
    assert said["ce_dataschema"] == b"urn:paynotify:v1:PaymentStatus.json"
    raw = dict(cloud_event(event_id="i", source="/s", event_type=messages.RESPONSE_RECEIVED, event_time="z"))
    assert {"content-type", "ce_dataschema"}.isdisjoint(raw)


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("7", "00 00000007"),
        ("2147483", "00 0020c49b"),
        ("f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "01 f81d4fae7dec11d0a76500a0c91e6bf6"),
    ],
)
def test_installation_names_source_schema_base_and_schema_ids(text: str, header: str) -> None:
    settings = EventSettings(
        source="//pay.example/eu", schema_base="https://pay.example/v1/", schema_ids={"PaymentStatus": text}
    )
    made = EventHeaders(settings, "/resolve", messages.STATUS_CHANGED)
    said = dict(made("i", "z"))
    assert (said["ce_source"], said["ce_dataschema"]) == (
        b"//pay.example/eu/resolve",
        b"https://pay.example/v1/PaymentStatus.json",
    )
    assert said["__value_schema_id"] == bytes.fromhex(header)
    assert made("i", "z") == made("i", "z")
    assert "__value_schema_id" not in dict(EventHeaders(settings, "/resolve", messages.PAYMENT_SEEN)("i"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": "//pay example"},
        {"source": "//pay.example/"},
        {"source": "/notifications/x"},
        {"source": "/a/notifications"},
        {"schema_base": "schemas/"},
        {"schema_base": "https://pay.example"},
        {"schema_ids": {"PaymentStatus": "seven"}},
        {"schema_ids": {"PaymentStatus": "-1"}},
    ],
)
def test_wrong_event_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, EventSettings)


def test_record_that_ended_twice_says_where_it_ended_last() -> None:
    first = dead_lettered(record(b"x", {"ce_time": "2026-06-01T12:00:00.000Z"}, offset=7), "dead", "refused")
    again = Record("dead", 3, 9, first.key, first.value, first.headers, 0.0)
    second = dead_lettered(again, "dead", "internal_error", attempts=4)
    assert [header(second, name) for name in ("reason", "original-offset", "attempts", "first-seen")] == [
        "internal_error",
        "9",
        "4",
        "2026-06-01T12:00:00.000Z",
    ]
    assert len(second.headers) == len(first.headers)
