"""Publishes an operator's correction."""

from __future__ import annotations

from typing import Final

from paynotify.ops.common.record_sender import RecordSender
from paynotify.ops.correct.correction import output
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.messages import Observation, PaymentStatus

_REMEDY: Final = "look at the payment again before you repeat it: the correction may have arrived"


def publish(kafka: KafkaSettings, observed: Observation) -> None:
    """Publish the correction; return once the brokers have acknowledged it.

    Raises:
        ClusterUnavailableError: they did not.
    """
    with RecordSender(kafka, client_id="paynotify-correct", what="the correction", remedy=_REMEDY) as sender:
        sender.send(output(observed, kafka))


def result_of(follows: PaymentStatus) -> dict[str, str]:
    """What the record of the action says of its end."""
    return {"sequence": str(follows.sequence), "status": follows.status, "event_id": follows.event_id}
