"""The operator's tools on topics as large as a busy day's: records an audit reads, and how long a trace takes.

The topics are written as the stages write them, so that the audit finds nothing to complain of; each command is a
process of its own, as an operator starts it.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from kafka import KafkaProducer
from msgspec.structs import replace

from paynotify.processors.interpret.stage import observation_id
from paynotify.processors.providers.base import Notification
from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.processors.resolve.transitions import advance
from paynotify.processors.verify.stage import lookup_output
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import messages, topics
from paynotify.schemas.errors import ClusterError
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import Answered, Lookup
from paynotify.schemas.records import Headers, Output
from paynotify.schemas.status import Status
from paynotify.schemas.times import rfc3339
from tests.bench.state import observed, payment_key
from tests.fakes.cloud_events import cloud_event, lookup_headers

#: Two events each: a topic of a million results.
PAYMENTS: Final = 500_000
#: So many of them have their notification, lookup and answer there too.
_RECENT_SHARE: Final = 0.2
_IN_ONE_ANSWER: Final = 30
_LEAST: Final = 1_000
_DAY: Final = timedelta(days=1)
_TRACED: Final = 5
_STATUSES: Final[tuple[Status, ...]] = ("authorised", "captured")
_PROVIDER: Final = "trustpayments"
_MERCHANT: Final = "shop-uk"
#: The brokers stamp responses themselves. They would put a day's into this minute, where no trace looks for them.
_WRITTEN_LATER: Final = {
    "topics": {
        "overrides": {topics.responses(_PROVIDER): {"settings": {"message.timestamp.type": "CreateTime"}}},
    }
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """``audit_seconds`` is the audit's own reading time; the others are each trace's whole process."""

    status_records: int
    audit_records: int
    audit_seconds: float
    trace_seconds: Sequence[float]
    order_trace_seconds: Sequence[float]

    @property
    def audit_records_per_second(self) -> float:
        return self.audit_records / self.audit_seconds


def measure(scale: float) -> Tools:
    """Write the topics, audit them, and trace some payments chosen at random.

    Raises:
        ClusterError: a tool failed, or the audit found a difference.
    """
    payments = max(_LEAST, round(PAYMENTS * scale))
    recent = max(1, round(payments * _RECENT_SHARE))
    began = datetime.now(UTC)
    with Sandbox(Plan(workers=(), consumers=False, configuration=_WRITTEN_LATER)) as sandbox:
        _fill(sandbox, payments, recent, began)
        since = rfc3339(began - _DAY)
        audit, _ = _tool(sandbox, "audit", "--since", since, "--json")
        traced = max(1, round(_TRACED * min(1.0, scale)))
        chosen = random.Random(1).sample(range(payments - recent, payments), traced)
        by_key = [_trace(sandbox, number, payment_key(number).decode()) for number in chosen]
        by_order = [
            _trace(sandbox, number, "--merchant", _MERCHANT, "--order", observed(number, "captured").order_id or "")
            for number in chosen
        ]
    return Tools(
        status_records=payments * 2,
        audit_records=audit["records"],
        audit_seconds=audit["seconds"],
        trace_seconds=by_key,
        order_trace_seconds=by_order,
    )


def _trace(sandbox: Sandbox, number: int, *words: str) -> float:
    """Its seconds.

    Raises:
        ClusterError: it told less than there is.
    """
    told, seconds = _tool(sandbox, "trace", *words, "--json")
    kinds = [one["kind"] for one in told["payments"][0]["entries"]]
    if not {"notification", "lookup", "answer", "observation", "status"} <= set(kinds):
        raise ClusterError(f"the trace of {payment_key(number).decode()} tells only {kinds}")
    return seconds


def _tool(sandbox: Sandbox, *words: str) -> tuple[Any, float]:
    command = [sys.executable, "-m", "paynotify.ops.main", *words, "--config", str(sandbox.config_path)]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, check=False)
    seconds = time.monotonic() - started
    if done.returncode != 0:
        raise ClusterError(
            f"paynotify {words[0]} ended with {done.returncode}: {(done.stderr or done.stdout)[-300:]!r}"
        )
    return orjson.loads(done.stdout), seconds


def _fill(sandbox: Sandbox, payments: int, recent: int, now: datetime) -> None:
    producer = KafkaProducer(bootstrap_servers=sandbox.bootstrap, acks="all", linger_ms=50, batch_size=512 * 1024)
    for first in range(0, payments, _IN_ONE_ANSWER):
        at = now - _DAY * (1 - first / payments)
        numbers = range(first, min(first + _IN_ONE_ANSWER, payments))
        for output in _flow(numbers, rfc3339(at), asked=first >= payments - recent):
            producer.send(
                sandbox.topic(output.topic),
                output.value,
                output.key,
                headers=list(output.headers),
                timestamp_ms=round(at.timestamp() * 1000),
            )
    producer.flush()
    producer.close()


def _flow(numbers: Sequence[int], at: str, *, asked: bool) -> Iterator[Output]:
    """Payments that one answer tells of."""
    answer_id = derived_id("answer", str(numbers[0]))
    if asked:
        answered = []
        for number in numbers:
            yield from (outputs := _question(number, at))
            lookup_id = dict(outputs[1].headers)["ce_id"].decode()
            answered.append(
                Answered(lookup_id=lookup_id, reference=_payment_id(number), received_at=at, traceparent="")
            )
        headers = cloud_event(
            event_id=answer_id,
            source=f"/providers/{_PROVIDER}/{_MERCHANT}",
            event_type=messages.RESPONSE_RECEIVED,
            event_time=at,
            lookups=messages.encode(answered).decode(),
        )
        yield Output(topics.responses(_PROVIDER), _MERCHANT.encode(), b"{}", headers)
    for number in numbers:
        yield from _results(number, at, answer_id)


def _question(number: int, at: str) -> tuple[Output, Output]:
    notification = Notification(
        derived_id("bench", str(number)),
        _PROVIDER,
        _MERCHANT,
        "POST",
        "",
        "",
        b"transactionreference",
        datetime.now(UTC),
    )
    stored = cloud_event(
        event_id=notification.notification_id,
        source=f"/notifications/{_PROVIDER}/{_MERCHANT}",
        event_type=messages.NOTIFICATION_RECEIVED,
        event_time=at,
    )
    lookup = Lookup(
        provider=_PROVIDER,
        merchant=_MERCHANT,
        operation="transaction",
        reference=_payment_id(number),
        notification_id=notification.notification_id,
        received_at=at,
    )
    return (
        Output(topics.notifications(_PROVIDER), payment_key(number), notification.body, stored),
        lookup_output(
            topics.lookups(_PROVIDER),
            lookup,
            notification,
            lookup_headers(lookup.provider),
        ),
    )


def _results(number: int, at: str, answer_id: str) -> Iterator[Output]:
    key, state = payment_key(number), PaymentState()
    for status in _STATUSES:
        observation = replace(observed(number, status), observed_at=at, provider_time=at)
        headers: Headers = cloud_event(
            event_id=observation_id(answer_id, observation),
            source=f"/interpret/{_PROVIDER}",
            event_type=messages.PAYMENT_OBSERVED,
            event_time=at,
            received_at=at,
        )
        yield Output(topics.OBSERVATIONS, key, messages.encode(observation), headers)
        after = advance(state, observation)
        assert after.event is not None
        state, value = after.state, messages.encode(after.event)
        headers = cloud_event(
            event_id=after.event.event_id, source="/resolve", event_type=messages.STATUS_CHANGED, event_time=at
        )
        for topic in (topics.STATUS, topics.LATEST):
            yield Output(topic, key, value, headers)


def _payment_id(number: int) -> str:
    return payment_key(number).decode().partition("/")[2]
