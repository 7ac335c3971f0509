"""requested: what the shops want done, put where all that concerns the same merchant's charges goes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from processors.dead_letters import ended
from processors.metrics import Metrics
from processors.runtime.loop import BatchContext
from schemas import messages, topics
from schemas.cloudevents import cloud_event
from schemas.configuration.model import KafkaSettings
from schemas.errors import UnreadableError
from schemas.ids import MAX_ID_LENGTH, derived_id
from schemas.messages import RequestedPayment
from schemas.reasons import DeadReason
from schemas.records import Output, Record
from schemas.times import rfc3339


def request_of(value: bytes | None) -> RequestedPayment:
    """What a shop wrote, if it can be answered at all: with an id, and a merchant.

    Raises:
        UnreadableError: it can't; the text names the field.
    """
    asked = messages.decode(value, RequestedPayment)
    for name, text in (("request_id", asked.request_id), ("merchant", asked.merchant)):
        if not 0 < len(text) <= MAX_ID_LENGTH:
            raise UnreadableError(f"{name} must have 1 to {MAX_ID_LENGTH} characters", "unreadable_request")
    return asked


class ChargeIntakeStage:
    """Takes the shops' records, whatever their keys, to the log of the merchant. Without state."""

    name = "requested"
    provider = "all"

    def __init__(self, kafka: KafkaSettings, metrics: Metrics) -> None:
        self._topic = kafka.topic
        self._metrics = metrics

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """Each request that can be read, with the time it was received."""
        return [self._output(record) for record in context.records]

    def dead_letter(self, record: Record) -> Output:
        return self._dead_letter(record, "internal_error")

    def _output(self, record: Record) -> Output:
        try:
            asked = request_of(record.value)
        except UnreadableError:
            return self._dead_letter(record, "unreadable_request")
        received_at = rfc3339(datetime.fromtimestamp(record.timestamp_seconds, UTC))
        headers = cloud_event(
            event_id=derived_id("requested", record.topic, str(record.partition), str(record.offset)),
            source="/requested",
            event_type=messages.REQUEST_MADE,
            event_time=received_at,
            traceparent=record.header("traceparent"),
            received_at=received_at,
        )
        return Output(self._topic(topics.CHARGES), asked.merchant.encode(), messages.encode(asked), headers)

    def _dead_letter(self, record: Record, reason: DeadReason) -> Output:
        self._metrics.dead.labels(self.provider, self.name, reason).inc()
        return ended(record, self._topic(topics.DEAD), reason)
