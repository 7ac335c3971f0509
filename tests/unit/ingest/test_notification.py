"""What is kept of a request, and what never is."""

import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from paynotify.ingest.notification import TimestampFormatter, origin, record_headers
from paynotify.ingest.sent_headers import MAX_VALUE_BYTES, SentHeaders
from paynotify.schemas.times import parse_time
from paynotify.schemas.traceparent import valid_traceparent

SHOP = origin("trustpayments", "shop-uk")
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def headers_of(request: dict[bytes, bytes], method: str = "POST", query: bytes = b"") -> dict[str, bytes]:
    written = record_headers(SHOP, method, query, request, b"2026-11-23T09:00:01.120Z")
    SentHeaders(lambda text: None).add(written, request)
    assert len({name for name, _ in written}) == len(written)
    return dict(written)


def test_record_headers_name_source_type_time_and_request() -> None:
    written = headers_of({b"content-type": b"text/plain", b"traceparent": TRACE}, query=b"a=1&b=%20")
    event_id = written.pop("ce_id").decode()
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", event_id)
    assert written == {
        "ce_specversion": b"1.0",
        "ce_source": b"/notifications/trustpayments/shop-uk",
        "ce_type": b"payment.notification.received.v1",
        "ce_time": b"2026-11-23T09:00:01.120Z",
        "content-type": b"text/plain",
        "http-method": b"POST",
        "http-query": b"a=1&b=%20",
        "traceparent": TRACE,
    }


def test_record_headers_keep_only_listed_request_headers() -> None:
    request = {
        b"authorization": b"Bearer secret",
        b"cookie": b"session=secret",
        b"x-forwarded-for": b"192.0.2.7",
        b"x-api-key": b"secret",
        b"user-agent": b"provider/1",
        b"x-request-id": b"r-1",
    }
    written = headers_of(request)
    assert written["user-agent"] == b"provider/1"
    assert written["x-request-id"] == b"r-1"
    assert not {"authorization", "cookie", "x-forwarded-for", "x-api-key"} & set(written)
    assert not any(b"secret" in value or b"192.0.2.7" in value for value in written.values())


def test_trace_context_that_is_invalid_is_replaced() -> None:
    for wrong in (b"", b"00-zz", b"\xff\xfe", b"00-" + b"0" * 32 + b"-" + b"1" * 16 + b"-01"):
        written = headers_of({b"traceparent": wrong})["traceparent"]
        assert written != wrong
        assert valid_traceparent(written.decode())


def test_record_ids_and_traces_are_unique() -> None:
    first, second = headers_of({}), headers_of({})
    assert first["ce_id"] != second["ce_id"]
    assert first["traceparent"] != second["traceparent"]


@given(st.binary(max_size=2_000))
def test_record_header_values_are_short_text_for_any_input(value: bytes) -> None:
    written = headers_of({b"user-agent": value, b"content-type": value, b"x-request-id": value})
    for name in ("user-agent", "content-type", "x-request-id"):
        assert (name in written) == bool(value), "a header without a value is no CloudEvent's"
        if not value:
            continue
        assert len(written[name]) <= MAX_VALUE_BYTES
        assert written[name].decode("ascii") == written[name].decode("utf-8")


def test_timestamps_are_utc_with_milliseconds() -> None:
    clock = TimestampFormatter()
    before = datetime.now(UTC)
    told = [clock.now().decode() for _ in range(1_000)]
    after = datetime.now(UTC)
    assert told == sorted(told)
    for text in (told[0], told[-1]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
        moment = parse_time(text)
        assert moment is not None
        assert before.timestamp() - 0.001 <= moment.timestamp() <= after.timestamp()
