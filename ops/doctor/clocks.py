"""Compares this machine's clock with the brokers' and with a provider's.

The brokers say what time it is only when they stamp a record, so an empty one is written to a topic of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError

from paynotify.ops.doctor.finding import Finding
from paynotify.schemas import topics
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.times import utc_now
from paynotify.service.kafka_client import client_settings, opened

#: A token lives for minutes, and much of that is gone when its notification has waited for a retry.
WARN_SECONDS: Final = 2.0
ERROR_SECONDS: Final = 30.0

_ACKNOWLEDGE_SECONDS: Final = 10.0
#: Enough to reach each broker as a partition's leader.
_MAX_PARTITIONS: Final = 50
#: What a record is stamped with by us; a broker that stamps records itself replaces it.
_OUR_STAMP_MILLISECONDS: Final = 1
_SYNCHRONISE: Final = (
    "Synchronise this host's clock (chrony, systemd): the expiry of tokens and the order of responses depend on it."
)


def compared(about: str, whose: str, skew: timedelta) -> Finding:
    """The finding for a clock that ``skew`` is ahead of (behind, if negative) the one of ``whose``."""
    seconds = skew.total_seconds()
    if abs(seconds) < WARN_SECONDS:
        return Finding(about, "ok", f"clock: the same as {whose}")
    text = f"clock: {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} {whose}"
    return Finding(about, "error" if abs(seconds) >= ERROR_SECONDS else "warning", text, _SYNCHRONISE)


def check_brokers(configuration: Configuration, client: Any) -> Iterator[Finding]:
    """Compare the clock with those of the brokers; the greatest difference counts."""
    topic = configuration.kafka.topic(topics.CLOCK)
    if topic not in client.list_topics():
        yield Finding("brokers", "skipped", f"clock: the topic {topic} is missing", "Run `paynotify topics apply`.")
        return
    settings = {
        **client_settings(configuration.kafka, "paynotify-doctor"),
        "acks": "all",
        "bootstrap_timeout_ms": round(_ACKNOWLEDGE_SECONDS * 1000),
        "metrics_enabled": False,
    }
    try:
        producer = opened(KafkaProducer, settings)
        try:
            skews = list(broker_skews(producer, topic, utc_now))
        finally:
            producer.close(timeout=1.0)
    except (KafkaError, ValueError) as error:
        yield Finding("brokers", "warning", f"clock: no record could be written to {topic} ({type(error).__name__})")
        return
    if skews:
        yield compared("brokers", "the brokers'", max(skews, key=abs))
    else:
        yield Finding("brokers", "skipped", f"clock: {topic} is not stamped by the brokers", "Run `topics apply`.")


def broker_skews(producer: Any, topic: str, now: Callable[[], datetime]) -> Iterator[timedelta]:
    """How far this clock is ahead of the one of each partition's leader, where that stamps the record itself."""
    for partition in sorted(producer.partitions_for(topic) or ())[:_MAX_PARTITIONS]:
        asked_at = now()
        sent = producer.send(topic, b"", partition=partition, timestamp_ms=_OUR_STAMP_MILLISECONDS)
        stamp_milliseconds = sent.get(timeout=_ACKNOWLEDGE_SECONDS).timestamp
        if stamp_milliseconds > _OUR_STAMP_MILLISECONDS:
            stamped_at = datetime.fromtimestamp(stamp_milliseconds / 1000, UTC)
            yield _between(asked_at, now()) - stamped_at


def provider_skew(clock: Callable[[], datetime | None], now: Callable[[], datetime]) -> timedelta | None:
    """How far this clock is ahead of a provider's; None where the provider does not send its time.

    ``clock`` asks for it. The header ``Date`` has whole seconds, so half a second is its most likely rest.
    """
    asked_at = now()
    theirs = clock()
    if theirs is None or theirs.tzinfo is None:
        return None
    return _between(asked_at, now()) - (theirs + timedelta(seconds=0.5))


def _between(first: datetime, second: datetime) -> datetime:
    return first + (second - first) / 2
