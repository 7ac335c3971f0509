"""announce: what the shops expect, put where the news of the same order goes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from processors.dead_letters import ended
from processors.metrics import Metrics
from processors.runtime.loop import BatchContext
from schemas import messages, topics
from schemas.cloudevents import cloud_event
from schemas.configuration.model import KafkaSettings
from schemas.errors import UnreadableError
from schemas.ids import MAX_ID_LENGTH, derived_id
from schemas.messages import KNOWN, ExpectedPayment
from schemas.money import is_currency
from schemas.reasons import DeadReason
from schemas.records import Output, Record
from schemas.times import parse_time, rfc3339


def expected_of(value: bytes | None) -> ExpectedPayment:
    """What a shop wrote, with its times in UTC.

    Raises:
        UnreadableError: it is no expected payment; the text names the field.
    """
    expected = messages.decode(value, ExpectedPayment)
    for name, text in (
        ("order_id", expected.order_id),
        ("payment_id", "-" if expected.payment_id is None else expected.payment_id),
    ):
        if not 0 < len(text) <= MAX_ID_LENGTH:
            raise UnreadableError(f"{name} must have 1 to {MAX_ID_LENGTH} characters", "unreadable_expectation")
    if expected.amount.value <= 0:
        raise UnreadableError("the amount must be more than 0", "unreadable_expectation")
    if not is_currency(expected.amount.currency):
        # taken as it is, "gbp" would be a mismatch and hold every payment back
        raise UnreadableError("the amount's currency is not three capital letters", "unreadable_expectation")
    final_by = None if expected.final_by is None else _utc(expected.final_by, "final_by")
    return replace(expected, created_at=_utc(expected.created_at, "created_at"), final_by=final_by)


def said(expected: ExpectedPayment, timestamp_milliseconds: int, partition: int, offset: int) -> str:
    """The record's place among all of the same order: the greater text is the newer word.

    By ``created_at``, and by the record where that is the same. Every reader of the topic comes to the same order,
    whatever it reads first or twice.
    """
    return f"{expected.created_at}/{max(0, timestamp_milliseconds):015d}/{offset:019d}/{partition:06d}"


def _utc(text: str, name: str) -> str:
    moment = parse_time(text)
    if moment is None:
        raise UnreadableError(f"{name} is not a time with its offset (2026-11-23T09:00:00Z)", "unreadable_expectation")
    return rfc3339(moment)


class OrderIntakeStage:
    """Takes the shops' records, whatever their keys, to the log of the order. Without state."""

    name = "announce"
    provider = "all"

    def __init__(
        self, providers: Mapping[str, str], unsigned: Collection[str], kafka: KafkaSettings, metrics: Metrics
    ) -> None:
        """``providers`` is each merchant's provider; of ``unsigned`` ones announced ids are known ids."""
        self._providers = providers
        self._unsigned = unsigned
        self._topic = kafka.topic
        self._metrics = metrics

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """The order's record, and a word to verify where the payment's id is told."""
        return [output for record in context.records for output in self._outputs(record)]

    def dead_letter(self, record: Record) -> Output:
        return self._dead_letter(record, "internal_error")

    def _outputs(self, record: Record) -> list[Output]:
        try:
            expected = expected_of(record.value)
        except UnreadableError:
            return [self._dead_letter(record, "unreadable_expectation")]
        provider = self._providers.get(expected.merchant)
        if provider is None:
            return [self._dead_letter(record, "unknown_merchant")]
        self._metrics.expected.labels(provider, "registered").inc()
        outputs = [self._order(expected, record)]
        if expected.payment_id is not None and provider in self._unsigned:
            key = f"{expected.merchant}/{expected.payment_id}".encode()
            outputs.append(Output(self._topic(topics.known(provider)), key, KNOWN, ()))
        return outputs

    def _order(self, expected: ExpectedPayment, record: Record) -> Output:
        headers = cloud_event(
            event_id=derived_id("expected", record.topic, str(record.partition), str(record.offset)),
            source="/announce",
            event_type=messages.PAYMENT_EXPECTED,
            event_time=rfc3339(datetime.fromtimestamp(record.timestamp_seconds, UTC)),
            said=said(expected, round(record.timestamp_seconds * 1000), record.partition, record.offset),
        )
        key = f"{expected.merchant}/{expected.order_id}".encode()
        return Output(self._topic(topics.ORDERS), key, messages.encode(expected), headers)

    def _dead_letter(self, record: Record, reason: DeadReason) -> Output:
        self._metrics.dead.labels(self.provider, self.name, reason).inc()
        return ended(record, self._topic(topics.DEAD), reason)
