"""requested: validates shops' requests and re-keys them by merchant.

All of a merchant's requests must be in one partition, because limits and refusals depend on their order.
"""

from __future__ import annotations

from collections.abc import Sequence

from paynotify.processors.dead_letters import dead_lettered
from paynotify.processors.metrics import Metrics
from paynotify.processors.runtime.stage import BatchContext
from paynotify.schemas import messages, topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.ids import MAX_ID_LENGTH, derived_id
from paynotify.schemas.messages import RequestedPayment
from paynotify.schemas.reasons import DeadReason
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import rfc3339_of


def request_of(value: bytes | None) -> RequestedPayment:
    """The request in a record that a shop wrote.

    Raises:
        UnreadableError: the value is no valid request, or its request_id or merchant is empty or too long.
    """
    asked = messages.decode(value, RequestedPayment)
    for name, text in (("request_id", asked.request_id), ("merchant", asked.merchant)):
        if not 0 < len(text) <= MAX_ID_LENGTH:
            raise UnreadableError(f"{name} must have 1 to {MAX_ID_LENGTH} characters", "unreadable_request")
    return asked


class ChargeIntakeStage:
    """The stateless stage that moves requests, whatever their keys, to ``payments.charges``."""

    name = "requested"
    provider = "all"

    def __init__(self, kafka: KafkaSettings, metrics: Metrics) -> None:
        self._topic = kafka.topic
        self._headers = EventHeaders(kafka.events, "/requested", messages.REQUEST_MADE)
        self._metrics = metrics

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """Each readable request, with the time of its receipt."""
        return [self._output(record) for record in context.records]

    def dead_letter(self, record: Record) -> Output:
        return self._dead_letter(record, "internal_error")

    def _output(self, record: Record) -> Output:
        try:
            asked = request_of(record.value)
        except UnreadableError:
            return self._dead_letter(record, "unreadable_request")
        received_at = rfc3339_of(record.timestamp_seconds)
        headers = self._headers(
            derived_id("requested", record.topic, str(record.partition), str(record.offset)),
            received_at,
            f"{asked.merchant}/{asked.request_id}".encode(),
            traceparent=record.header("traceparent"),
            received_at=received_at,
        )
        return Output(self._topic(topics.CHARGES), asked.merchant.encode(), messages.encode(asked), headers)

    def _dead_letter(self, record: Record, reason: DeadReason) -> Output:
        self._metrics.dead_letters.labels(self.provider, self.name, reason).inc()
        return dead_lettered(record, self._topic(topics.DEAD), reason)
