"""Which notification is a duplicate of which."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.verify.stage import VerifyStage
from paynotify.schemas.records import Output, Record
from tests.fakes.stages import (
    KAFKA,
    NOW,
    FakeProvider,
    accounts,
    empty,
    header,
    metrics,
    notification_record,
    refuse_publish,
)

WINDOW_SECONDS = 3600.0
OUTCOMES = {"lookups.nevogate": "lookup", "notifications.duplicates": "duplicate"}


async def verify(records: Sequence[Record], *merchants: str) -> list[Output]:
    stage = VerifyStage(FakeProvider(), accounts(*merchants), KAFKA, metrics(), WINDOW_SECONDS)
    return list(await stage.process(BatchContext(records, empty(), refuse_publish)))


def outcomes(outputs: Sequence[Output]) -> list[str]:
    return [OUTCOMES[output.topic] for output in outputs]


async def test_duplicate_within_the_window_names_its_original() -> None:
    outputs = await verify([notification_record("n-1"), notification_record("n-2"), notification_record("n-3", b"t-2")])
    assert outcomes(outputs) == ["lookup", "duplicate", "lookup"]
    assert (header(outputs[1], "ce_id"), header(outputs[1], "duplicate-of")) == ("n-2", "n-1")
    assert outputs[1].value == b"", "nothing from outside is kept twice"


async def test_duplicate_window_begins_again_after_its_end() -> None:
    def at(number: int, seconds: float) -> Record:
        return notification_record(f"n-{number}", at=NOW + timedelta(seconds=seconds))

    outputs = await verify([at(1, 0), at(2, WINDOW_SECONDS), at(3, WINDOW_SECONDS + 1), at(4, 2 * WINDOW_SECONDS)])
    assert outcomes(outputs) == ["lookup", "duplicate", "lookup", "duplicate"]


async def test_duplicate_is_only_of_the_same_merchant() -> None:
    records = [notification_record("n-1", merchant="one"), notification_record("n-2", merchant="two")]
    assert outcomes(await verify(records, "one", "two")) == ["lookup", "lookup"]


async def test_duplicate_needs_a_key() -> None:
    records = [notification_record(f"n-{number}", b"every-1") for number in range(3)]
    assert outcomes(await verify(records)) == ["lookup"] * 3
