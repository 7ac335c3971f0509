"""Which batches have spans, what they link to, and what is within them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from paynotify.processors.runtime.batch_span import begin_call, current, end_call
from paynotify.processors.runtime.loop import Batch, StageLoop
from paynotify.processors.runtime.stage import BatchContext
from paynotify.schemas.records import Output, Record
from paynotify.service.span_exporter import SpanExporter
from paynotify.service.traces import TraceSampling
from tests.fakes.otlp_receiver import OtlpReceiver, otlp_receiver
from tests.fakes.stages import RecordingPublisher, metrics, record

LOW, HIGH = "a" * 16 + "0" * 16, "a" * 16 + "f" * 16


def traceparent(trace: str, span: int, flags: str = "01") -> str:
    return f"00-{trace}-{span:016x}-{flags}"


class Calls:
    """A stage that calls a provider twice at the same time, once in vain, and publishes a record."""

    name = "fetch"
    provider = "nevogate"

    async def process(self, context: BatchContext) -> Sequence[Output]:
        async def call(outcome: str) -> None:
            span = begin_call(self.provider, "shop-hu", "lookups", [traceparent(LOW, 7)])
            await asyncio.sleep(0)
            end_call(span, outcome, succeeded=outcome == "succeeded")

        await asyncio.gather(call("succeeded"), call("unavailable"))
        return [Output("responses.nevogate", b"k", b"v", ())]

    def dead_letter(self, record: Record) -> Output:
        raise AssertionError


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    with otlp_receiver() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.endpoint)
        yield running


async def processed(*records: Record) -> None:
    exporter = SpanExporter("worker", TraceSampling.of(0.5))
    loop = StageLoop(Calls(), RecordingPublisher(), metrics(), traces=exporter)
    await loop.process_batch(Batch(records, 1, lambda count: None, lambda: True))
    await asyncio.to_thread(exporter.close)
    current.set(None)


async def test_batch_links_to_its_traced_records_and_holds_its_calls(receiver: OtlpReceiver) -> None:
    lookups = f'[{{"traceparent":"{traceparent(LOW, 3)}"}},{{"traceparent":"{traceparent(HIGH, 4)}"}}]'
    await processed(
        record(b"body-4711", {"traceparent": traceparent(LOW, 1)}, key=b"shop-hu/4711"),
        record(b"", {"traceparent": traceparent(HIGH, 2)}),
        record(b"", {"lookups": lookups}),
        record(b"", {"traceparent": traceparent(LOW, 1)}),
        record(b"", {"traceparent": traceparent(LOW, 5, "00")}),
        record(b"", {"traceparent": "garbage"}),
    )
    (batch,) = receiver.named("process fetch")
    assert batch.links == ((LOW, f"{1:016x}"), (LOW, f"{3:016x}"))
    assert (batch.attributes["messaging.batch.message_count"], batch.parent_id, batch.failed) == (6, "", False)
    calls = receiver.named("nevogate lookups")
    assert sorted((one.attributes["paynotify.outcome"], one.failed) for one in calls) == [
        ("succeeded", False),
        ("unavailable", True),
    ]
    (published,) = receiver.named("send outputs")
    assert {one.parent_id for one in (*calls, published)} == {batch.span_id}
    assert published.attributes["messaging.destination.name"] == "responses.nevogate"
    assert b"4711" not in b"".join(receiver.raw)


async def test_batch_without_a_traced_record_has_no_span(receiver: OtlpReceiver) -> None:
    await processed(record(b"", {"traceparent": traceparent(HIGH, 2)}), record(b""))
    assert receiver.spans == []


async def test_batch_that_breaks_off_is_a_failed_span(receiver: OtlpReceiver) -> None:
    exporter = SpanExporter("worker", TraceSampling.of(1.0))
    loop = StageLoop(Calls(), RecordingPublisher(), metrics(), traces=exporter)
    batch = Batch([record(b"", {"traceparent": traceparent(LOW, 1)})], 1, lambda count: None, lambda: False)
    await loop.process_batch(batch)
    await asyncio.to_thread(exporter.close)
    current.set(None)
    assert [(one.name, one.failed) for one in receiver.spans] == [("process fetch", True)]
