"""announce: registers the payments that shops expect, by writing each to the topic of its order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from paynotify.processors.dead_letters import dead_lettered
from paynotify.processors.metrics import Metrics
from paynotify.processors.orders.expected_payment import parse_expected, version_of
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.tally import Tally
from paynotify.schemas import messages, topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import KNOWN, ExpectedPayment
from paynotify.schemas.reasons import DeadReason
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import rfc3339_of


class OrderIntakeStage:
    """Reads the shops' records, whatever their keys, and writes them under the key of their order. Has no state."""

    name = "announce"
    provider = "all"

    def __init__(
        self, providers: Mapping[str, str], unsigned: Collection[str], kafka: KafkaSettings, metrics: Metrics
    ) -> None:
        """``providers`` is each merchant's provider. Registered payment ids of ``unsigned`` merchants are known ids:
        notifications about them do not use up the budget of unknown ones."""
        self._providers = providers
        self._unsigned = unsigned
        self._topic = kafka.topic
        self._headers = EventHeaders(kafka.events, "/announce", messages.PAYMENT_EXPECTED)
        self._metrics = metrics
        self._expected = Tally(metrics.expected)

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """The order's record, and one for verify if the shop named the payment id and its calls are unsigned."""
        try:
            return [output for record in context.records for output in self._outputs(record)]
        finally:
            self._expected.publish()

    def dead_letter(self, record: Record) -> Output:
        return self._dead_letter(record, "internal_error")

    def _outputs(self, record: Record) -> list[Output]:
        try:
            expected = parse_expected(record.value)
        except UnreadableError:
            return [self._dead_letter(record, "unreadable_expectation")]
        provider = self._providers.get(expected.merchant)
        if provider is None:
            return [self._dead_letter(record, "unknown_merchant")]
        self._expected.count(provider, "registered")
        outputs = [self._order(expected, record)]
        if expected.payment_id is not None and expected.merchant in self._unsigned:
            key = f"{expected.merchant}/{expected.payment_id}".encode()
            outputs.append(Output(self._topic(topics.known(provider)), key, KNOWN, ()))
        return outputs

    def _order(self, expected: ExpectedPayment, record: Record) -> Output:
        key = f"{expected.merchant}/{expected.order_id}".encode()
        headers = self._headers(
            derived_id("expected", record.topic, str(record.partition), str(record.offset)),
            rfc3339_of(record.timestamp_seconds),
            key,
            said=version_of(expected, round(record.timestamp_seconds * 1000), record.partition, record.offset),
        )
        return Output(self._topic(topics.ORDERS), key, messages.encode(expected), headers)

    def _dead_letter(self, record: Record, reason: DeadReason) -> Output:
        self._metrics.dead_letters.labels(self.provider, self.name, reason).inc()
        return dead_lettered(record, self._topic(topics.DEAD), reason)
