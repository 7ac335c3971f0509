"""What a person has to know of a payment is one event each, whatever is processed again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pytest

from paynotify.processors.resolve.stage import ResolveStage
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.memory_store import MemoryStore
from paynotify.processors.state.overlay import Overlay
from paynotify.schemas import messages
from paynotify.schemas.messages import Observation, OperationsEvent, OperationsKind
from paynotify.schemas.records import Output, Record
from paynotify.schemas.status import Status
from tests.fakes.payment_histories import correction, pounds, refund, seen
from tests.fakes.stages import KAFKA, empty, header, metrics, record, refuse_publish

CAPTURED: Final = seen("captured", 1)


def records(observations: Sequence[Observation]) -> list[Record]:
    return [
        record(messages.encode(one), {"ce_id": f"o-{number}"}, key=b"shop-uk/p1", offset=number, topic="observations")
        for number, one in enumerate(observations)
    ]


async def noticed(batch: Sequence[Record], state: Overlay | None = None) -> list[Output]:
    context = BatchContext(batch, state if state is not None else empty(), refuse_publish)
    outputs = await ResolveStage(KAFKA, metrics()).process(context)
    return [one for one in outputs if one.topic == "operations"]


async def events(*observations: Observation) -> list[OperationsEvent]:
    return [messages.decode(one.value, OperationsEvent) for one in await noticed(records(observations))]


@pytest.mark.parametrize("word", ["cancelled", "failed", "expired", "declined", "pending", "authorised", "suspended"])
async def test_newer_word_that_money_is_not_captured_is_an_event(word: Status) -> None:
    (event,) = await events(CAPTURED, seen(word, 2))
    assert (event.kind, event.status, event.refused) == ("money_taken_back", "captured", word)
    assert (event.cause, event.payment_id, event.captured) == ("o-1", "p1", pounds(1000))


@pytest.mark.parametrize(
    "observations",
    [
        [CAPTURED, seen("cancelled", 0)],
        [CAPTURED, seen("unknown", 2)],
        [CAPTURED, seen("captured", 2)],
        [seen("failed", 1), seen("pending", 2)],
        [CAPTURED, refund("r", 1000, 2, settled=True), seen("cancelled", 3)],
    ],
    ids=["older", "unknown word", "the same", "no money", "all of it went back"],
)
async def test_refused_transition_that_takes_nothing_back_is_none(observations: list[Observation]) -> None:
    assert await events(*observations) == []


async def test_each_refund_beyond_what_was_captured_is_an_event() -> None:
    refunds = [refund(f"r{number}", 600, number, settled=True) for number in (2, 3, 4)]
    found = await events(CAPTURED, *refunds, refunds[-1])
    assert [(one.kind, one.refunded) for one in found] == [
        ("over_refunded", pounds(1200)),
        ("over_refunded", pounds(1800)),
    ]
    assert len({one.event_id for one in found}) == 2


async def test_money_that_came_back_without_a_refund_is_an_event() -> None:
    (event,) = await events(CAPTURED, seen("cancelled", 2, returnable=True))
    assert (event.kind, event.status, event.previous_status) == ("money_returned", "unknown", "captured")


async def test_each_correction_is_an_event_that_names_nobody() -> None:
    again = correction("captured", 3)
    output, without_news = await noticed(records([seen("charged_back", 1), again, again, correction("captured", 4)]))
    event = messages.decode(output.value, OperationsEvent)
    assert (event.kind, event.status, event.previous_status) == ("corrected", "captured", "charged_back")
    assert b"anna" not in (output.value or b"")
    assert b"4711" not in (output.value or b"")
    assert header(without_news, "kind") == "corrected"
    assert header(without_news, "ce_id") != header(output, "ce_id")


#: What makes an event of each kind, after what comes before it.
CASES: Final[tuple[tuple[OperationsKind, tuple[Observation, ...]], ...]] = (
    ("money_taken_back", (CAPTURED, seen("cancelled", 2))),
    ("over_refunded", (CAPTURED, refund("r", 1100, 2, settled=True))),
    ("money_returned", (CAPTURED, seen("failed", 2, returnable=True))),
    ("corrected", (CAPTURED, correction("refunded", 2))),
)


@pytest.mark.parametrize(("kind", "observations"), CASES, ids=[kind for kind, _ in CASES])
async def test_event_is_one_by_its_id_after_a_crash(
    kind: OperationsKind, observations: tuple[Observation, ...], caplog: pytest.LogCaptureFixture
) -> None:
    batch = records(observations)
    store = MemoryStore()
    before = Overlay(store)
    (first,) = await noticed(batch, before)
    (line,) = [one for one in caplog.records if one.name == "paynotify.operations"]
    assert line.getMessage() == kind
    assert line.fields["event_id"] == header(first, "ce_id")  # type: ignore[attr-defined]  # as the product logs
    assert first.key == b"shop-uk/p1"
    assert await noticed(batch) == [first], "on the state of before, the same event"
    store.write(before.changes, 1)
    assert await noticed(batch, Overlay(store)) == [], "on the state of after, which is stored after the event, none"
