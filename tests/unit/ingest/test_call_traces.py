"""Which calls are traced, what their records carry, and what their spans tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from paynotify.ingest.call import CallResponse, WebhookCall
from paynotify.ingest.call_traces import CallTraces
from paynotify.ingest.request_parser import RequestHead
from paynotify.schemas.ingress import RequestOutcome
from paynotify.service.span_exporter import SpanExporter
from paynotify.service.traces import TraceSampling
from tests.fakes.otlp_receiver import OtlpReceiver, otlp_receiver

SPAN = b"-" + b"1" * 16
LOW, HIGH = b"00-" + b"a" * 16 + b"0" * 16 + SPAN, b"00-" + b"a" * 16 + b"f" * 16 + SPAN


class _Caller:
    def respond(self, call: WebhookCall, response: CallResponse) -> None:
        return


def call(path: str = "/notifications/nevogate/shop-hu/secret-4711", **headers: str) -> WebhookCall:
    given = [(name.encode(), text.encode()) for name, text in headers.items()]
    return WebhookCall(_Caller(), RequestHead("POST", path, b"q=secret-4711", given, True, dict(given)), "203.0.113.7")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    with otlp_receiver() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.endpoint)
        yield running


def traces(share: float) -> tuple[SpanExporter, CallTraces]:
    exporter = SpanExporter("ingest", TraceSampling.of(share))
    return exporter, CallTraces(exporter)


def answered(outcome: RequestOutcome) -> WebhookCall:
    """A call whose record was handed over, and that was answered so; its spans are exported."""
    exporter, made = traces(1.0)
    one = call()
    made.begin(one)
    assert one.trace is not None
    one.trace.handed_over("notifications.nevogate", 12)
    one.trace.answered(one, "nevogate", outcome)
    exporter.close()
    return one


def test_call_and_its_storing_are_spans_without_path_query_or_address(receiver: OtlpReceiver) -> None:
    one = answered(RequestOutcome.STORED)
    send, server = receiver.spans
    assert (server.kind, send.kind, send.parent_id) == (2, 4, server.span_id)
    assert one.traceparent == f"00-{server.trace_id}-{server.span_id}-01".encode(), "workers link to the call's span"
    assert server.attributes["http.response.status_code"] == 200
    wire = b"".join(receiver.raw)
    assert b"secret-4711" not in wire
    assert b"203.0.113.7" not in wire


def test_call_that_is_not_stored_is_a_failed_span(receiver: OtlpReceiver) -> None:
    answered(RequestOutcome.NOT_STORED)
    assert [(span.name, span.failed) for span in receiver.spans] == [
        ("send notifications.nevogate", True),
        ("POST /notifications/{provider}/{merchant}", True),
    ]


@pytest.mark.parametrize("flags", [b"-00", b"-01"])
def test_callers_wish_to_be_traced_counts_nowhere(receiver: OtlpReceiver, flags: bytes) -> None:
    exporter, made = traces(0.5)
    low, high = call(traceparent=(LOW + flags).decode()), call(traceparent=(HIGH + flags).decode())
    made.begin(low)
    made.begin(high)
    assert (low.trace is not None, high.trace is not None) == (True, False)
    assert low.traceparent is not None
    assert low.traceparent[:36] == LOW[:36], "the record stays in the caller's trace"
    assert high.traceparent == HIGH + b"-00", "no stage traces it"
    exporter.close()


def test_trace_ids_of_the_callers_choice_are_traced_at_a_limited_rate(receiver: OtlpReceiver) -> None:
    exporter, made = traces(0.01)
    calls = [call(traceparent=(LOW + b"-01").decode()) for _ in range(1_000)]
    for one in calls:
        made.begin(one)
    assert sum(one.trace is not None for one in calls) < 100
    assert {one.traceparent for one in calls if one.trace is None} == {LOW + b"-00"}
    exporter.close()


def test_call_without_a_trace_gets_one_that_every_process_judges_the_same(receiver: OtlpReceiver) -> None:
    exporter, made = traces(0.5)
    for _ in range(200):
        one = call()
        made.begin(one)
        assert one.traceparent is not None
        assert exporter.sampling.takes(one.traceparent) is (one.trace is not None)
    exporter.close()


def test_wire_holds_no_header(receiver: OtlpReceiver) -> None:
    exporter, made = traces(1.0)
    given: dict[str, Any] = {"user-agent": "agent-4711", "authorization": "Basic 4711"}
    one = call("/nowhere/4711", **given)
    made.begin(one)
    assert one.trace is not None
    one.trace.answered(one, "unknown", RequestOutcome.NO_SUCH_ROUTE)
    exporter.close()
    assert b"4711" not in b"".join(receiver.raw)
    assert receiver.spans[0].attributes["http.response.status_code"] == 404
