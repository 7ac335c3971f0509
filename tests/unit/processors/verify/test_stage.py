"""Every notification ends as exactly one thing, also when it is worked on twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.runtime.loop import BatchContext
from processors.state.partition_state import Overlay
from processors.verify.stage import VerifyStage, notification_of
from schemas import messages
from schemas.messages import Lookup
from schemas.records import Output, Record
from tests.fakes.stages import (
    KAFKA,
    NOW,
    FakeProvider,
    MemoryStore,
    accounts,
    counted,
    empty,
    header,
    metrics,
    notification_record,
    record,
    refuse_publish,
)

WINDOW_SECONDS = 3600.0
ENDS = {
    "lookups.nevogate": "lookup",
    "notifications.duplicates": "duplicate",
    "notifications.rejected": "rejected",
    "notifications.alerts": "alert",
}


def stage() -> VerifyStage:
    return VerifyStage(FakeProvider(), accounts(), KAFKA, metrics(), WINDOW_SECONDS)


async def verify(records: Sequence[Record], state: Overlay | None = None) -> list[Output]:
    return list(await stage().process(BatchContext(records, state if state is not None else empty(), refuse_publish)))


def ends(outputs: Sequence[Output]) -> list[str]:
    return [ENDS[output.topic] for output in outputs]


async def test_a_notification_becomes_a_lookup_with_an_id_of_its_own() -> None:
    (output,) = await verify([notification_record("n-1")])
    again = await verify([notification_record("n-1")])
    assert output.topic == "lookups.nevogate"
    assert output.key == b"shop/t-1"
    assert messages.decode(output.value, Lookup).reference == "t-1"
    assert again == [output], "the same notification always asks with the same id and bytes"
    assert header(output, "ce_id") != "n-1"


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (notification_record("n-1", b"bad-1"), "bad_signature"),
        (notification_record("n-1", merchant="stranger"), "unknown_merchant"),
        (notification_record("n-1", merchant=""), "unknown_merchant"),
        (notification_record(""), "malformed"),
        (record(b"t-1"), "malformed"),
    ],
)
async def test_a_rejected_one_is_kept_whole_with_its_reason_and_place(made: Record, reason: str) -> None:
    (output,) = await verify([made])
    assert output.topic == "notifications.rejected"
    assert (output.key, output.value) == (made.key, made.value)
    assert output.headers[: len(made.headers)] == made.headers
    assert header(output, "reason") == reason
    assert header(output, "original-topic") == made.topic
    assert header(output, "original-partition") == "1"
    assert header(output, "original-offset") == "0"


async def test_a_copy_within_the_window_is_a_duplicate_and_says_of_which() -> None:
    outputs = await verify([notification_record("n-1"), notification_record("n-2"), notification_record("n-3", b"t-2")])
    assert ends(outputs) == ["lookup", "duplicate", "lookup"]
    assert (header(outputs[1], "ce_id"), header(outputs[1], "duplicate-of")) == ("n-2", "n-1")
    assert outputs[1].value == b"", "nothing from outside is kept twice"


async def test_a_copy_after_the_window_counts_anew() -> None:
    def at(number: int, seconds: float) -> Record:
        return notification_record(f"n-{number}", at=NOW + timedelta(seconds=seconds))

    outputs = await verify([at(1, 0), at(2, WINDOW_SECONDS), at(3, WINDOW_SECONDS + 1), at(4, 2 * WINDOW_SECONDS)])
    assert ends(outputs) == ["lookup", "duplicate", "lookup", "duplicate"]


async def test_the_same_content_at_another_merchant_is_no_duplicate() -> None:
    chosen = VerifyStage(FakeProvider(), accounts("one", "two"), KAFKA, metrics(), WINDOW_SECONDS)
    records = [notification_record("n-1", merchant="one"), notification_record("n-2", merchant="two")]
    assert ends(await chosen.process(BatchContext(records, empty(), refuse_publish))) == ["lookup", "lookup"]


async def test_where_every_call_must_be_answered_none_is_a_duplicate() -> None:
    records = [notification_record(f"n-{number}", b"every-1") for number in range(3)]
    assert ends(await verify(records)) == ["lookup"] * 3


async def test_many_alerts_are_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    await verify([notification_record(f"n-{number}", b"alertDown") for number in range(20)])
    assert [one.getMessage() for one in caplog.records] == ["provider_alert"]


async def test_an_alert_causes_no_lookup() -> None:
    (output,) = await verify([notification_record("n-1", b"alertDown")])
    assert output.topic == "notifications.alerts"
    assert header(output, "alert") == "alertDown"


@given(st.lists(st.sampled_from((b"t-1", b"t-2", b"bad-1", b"every-1", b"alertDown")), min_size=1, max_size=20))
async def test_a_batch_repeated_after_a_crash_ends_in_the_same_bytes(bodies: list[bytes]) -> None:
    records = [notification_record(f"n-{number}", body, offset=number) for number, body in enumerate(bodies)]
    store = MemoryStore()
    before = Overlay(store)
    outputs = await verify(records, before)
    assert len(outputs) == len(records)
    store.write(before.changes, 1)
    assert await verify(records, Overlay(store)) == outputs


async def test_what_nobody_foresaw_is_malformed() -> None:
    output = stage().dead_letter(notification_record("n-1", b"bug"))
    assert (output.topic, header(output, "reason")) == ("notifications.rejected", "malformed")


async def test_each_end_is_counted() -> None:
    numbers = metrics()
    chosen = VerifyStage(FakeProvider(), accounts(), KAFKA, numbers, WINDOW_SECONDS)
    bodies = (b"t-1", b"t-1", b"bad-1", b"alertX")
    await chosen.process(
        BatchContext([notification_record(f"n-{n}", body) for n, body in enumerate(bodies)], empty(), refuse_publish)
    )
    found = {
        (outcome, reason): counted(
            numbers.outcomes, provider="nevogate", stage="verify", outcome=outcome, reason=reason
        )
        for outcome, reason in (("lookup", ""), ("duplicate", ""), ("rejected", "bad_signature"), ("alert", ""))
    }
    assert set(found.values()) == {1}


def test_a_record_without_headers_is_still_a_notification() -> None:
    notification = notification_of(record(None))
    assert (notification.notification_id, notification.merchant, notification.body) == ("", "", b"")
    assert notification.received_at == NOW
