"""Takes a payment off ``payments.latest``: a record with its key and no value, which compaction follows.

resolve writes them, as it writes the events: after its state knows a newer event, no tombstone of an older one comes.
"""

from __future__ import annotations

from paynotify.schemas import messages, topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import ForgetRequested, PaymentStatus
from paynotify.schemas.records import Output


class Tombstones:
    """Makes the tombstones."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._topic = kafka.topic(topics.LATEST)
        self._headers = EventHeaders(kafka.events, "/resolve", messages.PAYMENT_FORGOTTEN)

    def of(self, key: bytes, last: PaymentStatus) -> Output:
        """The tombstone after the payment's last event. It has no time of its own, so that a repeat is identical."""
        return Output(self._topic, key, None, self._headers(derived_id("forgotten", last.event_id), subject=key))

    def requested(self, key: bytes, asked: ForgetRequested, last: PaymentStatus | None) -> list[Output]:
        """The tombstone that an operator wants; none if the payment has newer events, or none.

        A batch that is repeated after a crash meets the state that it left: without the sequence, the tombstone would
        come again, after the event that followed it.
        """
        return [self.of(key, last)] if last is not None and last.sequence == asked.sequence else []
