"""interpret: what does a raw answer say, payment by payment?"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from processors.dead_letters import ended
from processors.metrics import Metrics
from processors.orders.expectation_cache import ExpectedPayments
from processors.providers.account import Account
from processors.providers.base import Provider, ProviderResponse
from processors.runtime.stage import BatchContext
from schemas import messages, topics
from schemas.cloudevents import cloud_event
from schemas.configuration.model import KafkaSettings
from schemas.errors import UnreadableError
from schemas.ids import derived_id
from schemas.messages import Answered, Observation
from schemas.reasons import DeadReason
from schemas.records import Headers, Output, Record
from schemas.times import parse_time
from service.logs import event

logger = logging.getLogger("paynotify.interpret")

_FACT = "fact-"
_ANSWERED = msgspec.json.Decoder(list[Answered])

#: A worker that needs longer to store an answer may have stood still meanwhile; one that stood still for less than this
#: still holds its partitions, so that no other has asked in between.
_STORED_WITHIN: Final = timedelta(seconds=5)


def response_of(record: Record) -> ProviderResponse:
    """A stored answer as the providers read it.

    It was received when the brokers stored it: their clock is one, those of several workers are not, and a word of one
    whose clock is seconds ahead would pass for newer than the words of others after it. Where the answer says a time
    long before that, its worker may have been frozen before it stored it, and is believed.
    """
    stored_at = datetime.fromtimestamp(record.timestamp_seconds, UTC)
    told_at = parse_time(record.header("ce_time")) or stored_at
    received_at = stored_at if told_at > stored_at - _STORED_WITHIN else told_at
    return ProviderResponse(
        body=record.value or b"",
        content_type=record.header("content-type"),
        http_status=record.number("http-status", 200),
        received_at=received_at,
        clock_offset=received_at - told_at,
        reference=record.header("reference") or None,
        facts={name[len(_FACT) :]: record.header(name) for name, _ in record.headers if name.startswith(_FACT)},
    )


def observation_id(answer_id: str, observation: Observation) -> str:
    """The id of what an answer says. What is made again with something else expected is another one."""
    expected = [messages.encode(observation.expected).decode()] if observation.expected else []
    refund = observation.refund.refund_id if observation.refund else ""
    return derived_id("observation", answer_id, observation.payment_id, refund, *expected)


class InterpretStage:
    """The stage for one provider. It has no state: the same answer always says the same of a payment."""

    name = "interpret"

    def __init__(
        self,
        provider: Provider,
        accounts: Mapping[str, Account[Any]],
        kafka: KafkaSettings,
        metrics: Metrics,
        expectations: ExpectedPayments,
    ) -> None:
        self.provider = provider.name
        self._expectations = expectations
        self._provider = provider
        self._accounts = accounts
        self._observations = kafka.topic(topics.OBSERVATIONS)
        self._dead = kafka.topic(topics.DEAD)
        self._metrics = metrics

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """The observations of each answer, in order."""
        await self._expectations.ready()
        return [output for record in context.records for output in self._outputs(record)]

    def dead_letter(self, record: Record) -> Output:
        return self._dead_letter(record, "internal_error")

    def _outputs(self, record: Record) -> list[Output]:
        account = self._accounts.get(record.header("ce_source").rpartition("/")[2])
        if account is None:
            return [self._dead_letter(record, "unknown_merchant")]
        try:
            interpretation = self._provider.interpret(response_of(record), account)
        except UnreadableError as error:
            # kept whole with its reason: after a key change it is replayed and read again
            return [self._dead_letter(record, error.reason)]
        observed = self._observed(record, interpretation.observations)
        if interpretation.unreadable is not None:
            return [*observed, self._dead_letter(record, interpretation.unreadable)]
        self._count("observed")
        return observed

    def _observed(self, record: Record, observations: Sequence[Observation]) -> list[Output]:
        answered = _answered(record)
        return [self._output(record, one, answered) for one in observations]

    def _output(self, record: Record, observation: Observation, answered: Sequence[Answered]) -> Output:
        expected = self._expectations.of(observation.merchant, observation.payment_id, observation.order_id)
        observation = replace(observation, expected=expected)
        asked = next((one for one in answered if one.reference == observation.payment_id), None)
        received_at = asked.received_at if asked else min((one.received_at for one in answered), default="")
        headers: Headers = cloud_event(
            event_id=observation_id(record.header("ce_id"), observation),
            source=f"/interpret/{self.provider}",
            event_type=messages.PAYMENT_OBSERVED,
            event_time=observation.observed_at,
            traceparent=asked.traceparent if asked else record.header("traceparent"),
            received_at=received_at,
        )
        key = f"{observation.merchant}/{observation.payment_id}".encode()
        return Output(self._observations, key, messages.encode(observation), headers)

    def _dead_letter(self, record: Record, reason: DeadReason) -> Output:
        self._count("dead", reason)
        self._metrics.dead.labels(self.provider, self.name, reason).inc()
        event(
            logger,
            "response_dead_lettered",
            level=logging.ERROR,
            provider=self.provider,
            reason=reason,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
        return ended(record, self._dead, reason)

    def _count(self, outcome: str, reason: str = "") -> None:
        self._metrics.outcomes.labels(self.provider, self.name, outcome, reason).inc()


def _answered(record: Record) -> list[Answered]:
    try:
        return _ANSWERED.decode(record.header("lookups", "[]"))
    except (msgspec.MsgspecError, RecursionError):
        return []
