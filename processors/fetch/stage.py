"""fetch: asks the provider, stores its raw response, and decides the outcome of each lookup."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import msgspec

from paynotify.processors.dead_letters import dead_lettered
from paynotify.processors.fetch.lookup_record import waiting_lookup
from paynotify.processors.fetch.retry_policy import HeldBack, ScheduledRetry, decide, hold, is_outage
from paynotify.processors.limits.provider_circuits import CallAttempt, ProviderCircuits
from paynotify.processors.metrics import Metrics
from paynotify.processors.operations_events import odd_elements, operations_output
from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import (
    Call,
    CallContext,
    OddElement,
    Provider,
    ProviderResponse,
    WaitingLookup,
    accepts_unsigned,
)
from paynotify.processors.providers.outcomes import Failed, FurtherLookup, LookupOutcome, RetryLater, Succeeded
from paynotify.processors.providers.response_record import response_record
from paynotify.processors.runtime.batch_span import begin_call, end_call, exemplar_of
from paynotify.processors.runtime.progress import report_progress
from paynotify.processors.runtime.stage import BatchContext, Publish
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.tally import Tally
from paynotify.schemas import messages, topics
from paynotify.schemas.cloudevents import HELD_SINCE, EventHeaders, with_headers
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import PermanentError, ResponseTooLongError, RetryableError, UnreadableError
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import KNOWN, UNKNOWN, Lookup
from paynotify.schemas.reasons import DeadReason
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import parse_time, rfc3339
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.fetch")


class FetchStage:
    """The stage for one provider. Its state: lookups already answered, where a repeated call does harm."""

    name = "fetch"

    def __init__(
        self,
        provider: Provider,
        accounts: Mapping[str, Account[Any]],
        kafka: KafkaSettings,
        context: CallContext,
        metrics: Metrics,
        circuits: ProviderCircuits,
        *,
        delays_seconds: Sequence[float],
        calls_in_flight: int,
    ) -> None:
        self.provider = provider.name
        self._provider = provider
        self._accounts = accounts
        self._context = context
        self._circuits = circuits
        self._metrics = metrics
        self._outcomes = Tally(metrics.outcomes, provider.name, self.name)
        # the metrics of every call: each look-up of a label's counter takes a lock
        self._calls_ended = cache(partial(metrics.calls.labels, provider.name))
        self._call_seconds = metrics.fetch_seconds.labels(provider.name)
        self._delays_seconds = delays_seconds
        self._slots = asyncio.Semaphore(calls_in_flight)
        self._topic = kafka.topic
        self._known = kafka.topic(topics.known(provider.name))
        self._responses = kafka.topic(topics.responses(provider.name))
        self._events = kafka.events
        source = f"/fetch/{provider.name}"
        self._lookup_headers = EventHeaders(kafka.events, source, messages.LOOKUP_REQUESTED)
        self._case_headers = EventHeaders(kafka.events, source, messages.OPERATIONS_NOTICED)
        self._dead = kafka.topic(topics.DEAD)

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """Make the batch's calls, concurrently across queues. Responses are published as they arrive."""
        try:
            return await self._outputs(context)
        finally:
            self._outcomes.publish()

    async def _outputs(self, context: BatchContext) -> list[Output]:
        outputs: list[Output] = []
        records: dict[str, tuple[Record, WaitingLookup]] = {}
        for record in context.records:
            try:
                waiting = waiting_lookup(record)
            except UnreadableError:
                outputs.append(self._dead_letter(record, "unreadable_lookup"))
                continue
            if waiting.lookup.merchant not in self._accounts:
                outputs.append(self._dead_letter(record, "unknown_merchant", waiting))
            elif not self._answered_before(waiting, context.state):
                records[waiting.lookup_id] = (record, waiting)
        told: set[Output] = set()

        async def publish(stored: Sequence[Output]) -> None:
            await context.publish(stored)
            told.update(one for one in stored if one.topic == self._known)

        outcomes = await self._fetch_all([waiting for _, waiting in records.values()], publish)
        for lookup_id, (record, waiting) in records.items():
            outcome = outcomes.get(lookup_id, RetryLater("unavailable", "the call did not report on this lookup"))
            outputs += self._settle(record, waiting, outcome)
        self._remember([name for name in records if isinstance(outcomes.get(name), Succeeded)], context.state)
        return [one for one in outputs if one not in told]

    def dead_letter(self, record: Record) -> Output:
        letter = self._dead_letter(record, "internal_error")
        self._outcomes.publish()
        return letter

    def _remember(self, answered: Sequence[str], state: Overlay) -> None:
        if answered and self._provider.policy.remembers_answered:
            answered_at = rfc3339(self._context.now()).encode()
            for lookup_id in answered:
                state.put(lookup_id.encode(), answered_at)

    def _answered_before(self, waiting: WaitingLookup, state: Overlay) -> bool:
        """Whether this lookup was answered before: after a crash upstream it is on the topic twice."""
        return self._provider.policy.remembers_answered and state.get(waiting.lookup_id.encode()) is not None

    async def _fetch_all(
        self, waiting: Sequence[WaitingLookup], publish: Publish
    ) -> dict[str, LookupOutcome | HeldBack]:
        by_merchant: dict[str, list[WaitingLookup]] = defaultdict(list)
        for one in waiting:
            by_merchant[one.lookup.merchant].append(one)
        queues: dict[tuple[str, str], list[Call]] = defaultdict(list)
        for merchant, lookups in by_merchant.items():
            for call in self._provider.calls(lookups, self._context):
                queues[merchant, call.queue].append(call)
        # a task for each queue: the first batch has all slots first and goes on, while others wait for theirs. With as
        # many tasks as slots, all batches would end late together, and each notification cost a tenth more
        results = await asyncio.gather(
            *(self._run_queue(self._accounts[merchant], calls, publish) for (merchant, _), calls in queues.items()),
            return_exceptions=True,
        )
        outcomes: dict[str, LookupOutcome | HeldBack] = {}
        for result in results:
            if isinstance(result, BaseException):
                # only after all calls ended: the batch is repeated, and none of its calls may still run then
                raise result
            outcomes.update(result)
        return outcomes

    async def _run_queue(
        self, account: Account[Any], calls: Sequence[Call], publish: Publish
    ) -> dict[str, LookupOutcome | HeldBack]:
        outcomes: dict[str, LookupOutcome | HeldBack] = {}
        for call in calls:
            async with self._slots:
                outcomes.update(await self._admitted(account, call, publish))
        return outcomes

    async def _admitted(
        self, account: Account[Any], call: Call, publish: Publish
    ) -> Mapping[str, LookupOutcome | HeldBack]:
        """Make the call, or hold its lookups back while all calls for the merchant fail."""
        if not call.asks:
            return await self._call(account, call, publish, CallAttempt())
        with self._circuits.attempt(account.merchant.id) as attempt:
            back = HeldBack(attempt.open_seconds)
            if attempt.held:
                return call.all_end_as(back)
            outcomes = await self._call(account, call, publish, attempt)
            if not attempt.probe:
                return outcomes
            # a probe is none of the lookup's own attempts: it would soon have used them all up
            return {name: back if is_outage(one) else one for name, one in outcomes.items()}

    async def _call(
        self, account: Account[Any], call: Call, publish: Publish, attempt: CallAttempt
    ) -> Mapping[str, LookupOutcome]:
        def exchanged() -> None:
            attempt.tried = True
            report_progress()

        async def store(response: ProviderResponse, lookups: tuple[WaitingLookup, ...]) -> None:
            merchant = account.merchant.id
            # the ids go with the response: by themselves they would cost a request of their own for each batch
            known = [output for one in lookups for output in self._known_id(one, known=True)]
            stored = response_record(self._responses, self.provider, merchant, response, lookups, self._events)
            await publish([stored, *known])

        started = time.monotonic()
        span = begin_call(self.provider, account.merchant.id, "lookups", [one.traceparent for one in call.lookups])
        ended_as = "unexpected"
        try:
            context = replace(self._context, progress=exchanged)
            outcomes = await self._provider.fetch(call, account, context, store)
            ended_as = "succeeded"
            attempt.answered(not all(is_outage(one) for one in outcomes.values()))
        except RetryableError as error:
            ended_as = error.reason
            outcomes = call.all_end_as(RetryLater(error.reason, str(error), error.retry_after_seconds))
            attempt.pause_seconds = error.retry_after_seconds or 0.0
            attempt.answered(error.reason != "unavailable" or isinstance(error, ResponseTooLongError))
        except PermanentError as error:
            ended_as = error.reason
            attempt.answered(True)
            outcomes = call.all_end_as(Failed(error.reason, str(error)))
        finally:
            end_call(span, ended_as, succeeded=ended_as == "succeeded")
        report_progress()
        self._calls_ended(ended_as).inc()
        self._call_seconds.observe(time.monotonic() - started, exemplar_of(span))
        return outcomes

    def _known_id(self, waiting: WaitingLookup, *, known: bool) -> list[Output]:
        """Whether the provider knew the id of an unsigned call, for verify, which limits calls without a URL token.

        Nothing if verify knows as much already.
        """
        merchant = self._accounts[waiting.lookup.merchant].merchant
        limited = accepts_unsigned(self._provider, merchant) and not merchant.url_tokens
        if not limited or waiting.lookup.reference is None or (known and waiting.known):
            return []
        key = f"{waiting.lookup.merchant}/{waiting.lookup.reference}".encode()
        return [Output(self._known, key, KNOWN if known else UNKNOWN, ())]

    def _settle(self, record: Record, waiting: WaitingLookup, outcome: LookupOutcome | HeldBack) -> list[Output]:
        if isinstance(outcome, HeldBack):
            return [self._hold(record, waiting, outcome)]
        if isinstance(outcome, Succeeded):
            self._outcomes.count("response", "")
            return self._known_id(waiting, known=True) + self._more_lookups(record, waiting, outcome)
        if isinstance(outcome, RetryLater):
            return [self._retry(record, waiting, outcome)]
        # an unknown id counts against unauthenticated callers, unless a shop registered the order
        named = outcome.reason == "not_found" and messages.RECOVERY not in waiting.lookup.arguments
        unknown = self._known_id(waiting, known=False) if named else []
        odd = [self._notice(record, waiting, outcome.reason)] if outcome.alone else []
        return [self._dead_letter(record, outcome.reason, waiting), *unknown, *odd]

    def _notice(self, record: Record, waiting: WaitingLookup, reason: DeadReason) -> Output:
        """A query had a value that the provider refused. The lookup has it; the event does not."""
        value = [OddElement("reference", reason)]
        found = odd_elements(record, self.provider, waiting.lookup.merchant, value)
        return operations_output(self._topic(topics.OPERATIONS), found, self._case_headers, record)

    def _more_lookups(self, record: Record, waiting: WaitingLookup, outcome: Succeeded) -> list[Output]:
        more = [self._follow_up(waiting, reference) for reference in outcome.follow_ups]
        more += [self._further(waiting, one) for one in outcome.further]
        if outcome.again is not None:
            # a new lookup with an id of its own: the old one is answered and must count as answered
            again = {"ce_id": derived_id("again", waiting.lookup_id), "again-of": waiting.lookup_id}
            repeated = msgspec.structs.replace(record, headers=with_headers(record.headers, again))
            more.append(self._retry(repeated, waiting, RetryLater(outcome.again, "the response was not conclusive")))
        return more

    def _retry(self, record: Record, waiting: WaitingLookup, outcome: RetryLater[DeadReason]) -> Output:
        tries = waiting.attempts + 1
        decision = decide(
            outcome,
            tries=tries,
            now=self._context.now(),
            delays_seconds=self._delays_seconds,
            policy=self._provider.policy,
        )
        if isinstance(decision, Failed):
            return self._dead_letter(record, decision.reason, waiting)
        self._outcomes.count("retry", outcome.reason)
        self._metrics.retries.labels(self.provider, outcome.reason).inc()
        counted = {"attempts": str(tries), "reason": outcome.reason}
        open_seconds = self._circuits.open_seconds(waiting.lookup.merchant) if is_outage(outcome) else None
        if open_seconds is not None and not outcome.retry_after_seconds:
            # one of the calls that opened the circuit: its lookup waits like all others
            return self._hold(record, waiting, HeldBack(open_seconds), counted)
        if record.header(HELD_SINCE):
            counted[HELD_SINCE] = ""  # held back no longer: from now on it waits for its own time
        return self._waiting(record, waiting, decision, counted)

    def _hold(
        self, record: Record, waiting: WaitingLookup, outcome: HeldBack, counted: Mapping[str, str] | None = None
    ) -> Output:
        now = self._context.now()
        held_since = parse_time(record.header(HELD_SINCE)) or now
        decision = hold(
            open_seconds=outcome.open_seconds,
            held_since=held_since,
            now=now,
            delays_seconds=self._delays_seconds,
            policy=self._provider.policy,
        )
        if isinstance(decision, Failed):
            return self._dead_letter(record, decision.reason, waiting)
        if counted is None:
            self._outcomes.count("held", "unavailable")
        changes = {"reason": "unavailable", **(counted or {}), HELD_SINCE: rfc3339(held_since)}
        return self._waiting(record, waiting, decision, changes)

    def _waiting(
        self, record: Record, waiting: WaitingLookup, decision: ScheduledRetry, changes: Mapping[str, str]
    ) -> Output:
        changes = {**changes, "first-seen": rfc3339(waiting.first_seen), "not-before": rfc3339(decision.due)}
        topic = self._topic(topics.retry(self.provider, decision.step))
        return Output(topic, record.key, record.value, with_headers(record.headers, changes))

    def _follow_up(self, waiting: WaitingLookup, reference: str) -> Output:
        recovery = {name: value for name, value in waiting.lookup.arguments.items() if name == messages.RECOVERY}
        lookup = msgspec.structs.replace(waiting.lookup, reference=reference, arguments=recovery)
        return self._lookup(waiting, lookup, derived_id("follow-up", waiting.lookup_id, reference))

    def _further(self, waiting: WaitingLookup, further: FurtherLookup) -> Output:
        arguments = dict(further.arguments) if further.must_exist else {**further.arguments, messages.RECOVERY: "1"}
        lookup = msgspec.structs.replace(
            waiting.lookup, operation=further.operation, reference=further.reference, arguments=arguments
        )
        return self._lookup(waiting, lookup, derived_id("further", waiting.lookup_id, messages.encode(lookup).decode()))

    def _lookup(self, waiting: WaitingLookup, lookup: Lookup, lookup_id: str) -> Output:
        name = lookup.merchant if lookup.reference is None else f"{lookup.merchant}/{lookup.reference}"
        key = name.encode()
        headers = self._lookup_headers(lookup_id, lookup.received_at, key, traceparent=waiting.traceparent)
        return Output(self._topic(topics.lookups(self.provider)), key, messages.encode(lookup), headers)

    def _dead_letter(self, record: Record, reason: DeadReason, waiting: WaitingLookup | None = None) -> Output:
        self._outcomes.count("dead", reason)
        self._metrics.dead_letters.labels(self.provider, self.name, reason).inc()
        event(
            logger,
            "lookup_dead_lettered",
            level=logging.WARNING,
            provider=self.provider,
            reason=reason,
            lookup=record.header("ce_id")[:64],
        )
        if waiting is None:
            return dead_lettered(record, self._dead, reason)
        return dead_lettered(
            record, self._dead, reason, attempts=waiting.attempts + 1, first_seen=rfc3339(waiting.first_seen)
        )
