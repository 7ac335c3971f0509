"""Finds what is known about one payment: its newest event, and the state that resolve will apply a correction to.

Resolve's changelog has what no event has: the refunds, the expectation and the time of the newest observation. With it,
the event that follows a correction is computed by resolve's own function and is not an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from paynotify.ops.common.newest import newest_record
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.processors.resolve.retention import payment_state
from paynotify.schemas import topics
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import ConfigurationError, UnreadableError
from paynotify.schemas.messages import PaymentStatus, decode


@dataclass(frozen=True, slots=True)
class CurrentPayment:
    """A payment's newest event on ``payments.latest``, and its state; None where there is none (any more)."""

    event: PaymentStatus | None
    state: PaymentState | None


def current_payment(reader: TopicReader, kafka: KafkaSettings, key: bytes) -> CurrentPayment:
    """What the topics hold about the payment with this key.

    Raises:
        ConfigurationError: a later release has written the payment in a form that this one cannot read.
        ClusterUnavailableError: the topics cannot be read.
    """
    latest = newest_record(reader, kafka.topic(topics.LATEST), key)
    state = newest_record(reader, kafka.topic(topics.changelog("resolve")), key)
    try:
        return CurrentPayment(
            decode(latest.value, PaymentStatus) if latest is not None and latest.value is not None else None,
            payment_state(state.value) if state is not None and state.value is not None else None,
        )
    except (UnreadableError, msgspec.MsgspecError, ValueError):
        raise ConfigurationError(
            "The payment's newest event or state cannot be read. It may have been written by a later release: "
            "use the release that the workers run."
        ) from None
