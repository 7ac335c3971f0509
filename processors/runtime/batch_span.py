"""Spans of the stages: one for each batch that has a traced record, with links to its traced records.

A batch serves many notifications, so it is no part of one trace: it is a trace of its own, and its links lead to those
of its records. What a batch does, such as calls to a provider and publishing, are spans within it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from paynotify.schemas.records import Output, Record

if TYPE_CHECKING:
    from paynotify.service.span_exporter import SpanExporter, TracedSpan

#: The span of the batch being processed; tasks started by its stage inherit it. Never set where there are no traces.
current: Final[ContextVar[TracedSpan | None]] = ContextVar("batch_span", default=None)

#: What a response's header says of each lookup that it answers.
_TRACEPARENT: Final = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def begin_batch(exporter: SpanExporter, stage: str, provider: str, records: Sequence[Record]) -> TracedSpan | None:
    """The span of a batch, as the current one; None if none of its records is traced."""
    links = list(dict.fromkeys(_traced(exporter, records)))
    span = None
    if links:
        first = records[0]
        attributes: dict[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.destination.name": first.topic,
            "messaging.destination.partition.id": str(first.partition),
            "messaging.kafka.offset": first.offset,
            "messaging.batch.message_count": len(records),
            "paynotify.stage": stage,
            "paynotify.provider": provider,
            "paynotify.traced_records": len(links),
        }
        span = exporter.begin(f"process {stage}", "consumer", attributes, links)
    current.set(span)
    return span


def _traced(exporter: SpanExporter, records: Sequence[Record]) -> Iterator[bytes]:
    takes = exporter.sampling.takes
    for record in records:
        for name, value in record.headers:
            if name == "traceparent":
                if takes(value):
                    yield value
            elif name == "lookups":
                yield from filter(takes, _TRACEPARENT.findall(value))


def begin_publish(batch: TracedSpan, outputs: Sequence[Output]) -> TracedSpan:
    """The span of publishing the outputs, until the brokers have acknowledged all of them."""
    topics = sorted({one.topic for one in outputs})
    attributes: dict[str, str | int] = {
        "messaging.system": "kafka",
        "messaging.operation.type": "send",
        "messaging.destination.name": " ".join(topics),
        "messaging.batch.message_count": len(outputs),
    }
    return batch.child("send outputs", "producer", attributes)


def begin_call(provider: str, merchant: str, name: str, traceparents: Iterable[str] = ()) -> TracedSpan | None:
    """The span of a call to a provider, within the current batch's; None if that has none."""
    batch = current.get()
    if batch is None:
        return None
    attributes = {"paynotify.provider": provider, "paynotify.merchant": merchant}
    links = [one.encode() for one in traceparents if one]
    return batch.child(f"{provider} {name}", "client", attributes, links)


def end_call(span: TracedSpan | None, outcome: str, *, succeeded: bool) -> None:
    """End a call's span. ``outcome`` is as in the metrics: a word of a closed list."""
    if span is not None:
        span.end({"paynotify.outcome": outcome}, error=None if succeeded else outcome)


def exemplar_of(span: TracedSpan | None) -> dict[str, str] | None:
    """How a histogram names the span of what was measured."""
    return None if span is None else span.exemplar
