"""The contract's example of a tombstone is what resolve makes of its example of an event."""

from __future__ import annotations

import orjson

from paynotify.processors.resolve.tombstones import Tombstones
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.generate.examples import recorded_examples
from paynotify.schemas.messages import PaymentStatus, decode
from paynotify.schemas.records import Output


def tombstone() -> Output:
    event = recorded_examples()["PaymentStatusChanged"]
    last = decode(orjson.dumps(event.payload), PaymentStatus)
    return Tombstones(KafkaSettings()).of((event.key or "").encode(), last)


def test_example_of_a_tombstone_is_what_resolve_makes() -> None:
    made, example = tombstone(), recorded_examples()["PaymentForgotten"]
    assert (made.topic, (made.key or b"").decode(), made.value) == (example.topic, example.key, example.payload)
    assert {name: text.decode() for name, text in made.headers} == example.headers
