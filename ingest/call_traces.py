"""Spans of the ingress: one for each traced call, from its head to its answer, and within it one for its storing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from paynotify.ingest.call import WebhookCall
from paynotify.ingest.limits import TokenBucket
from paynotify.schemas.ingress import RESPONSES, RequestOutcome
from paynotify.schemas.traceparent import given_traceparent, new_traceparent

if TYPE_CHECKING:
    from paynotify.service.span_exporter import SpanExporter, TracedSpan

#: Calls per second that are traced under a trace id of the caller's choice: anybody can choose one that is sampled.
_GIVEN_PER_SECOND: Final = 10.0
_GIVEN_BURST: Final = 20
_ROUTE: Final = "/notifications/{provider}/{merchant}"
_METHODS: Final = frozenset(("GET", "POST"))
_FAILED: Final = frozenset(outcome for outcome, response in RESPONSES.items() if response.status >= 500)


class CallTrace:
    """The spans of one traced call."""

    __slots__ = ("_span", "_storing", "exemplar")

    def __init__(self, span: TracedSpan) -> None:
        self._span = span
        self._storing: TracedSpan | None = None
        self.exemplar = span.exemplar

    def handed_over(self, topic: str, body_bytes: int) -> None:
        """The record is with the producer."""
        attributes: dict[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.operation.type": "send",
            "messaging.destination.name": topic,
            "messaging.message.body.size": body_bytes,
        }
        self._storing = self._span.child(f"send {topic}", "producer", attributes)

    def answered(self, call: WebhookCall, provider: str, outcome: RequestOutcome) -> None:
        """The call is answered. Neither its path nor its query is told: they may hold a token or a customer's words."""
        if self._storing is not None:  # the brokers have acknowledged the record, or have not in time
            self._storing.end(error=None if outcome is RequestOutcome.STORED else "not_stored")
            self._storing = None
        attributes: dict[str, str | int] = {
            "http.request.method": _method(call),
            "http.route": _ROUTE,
            "http.response.status_code": RESPONSES[outcome].status,
            "paynotify.provider": provider,
            "paynotify.outcome": outcome.value,
        }
        if call.has_destination:
            attributes["paynotify.merchant"] = call.destination.origin.merchant
        self._span.end(attributes, error=outcome.value if outcome in _FAILED else None)


class CallTraces:
    """Decides which calls are traced, and begins their spans."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._sampling = exporter.sampling
        self._given = TokenBucket(_GIVEN_PER_SECOND, _GIVEN_BURST)

    def begin(self, call: WebhookCall) -> None:
        """Decide, and set what the call's record will have as ``traceparent``."""
        given = given_traceparent(call.fields.get(b"traceparent"))
        if given is not None:
            self._within(call, given)
            return
        call.traceparent = new_traceparent().encode()
        if self._sampling.takes(call.traceparent):
            span = self._exporter.begin(_name(call), "server")
            call.traceparent, call.trace = span.traceparent, CallTrace(span)

    def _within(self, call: WebhookCall, given: bytes) -> None:
        # whether the caller traces it says nothing about whether we do
        if self._sampling.takes(given[:-2] + b"01") and self._given.take(time.monotonic()):
            span = self._exporter.begin(_name(call), "server", parent=self._exporter.within(given))
            call.traceparent, call.trace = span.traceparent, CallTrace(span)
        else:
            call.traceparent = given[:-2] + b"00"


def _method(call: WebhookCall) -> str:
    """The method, as OpenTelemetry names one that is not known."""
    return call.method if call.method in _METHODS else "_OTHER"


def _name(call: WebhookCall) -> str:
    return f"{call.method if call.method in _METHODS else 'HTTP'} {_ROUTE}"
