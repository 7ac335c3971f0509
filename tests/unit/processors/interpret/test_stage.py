"""The observations of a stored response, and what becomes of an unreadable one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from paynotify.ops.replay.original import original
from paynotify.processors.interpret.stage import InterpretStage, response_of
from paynotify.processors.operations_events import odd_elements
from paynotify.processors.providers.base import Interpretation, OddElement, ProviderResponse
from paynotify.processors.runtime.stage import BatchContext
from paynotify.schemas import messages
from paynotify.schemas.messages import Answered, Chargeback, Expectation, Observation, OperationsEvent, Refund
from paynotify.schemas.money import Money
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import rfc3339
from tests.fakes.stages import (
    KAFKA,
    NOW,
    FakeProvider,
    NothingExpected,
    accounts,
    counted,
    empty,
    header,
    metrics,
    record,
    refuse_publish,
)

TRACES = {name: f"00-{name * 32}-{name * 16}-01" for name in ("a", "b")}


def response(body: bytes, merchant: str = "shop", **headers: str) -> Record:
    more = {name if name.startswith("ce_") else name.replace("_", "-"): text for name, text in headers.items()}
    stored = {"ce_id": "r-1", "ce_source": f"/providers/nevogate/{merchant}", "ce_time": "2026-06-01T12:00:00.000Z"}
    return record(body, {**stored, **more}, topic="responses.nevogate")


async def interpret(made: Record) -> list[Output]:
    stage = InterpretStage(FakeProvider(), accounts(), KAFKA, metrics(), NothingExpected())
    return list(await stage.process(BatchContext([made], empty(), refuse_publish)))


def answers(*references: str) -> str:
    made = [
        Answered(
            lookup_id=f"l-{name}",
            reference=name,
            received_at=f"2026-06-01T11:00:0{number}.000Z",
            traceparent=TRACES[name],
        )
        for number, name in enumerate(references)
    ]
    return messages.encode(made).decode()


async def test_observation_of_each_payment_has_the_payments_key() -> None:
    outputs = await interpret(response(b"a b"))
    assert [(one.topic, one.key) for one in outputs] == [("observations", b"shop/a"), ("observations", b"shop/b")]
    assert [messages.decode(one.value, Observation).payment_id for one in outputs] == ["a", "b"]
    assert len({header(one, "ce_id") for one in outputs}) == 2


async def test_response_always_has_the_same_observations() -> None:
    assert await interpret(response(b"a b")) == await interpret(response(b"a b"))


async def test_trace_of_each_payments_lookup_is_continued() -> None:
    outputs = await interpret(response(b"b a c", lookups=answers("a", "b"), traceparent="00-of-the-answer"))
    assert [header(one, "traceparent") for one in outputs] == [TRACES["b"], TRACES["a"], "00-of-the-answer"]
    received = [header(one, "received-at") for one in outputs]
    assert received == ["2026-06-01T11:00:01.000Z", "2026-06-01T11:00:00.000Z", "2026-06-01T11:00:00.000Z"]


async def test_trace_is_all_that_unreadable_lookup_headers_cost() -> None:
    (output,) = await interpret(response(b"a", lookups='[{"lookup_id": 1}]'))
    assert header(output, "traceparent") == ""


async def test_untrusted_response_is_dead_lettered_whole() -> None:
    made = response(b"unsigned", fact_version="2")
    (output,) = await interpret(made)
    assert (output.topic, output.key, output.value) == ("lookups.dead", made.key, made.value)
    assert header(output, "reason") == "unverified_answer"
    assert header(output, "fact-version") == "2"
    assert header(output, "original-topic") == "responses.nevogate"


async def test_readable_part_of_a_response_is_observed() -> None:
    made = response(b"a unreadable b")
    first, second, kept, noticed = await interpret(made)
    assert [first.key, second.key] == [b"shop/a", b"shop/b"]
    assert (kept.topic, kept.value, header(kept, "reason")) == ("lookups.dead", made.value, "unreadable_answer")
    assert messages.decode(noticed.value, OperationsEvent).elements_total == 1


class _OddProvider(FakeProvider):
    """Finds two odd elements for one reason and one for another, and two payments that can't be written."""

    def interpret(self, response: ProviderResponse, account: Any) -> Interpretation:
        good = super().interpret(response, account).observations
        unwritable = replace(good[0], order_id="A-\ud800")
        too_long = replace(good[0], order_id="A" * 1_000_000)
        odd = (OddElement("list/0"), OddElement("list/7", "unknown_merchant"), OddElement("list/9"))
        return Interpretation((unwritable, *good, too_long), odd=odd)


async def test_odd_elements_are_dead_lettered_alone_and_named_by_their_place() -> None:
    stage = InterpretStage(_OddProvider(), accounts(), KAFKA, metrics(), NothingExpected())
    made = response(b"a b")
    first, second, unreadable, foreign, _ = await stage.process(BatchContext([made], empty(), refuse_publish))
    assert [first.key, second.key] == [b"shop/a", b"shop/b"]
    assert (header(unreadable, "reason"), header(unreadable, "elements")) == (
        "unreadable_answer",
        "list/0 list/9 observations/0 observations/3",
    )
    assert (header(foreign, "reason"), header(foreign, "elements")) == ("unknown_merchant", "list/7")
    assert unreadable.value == foreign.value == made.value


async def test_page_with_odd_elements_is_one_event_with_the_same_id_when_read_again() -> None:
    stage = InterpretStage(_OddProvider(), accounts(), KAFKA, metrics(), NothingExpected())
    made = response(b"a b")
    *_, first = await stage.process(BatchContext([made], empty(), refuse_publish))
    *_, again = await stage.process(BatchContext([replace(made, offset=7)], empty(), refuse_publish))
    assert (first.topic, first.key) == ("operations", made.key)
    assert (first.value, first.headers) == (again.value, again.headers)
    event = messages.decode(first.value, OperationsEvent)
    assert header(first, "ce_id") == event.event_id
    assert (header(first, "ce_type"), header(first, "kind")) == ("payment.operations.noticed.v1", "odd_elements")
    assert (event.cause, event.merchant, event.elements_total) == (made.header("ce_id"), "shop", 5)
    assert [one.place for one in event.elements] == ["list/0", "list/7", "list/9", "observations/0", "observations/3"]


async def test_event_of_a_page_full_of_odd_elements_is_bounded() -> None:
    odd = [OddElement(f"list/{number}" + "x" * 200) for number in range(10_000)]
    event = odd_elements(response(b"a"), "nevogate", "shop", odd)
    assert (len(event.elements), event.elements_total) == (50, 10_000)
    assert len(messages.encode(event)) < 10_000


async def test_replayed_page_with_odd_elements_is_the_original_response() -> None:
    stage = InterpretStage(_OddProvider(), accounts(), KAFKA, metrics(), NothingExpected())
    made = response(b"a b")
    *_, kept, _ = await stage.process(BatchContext([made], empty(), refuse_publish))
    replayed = original(replace(made, topic="lookups.dead", headers=kept.headers))
    assert (replayed.topic, replayed.key, replayed.value) == (made.topic, made.key, made.value)
    assert [one for one in replayed.headers if one[0] != "replayed-from"] == list(made.headers)


async def test_removed_merchants_response_is_dead_lettered() -> None:
    (output,) = await interpret(response(b"a", merchant="gone"))
    assert (output.topic, header(output, "reason")) == ("lookups.dead", "unknown_merchant")


async def test_dead_letter_is_counted() -> None:
    numbers = metrics()
    output = InterpretStage(FakeProvider(), accounts(), KAFKA, numbers, NothingExpected()).dead_letter(response(b"a"))
    assert (output.topic, header(output, "reason")) == ("lookups.dead", "internal_error")
    assert counted(numbers.dead_letters, provider="nevogate", stage="interpret", reason="internal_error") == 1


async def test_expectation_is_part_of_the_observation_and_its_id() -> None:
    expected = Expectation(order_id="order", amount=Money(5, "EUR"))
    stage = InterpretStage(FakeProvider(), accounts(), KAFKA, metrics(), NothingExpected(**{"order-a": expected}))
    (plain,) = await interpret(response(b"a"))
    (told,) = await stage.process(BatchContext([response(b"a")], empty(), refuse_publish))
    assert messages.decode(told.value, Observation).expected == expected
    assert header(told, "ce_id") != header(plain, "ce_id")


@pytest.mark.parametrize(
    ("told_seconds", "received_seconds"),
    [(3600.0, 0.0), (0.7, 0.0), (-0.02, 0.0), (-4.9, 0.0), (-5.0, -5.0), (-21.0, -21.0)],
    ids=["an hour ahead", "ahead", "on its way", "behind", "frozen for long enough to lose it", "frozen"],
)
def test_received_at_is_the_brokers_time_unless_the_worker_stalled(
    told_seconds: float, received_seconds: float
) -> None:
    told_at, received_at = (NOW + timedelta(seconds=one) for one in (told_seconds, received_seconds))
    found = response_of(response(b"x", ce_time=rfc3339(told_at)))
    assert (found.received_at, found.clock_offset) == (received_at, received_at - told_at)


def test_facts_of_the_response_come_from_headers() -> None:
    found = response_of(response(b"x", http_status="404", content_type="text/html", reference="t", fact_version="2"))
    assert (found.http_status, found.content_type) == (404, "text/html")
    assert (found.reference, found.facts, found.received_at) == ("t", {"version": "2"}, NOW)
    assert response_of(response(b"x", http_status="²")).http_status == 200


class _WarningProvider(FakeProvider):
    """Reads a payment, a refund and a chargeback of it, and finds its amounts odd."""

    def interpret(self, response: ProviderResponse, account: Any) -> Interpretation:
        (payment,) = super().interpret(response, account).observations
        pounds = Money(1050, "GBP")
        refund = replace(payment, status=None, refund=Refund(refund_id="r", amount=pounds, settled=True))
        chargeback = replace(payment, status=None, chargeback=Chargeback(chargeback_id="c", amount=pounds))
        return Interpretation((payment, refund, chargeback), warnings=("amount_decimals",))


async def test_warning_is_counted_and_each_child_of_a_payment_has_an_id_of_its_own() -> None:
    numbers = metrics()
    stage = InterpretStage(_WarningProvider(), accounts(), KAFKA, numbers, NothingExpected())
    outputs = await stage.process(BatchContext([response(b"a")], empty(), refuse_publish))
    assert len({header(one, "ce_id") for one in outputs}) == 3
    assert counted(numbers.response_warnings, provider="nevogate", warning="amount_decimals") == 1
