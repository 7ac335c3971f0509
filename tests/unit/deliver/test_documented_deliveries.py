"""The contract's examples of deliveries are what the code makes of its example of a result."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from paynotify.deliver.delivery_queue import QueuedDelivery
from paynotify.deliver.result_event import read_event
from paynotify.deliver.subscription_state import state_record
from paynotify.deliver.waiting import dead_letter, waiting_record
from paynotify.ops.replay.original import original
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.generate.examples import recorded_examples
from paynotify.schemas.messages import encode
from paynotify.schemas.records import Output, Record

KAFKA = KafkaSettings()
FAILED_AT = "2026-11-29T16:10:23.000Z"


def record_of(output: Output, offset: int = 7) -> Record:
    return Record(output.topic, 0, offset, output.key, output.value, output.headers, 0.0)


def delivery() -> QueuedDelivery:
    """The example of a payment's event, which has failed once."""
    example = recorded_examples()["PaymentStatusChanged"]
    headers = tuple((name, value.encode()) for name, value in example.headers.items())
    value = orjson.dumps(example.payload)
    event = read_event(Record(example.topic, 0, 41, (example.key or "").encode(), value, headers, 0.0))
    assert event is not None
    return QueuedDelivery(event, attempts=1, first_failed_at=FAILED_AT, due_seconds=1795968628.0)


def outputs() -> dict[str, Output]:
    dead = dead_letter(delivery(), "failing", "erp", KAFKA)
    return {
        "DeliveryWaiting": waiting_record(delivery(), "erp", KAFKA),
        "DeliveryDead": dead,
        "DeliveryReplayed": original(record_of(dead)),
    }


@pytest.mark.parametrize("name", ["DeliveryWaiting", "DeliveryDead", "DeliveryReplayed"])
def test_example_of_a_delivery_is_what_the_code_makes(name: str) -> None:
    made, example = outputs()[name], recorded_examples()[name]
    assert (made.topic, (made.key or b"").decode()) == (example.topic, example.key)
    assert {header: text.decode() for header, text in made.headers} == example.headers
    assert (made.value or b"").decode() == example.payload


def test_example_of_a_subscription_is_what_the_code_makes() -> None:
    example = recorded_examples()["SubscriptionKept"]
    made = state_record("erp", "disabled", "subscriber", KAFKA)
    assert (made.topic, (made.key or b"").decode(), made.headers) == (example.topic, example.key, ())
    expected: dict[str, Any] = orjson.loads(example.payload)
    assert {**orjson.loads(made.value or b""), "at": expected["at"]} == expected
    assert encode(expected).decode() == example.payload
