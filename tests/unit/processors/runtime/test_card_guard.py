"""No stage publishes a card number that was sent: responses, dead letters and copies of notifications are masked."""

from __future__ import annotations

from typing import Final

import pytest

from paynotify.processors.dead_letters import dead_lettered
from paynotify.processors.metrics import Metrics
from paynotify.processors.runtime.loop import Batch, StageLoop
from paynotify.schemas.cloudevents import ENCRYPTION_KEY
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.providers import id_fields
from paynotify.schemas.records import Output, Record
from paynotify.service.card_guard import CardGuard
from tests.fakes.stages import RecordingPublisher, counted, header, metrics, record
from tests.unit.processors.runtime.test_encrypted_records import Copying

SENT: Final = b'{"note": "4111 1111 1111 1111", "OrderId": "4111111111111111"}'
MASKED: Final = b'{"note": "XXXXXXXXXXXXXXXXXXX", "OrderId": "4111111111111111"}'
RAW: Final = (
    "notifications.smartpay.retry.1",
    "notifications.rejected",
    "notifications.alerts",
    "responses.nevogate",
    "lookups.dead",
)


def guarded(output: Output, numbers: Metrics | None = None) -> Output:
    return CardGuard(KafkaSettings(), id_fields(), (numbers or metrics()).count_card_numbers).output(output)


@pytest.mark.parametrize("topic", RAW)
def test_value_of_a_topic_with_what_was_sent_is_masked(topic: str) -> None:
    numbers = metrics()
    published = guarded(Output(topic, b"k", SENT, (("ce_id", b"1"),)), numbers)
    assert published.value == MASKED
    assert published.headers == (("ce_id", b"1"), ("masked-card-numbers", b"1"))
    assert counted(numbers.card_numbers, topic=topic) == 1


@pytest.mark.parametrize("topic", ["payments.status", "observations", "lookups.nevogate", "payments.orders"])
def test_value_of_any_other_topic_is_not_looked_at(topic: str) -> None:
    output = Output(topic, b"k", SENT, ())
    assert guarded(output) is output


def test_value_that_could_not_be_decrypted_stays() -> None:
    output = Output("lookups.dead", b"k", SENT, ((ENCRYPTION_KEY, b"lost"),))
    assert guarded(output) is output


def test_topics_are_known_by_their_names_on_the_cluster() -> None:
    guard = CardGuard(KafkaSettings(topic_prefix="shop."), id_fields())
    published = guard.outputs(
        [Output("shop.responses.nevogate", b"k", SENT, ()), Output("observations", b"k", SENT, ())]
    )
    assert [one.value for one in published] == [MASKED, SENT]


async def test_loop_masks_what_a_stage_publishes_and_dead_letters() -> None:
    stage, publisher = Copying(), RecordingPublisher()
    loop = StageLoop(stage, publisher, metrics())
    source = record(SENT, {"ce_id": "n-1"}, topic="notifications.nevogate")
    await loop.process_batch(Batch([source], 1, lambda count: None, lambda: True))
    stage.broken = True
    await loop.process_batch(Batch([source], 1, lambda count: None, lambda: True))
    published = {one.topic: one for one in publisher.outputs}
    assert published["responses.nevogate"].value == published["lookups.dead"].value == MASKED
    assert header(published["lookups.dead"], "masked-card-numbers") == "1"


def test_dead_letter_of_a_masked_record_says_so_too() -> None:
    masked = guarded(Output("notifications.rejected", b"k", SENT, ()))
    read = Record(masked.topic, 0, 0, masked.key, masked.value, masked.headers, 0.0)
    again = guarded(dead_lettered(read, "lookups.dead", "internal_error"))
    assert again.value == MASKED
    assert [value for name, value in again.headers if name == "masked-card-numbers"] == [b"1"]
