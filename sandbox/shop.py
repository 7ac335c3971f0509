"""An example web shop that registers each order as an expected payment on ``payments.expected``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import orjson
from kafka import KafkaProducer

from paynotify.schemas import topics
from paynotify.schemas.times import rfc3339

_SEND_SECONDS: Final = 30


class ExampleShop:
    """Writes with its own Kafka client and without record keys, as any shop may."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._topic = prefix + topics.EXPECTED
        self._producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")

    def expects(
        self,
        merchant: str,
        order_id: str,
        value: int,
        currency: str,
        *,
        final_by: timedelta = timedelta(hours=1),
        payment_id: str | None = None,
        several: bool = False,
    ) -> None:
        """Register one order, to be final ``final_by`` from now; returns when the brokers have acknowledged it."""
        now = datetime.now(UTC)
        expected = {
            "merchant": merchant,
            "order_id": order_id,
            "payment_id": payment_id,
            "amount": {"value": value, "currency": currency},
            "created_at": rfc3339(now),
            "final_by": rfc3339(now + final_by),
            "several": several,
        }
        self._producer.send(self._topic, orjson.dumps(expected)).get(timeout=_SEND_SECONDS)

    def close(self) -> None:
        self._producer.close()
