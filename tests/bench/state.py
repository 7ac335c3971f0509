"""A worker with a million payments in its state: how fast it recovers them from the brokers, and what memory it takes.

The changelog is written as `resolve` writes it, with values of the size real payments have; then a worker starts with
an empty disk, and is given news of payments chosen at random, so that its caches are filled as in real work.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kafka import KafkaProducer

from paynotify.processors.resolve.payment_state import PaymentState, encoded
from paynotify.processors.resolve.transitions import advance
from paynotify.sandbox.processes import Child, wait_for
from paynotify.sandbox.system import Plan, Sandbox
from paynotify.schemas import messages, topics
from paynotify.schemas.errors import ClusterError
from paynotify.schemas.messages import Observation
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status
from tests.bench import procfs
from tests.bench.roles import Peaks, roles_of
from tests.bench.topics import Topics

PAYMENTS: Final = 1_000_000
_NEWS: Final = 5_000
_LEAST: Final = 1_000
_TEMPLATE: Final = 987_654_321
_MERCHANT: Final = "shop-uk"
_RECOVERY_SECONDS: Final = 900.0
_NEWS_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """``recovery_cpu_seconds`` is the CPU of the worker from its start to the end of recovery."""

    payments: int
    bytes_per_payment: float
    recovery_seconds: float
    recovery_cpu_seconds: float
    recovered_rss_bytes: int
    news: int
    rss_bytes: int
    peak_rss_bytes: int
    disk_bytes: int

    @property
    def payments_per_second(self) -> float:
        return self.payments / self.recovery_seconds


def measure(scale: float, peaks: Peaks) -> State:
    """One worker with all stages.

    Raises:
        ClusterError: it did not recover in time, or not everything.
    """
    payments, news = max(_LEAST, round(PAYMENTS * scale)), max(_LEAST, round(_NEWS * scale))
    with Sandbox(Plan(workers=(), consumers=False)) as sandbox, Topics(sandbox) as ends:
        size = _fill(sandbox, payments)
        child = sandbox.add_worker()
        seconds = _recovered(child, payments)
        cpu_seconds = procfs.cpu_seconds(child.pid)
        sandbox.wait_ready(child)
        recovered_rss_bytes = procfs.rss_bytes(child.pid)
        _tell(sandbox, payments, news)
        if not wait_for(lambda: ends.count(topics.STATUS) >= news, within_seconds=_NEWS_SECONDS, every=0.2):
            raise ClusterError(f"{news - ends.count(topics.STATUS)} of {news} payments have no news.")
        peaks.note("state", roles_of(sandbox))
        return State(
            payments=payments,
            bytes_per_payment=size / payments,
            recovery_seconds=seconds,
            recovery_cpu_seconds=cpu_seconds,
            recovered_rss_bytes=recovered_rss_bytes,
            news=news,
            rss_bytes=procfs.rss_bytes(child.pid),
            peak_rss_bytes=procfs.peak_rss_bytes(child.pid),
            disk_bytes=sum(one.stat().st_size for one in sandbox.state_directory(0).rglob("*") if one.is_file()),
        )


def payment_key(number: int) -> bytes:
    """Of Trust Payments' so-manieth payment."""
    return b"%s/57-9-%09d" % (_MERCHANT.encode(), number)


def observed(number: int, status: Status) -> Observation:
    """What the provider says of the so-manieth payment."""
    at = f"2026-11-23T10:00:0{0 if status == 'authorised' else 1}.000Z"
    return Observation(
        provider="trustpayments",
        merchant=_MERCHANT,
        payment_id=f"57-9-{number:09}",
        order_id=f"ORD-{number:09}",
        status=status,
        amount=Money(1050, "GBP"),
        paid=Money(1050, "GBP") if status == "captured" else None,
        provider_status={"errorcode": "0", "settlestatus": "100" if status == "captured" else "0"},
        source="TRANSACTIONQUERY",
        provider_time=at,
        observed_at=at,
    )


def _states(payments: int) -> Iterator[tuple[bytes, bytes]]:
    """Each payment's key and state; only what differs from payment to payment is made for each."""
    state = encoded(advance(PaymentState(), observed(_TEMPLATE, "authorised")).state)
    for number in range(payments):
        yield payment_key(number), state.replace(b"%09d" % _TEMPLATE, b"%09d" % number)


def _fill(sandbox: Sandbox, payments: int) -> int:
    """Write the changelog, as partitioned as it is; the bytes of all keys and values."""
    producer = KafkaProducer(bootstrap_servers=sandbox.bootstrap, acks="all", linger_ms=50, batch_size=512 * 1024)
    topic, size = sandbox.topic(topics.changelog("resolve")), 0
    for key, value in _states(payments):
        producer.send(topic, value, key)
        size += len(key) + len(value)
    producer.flush()
    producer.close()
    return size


def _recovered(child: Child, payments: int) -> float:
    def done() -> list[dict[str, object]]:
        said = [
            one for one in child.log_lines() if one.get("event") == "state_restored" and "resolve" in one["changelog"]
        ]
        return said if sum(int(one["records"]) for one in said) >= payments else []

    said = wait_for(done, within_seconds=_RECOVERY_SECONDS, every=0.25)
    if not said:
        raise ClusterError(f"{payments} payments were not recovered within {_RECOVERY_SECONDS:g} s.")
    # all partitions begin at once
    return max(float(str(one["seconds"])) for one in said)


def _tell(sandbox: Sandbox, payments: int, news: int) -> None:
    producer = KafkaProducer(bootstrap_servers=sandbox.bootstrap, acks="all", linger_ms=50)
    for number in random.Random(1).sample(range(payments), news):
        observation = observed(number, "captured")
        producer.send(sandbox.topic(topics.OBSERVATIONS), messages.encode(observation), payment_key(number))
    producer.flush()
    producer.close()
