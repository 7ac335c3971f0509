"""Records spans and exports them by OTLP. Imported only where `service.traces` finds that they are wanted.

Only those spans are made that are exported: which notifications have any is decided by their trace ids. What is made
waits in a bounded queue for a thread that sends it; while the collector is away, spans are dropped. No span has text
from outside: names, attributes and errors are configured names, numbers and words of closed lists.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as OpenTelemetrySpan

from paynotify.service.traces import TraceSampling

SpanRole = Literal["server", "client", "producer", "consumer"]
Attributes = Mapping[str, str | int]

#: OpenTelemetry's own limit: a batch of more links to so many of its records.
MAX_LINKS: Final = 128

_KINDS: Final[Mapping[SpanRole, SpanKind]] = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
#: A process that ends must not wait long for a collector that is away.
_CLOSE_SECONDS: Final = 3.0


class _SampledIds(RandomIdGenerator):
    """Trace ids that are sampled, as a span is only made of what is."""

    def __init__(self, sampling: TraceSampling) -> None:
        self._bound = sampling.bound

    def generate_trace_id(self) -> int:
        return (secrets.randbits(64) or 1) << 64 | secrets.randbelow(self._bound)


class TracedSpan:
    """A span that has begun. ``exemplar`` names it in a histogram."""

    __slots__ = ("_context", "_exporter", "_span")

    def __init__(self, exporter: SpanExporter, span: OpenTelemetrySpan) -> None:
        self._exporter = exporter
        self._span = span
        self._context = span.get_span_context()

    @property
    def exemplar(self) -> dict[str, str]:
        return {"trace_id": f"{self._context.trace_id:032x}", "span_id": f"{self._context.span_id:016x}"}

    @property
    def traceparent(self) -> bytes:
        """How a record names the span."""
        return b"00-%032x-%016x-01" % (self._context.trace_id, self._context.span_id)

    def child(
        self, name: str, role: SpanRole, attributes: Attributes | None = None, links: Iterable[bytes] = ()
    ) -> TracedSpan:
        """A span within this one."""
        parent = set_span_in_context(self._span, Context())
        return self._exporter.begin(name, role, attributes, links, parent)

    def end(self, attributes: Attributes | None = None, *, error: str | None = None) -> None:
        """End it; ``error`` is a word of a closed list."""
        if attributes:
            self._span.set_attributes(attributes)
        if error is not None:
            self._span.set_status(StatusCode.ERROR, error)
        self._span.end()


class SpanExporter:
    """Makes the spans of one process, and exports them until it is closed."""

    def __init__(self, process: str, sampling: TraceSampling) -> None:
        self.sampling = sampling
        # the environment's name comes first
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: f"paynotify-{process}"}
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create(named),
            id_generator=_SampledIds(sampling),
            shutdown_on_exit=False,
        )
        self._sender = OTLPSpanExporter()
        self._provider.add_span_processor(BatchSpanProcessor(self._sender))
        self._tracer = self._provider.get_tracer("paynotify")

    def begin(
        self,
        name: str,
        role: SpanRole,
        attributes: Attributes | None = None,
        links: Iterable[bytes] = (),
        parent: Context | None = None,
    ) -> TracedSpan:
        """A span that begins now. ``links`` are traceparents, of which those that are traced count."""
        takes = self.sampling.takes
        linked = [Link(context) for one in links if takes(one) and (context := _context(one)) is not None]
        span = self._tracer.start_span(
            name,
            # an empty context, or a span of some other library would become the parent
            context=parent if parent is not None else Context(),
            kind=_KINDS[role],
            attributes=attributes,
            links=linked[:MAX_LINKS],
        )
        return TracedSpan(self, span)

    def within(self, traceparent: bytes) -> Context | None:
        """The context of a caller's span, for `begin`."""
        context = _context(traceparent)
        return None if context is None else set_span_in_context(NonRecordingSpan(context), Context())

    def close(self) -> None:
        """Export what is left, within a few seconds."""
        closing = threading.Thread(target=self._provider.shutdown, name="traces-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)
        if closing.is_alive():
            self._sender.shutdown()  # type: ignore[no-untyped-call]  # it ends its retries
            closing.join(_CLOSE_SECONDS)


def _context(traceparent: bytes) -> SpanContext | None:
    try:
        trace_id, span_id = int(traceparent[3:35], 16), int(traceparent[36:52], 16)
    except ValueError:
        return None
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=_SAMPLED)
