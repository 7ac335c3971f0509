"""interpret: turns each stored response of the provider into one observation per payment."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace

from paynotify.processors.dead_letters import dead_lettered
from paynotify.processors.metrics import Metrics
from paynotify.processors.operations_events import odd_elements, operations_output
from paynotify.processors.orders.expectation_cache import ExpectedPayments
from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import OddElement, Provider, ProviderResponse
from paynotify.processors.providers.response_record import BROKERS, CLOCK, answered_lookups
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.tally import Tally
from paynotify.schemas import messages, topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import Observation
from paynotify.schemas.reasons import DeadReason
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import parse_time
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.interpret")

_FACT = "fact-"

_MAX_PLACES_CHARACTERS: Final = 4096
#: An observation is a few hundred bytes; the brokers refuse a record of a million.
_MAX_OBSERVATION_BYTES: Final = 256 * 1024

#: A response stored later than this was stored by a worker that stalled. One that stalled for less still owned its
#: partitions, so that no other worker called the provider meanwhile.
_STORED_WITHIN: Final = timedelta(seconds=5)


def response_of(record: Record) -> ProviderResponse:
    """The response stored in a record, as the providers read it.

    When it was received is told by the brokers' clock (``ce_time``), as far as the worker knew it. Otherwise it counts
    as received when the brokers stored it. Workers' clocks differ, and a clock that is seconds ahead would make a
    response look newer than later ones of other workers. If the worker's own time (``ce_time``) is long before that,
    the worker may have stalled before it stored the response, and its own time counts.
    """
    headers = record.texts()
    stored_at = datetime.fromtimestamp(record.timestamp_seconds, UTC)
    told_at = parse_time(headers.get("ce_time", "")) or stored_at
    by_brokers = headers.get(CLOCK) == BROKERS
    if by_brokers:
        received_at = min(told_at, stored_at)
    else:
        received_at = stored_at if told_at > stored_at - _STORED_WITHIN else told_at
    return ProviderResponse(
        body=record.value or b"",
        content_type=headers.get("content-type", ""),
        http_status=record.number("http-status", 200),
        received_at=received_at,
        by_brokers=by_brokers,
        clock_offset=timedelta(0) if by_brokers else received_at - told_at,
        reference=headers.get("reference") or None,
        content_encoding=headers.get("content-encoding", ""),
        complete=not headers.get("incomplete", ""),
        facts={name[len(_FACT) :]: text for name, text in headers.items() if name.startswith(_FACT)},
    )


def observation_id(response_id: str, observation: Observation) -> str:
    """The id of an observation of that response. Made again with another expectation it has another id."""
    expected = [messages.encode(observation.expected).decode()] if observation.expected else []
    child = observation.refund.refund_id if observation.refund else ""
    if observation.chargeback is not None:
        child = observation.chargeback.chargeback_id
    return derived_id("observation", response_id, observation.payment_id, child, *expected)


class _Causes:
    """What a response was asked for: its id, and of each payment when its notification was received, with its trace."""

    def __init__(self, record: Record) -> None:
        answered = answered_lookups(record)
        self.response_id = record.header("ce_id")
        self._by_payment = {one.reference: (one.received_at, one.traceparent) for one in reversed(answered)}
        first_at = min((one.received_at for one in answered), default="")
        self._others = (first_at, record.header("traceparent"))

    def of(self, payment_id: str) -> tuple[str, str]:
        """When the payment's notification was received, and its trace; of a payment nobody asked for, the first."""
        return self._by_payment.get(payment_id, self._others)


class InterpretStage:
    """The stage for one provider. It has no state: a response always has the same observations."""

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
        source = f"/interpret/{provider.name}"
        self._headers = EventHeaders(kafka.events, source, messages.PAYMENT_OBSERVED)
        self._case_headers = EventHeaders(kafka.events, source, messages.OPERATIONS_NOTICED)
        self._expectations = expectations
        self._provider = provider
        self._accounts = accounts
        self._observations = kafka.topic(topics.OBSERVATIONS)
        self._dead = kafka.topic(topics.DEAD)
        self._operations = kafka.topic(topics.OPERATIONS)
        self._metrics = metrics
        self._outcomes = Tally(metrics.outcomes, provider.name, self.name)

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """The observations of each response, in order."""
        await self._expectations.ready()
        try:
            return [output for record in context.records for output in self._outputs(record)]
        finally:
            self._outcomes.publish()

    def dead_letter(self, record: Record) -> Output:
        letter = self._dead_letter(record, "internal_error")
        self._outcomes.publish()
        return letter

    def _outputs(self, record: Record) -> list[Output]:
        """The observations, and the dead letters of what could not be read."""
        account = self._accounts.get(record.header("ce_source").rpartition("/")[2])
        if account is None:
            return [self._dead_letter(record, "unknown_merchant")]
        try:
            interpretation = self._provider.interpret(response_of(record), account)
        except UnreadableError as error:
            # dead-lettered whole: after a key change it can be replayed and interpreted again
            return [self._dead_letter(record, error.reason)]
        for warning in interpretation.warnings:
            self._metrics.response_warnings.labels(self.provider, warning).inc()
        observed, odd = self._observed(record, interpretation.observations)
        whole, odd = interpretation.unreadable, [*interpretation.odd, *odd]
        if whole is None and not odd:
            self._outcomes.count("observed", "")
            return observed
        return [*observed, *self._dead_letters(record, whole, odd), self._notice(record, account, whole, odd)]

    def _notice(
        self, record: Record, account: Account[Any], whole: DeadReason | None, odd: Sequence[OddElement]
    ) -> Output:
        """One event for the whole page; of an unreadable rest nobody knows the place."""
        rest = () if whole is None else (OddElement("", whole),)
        found = odd_elements(record, self.provider, account.merchant.id, (*rest, *odd))
        return operations_output(self._operations, found, self._case_headers, record)

    def _observed(self, record: Record, observations: Sequence[Observation]) -> tuple[list[Output], list[OddElement]]:
        """The observations, and those that can't be written: too long, or with text that is no Unicode.

        Otherwise the brokers, or the encoder, would refuse the whole batch for ever.
        """
        causes = _Causes(record)
        outputs: list[Output] = []
        odd: list[OddElement] = []
        for number, one in enumerate(observations):
            try:
                output = self._output(causes, one)
            except (TypeError, ValueError):
                output = None
            if output is None or len(output.value or b"") > _MAX_OBSERVATION_BYTES:
                odd.append(OddElement(f"observations/{number}"))
            else:
                outputs.append(output)
        return outputs, odd

    def _dead_letters(self, record: Record, whole: DeadReason | None, odd: Sequence[OddElement]) -> list[Output]:
        """One dead letter of the response for each reason; it names the elements, because a replay reads all again."""
        places: dict[DeadReason, list[str]] = {} if whole is None else {whole: []}
        for one in odd:
            places.setdefault(one.reason, []).append(one.place)
        return [
            self._dead_letter(record, reason, " ".join(named)[:_MAX_PLACES_CHARACTERS])
            for reason, named in places.items()
        ]

    def _output(self, causes: _Causes, observation: Observation) -> Output:
        expected = self._expectations.of(observation.merchant, observation.payment_id, observation.order_id)
        if expected is not None:
            observation = replace(observation, expected=expected)
        received_at, traceparent = causes.of(observation.payment_id)
        key = f"{observation.merchant}/{observation.payment_id}".encode()
        headers = self._headers(
            observation_id(causes.response_id, observation),
            observation.observed_at,
            key,
            traceparent=traceparent,
            received_at=received_at,
        )
        return Output(self._observations, key, messages.encode(observation), headers)

    def _dead_letter(self, record: Record, reason: DeadReason, elements: str = "") -> Output:
        self._outcomes.count("dead", reason)
        self._metrics.dead_letters.labels(self.provider, self.name, reason).inc()
        event(
            logger,
            "response_dead_lettered",
            level=logging.ERROR,
            provider=self.provider,
            reason=reason,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            elements=elements,
        )
        return dead_lettered(record, self._dead, reason, elements=elements)
