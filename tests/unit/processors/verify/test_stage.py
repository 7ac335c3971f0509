"""Every notification has exactly one output, also when it is processed twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from paynotify.ops.replay.original import original
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.memory_store import MemoryStore
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.verify.stage import VerifyStage, notification_of
from paynotify.schemas import messages
from paynotify.schemas.messages import Lookup
from paynotify.schemas.records import Output, Record
from tests.fakes.stages import (
    KAFKA,
    NOW,
    FakeProvider,
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


async def test_notification_becomes_a_lookup_with_a_derived_id() -> None:
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
async def test_rejected_notification_is_kept_whole_with_reason_and_origin(made: Record, reason: str) -> None:
    (output,) = await verify([made])
    assert output.topic == "notifications.rejected"
    assert (output.key, output.value) == (made.key, made.value)
    assert output.headers[: len(made.headers)] == made.headers
    assert header(output, "reason") == reason
    assert header(output, "original-topic") == made.topic
    assert header(output, "original-partition") == "1"
    assert header(output, "original-offset") == "0"


async def test_alerts_of_a_batch_are_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    await verify([notification_record(f"n-{number}", b"alertDown") for number in range(20)])
    assert [one.getMessage() for one in caplog.records] == ["provider_alert"]


async def test_alert_causes_no_lookup() -> None:
    (output,) = await verify([notification_record("n-1", b"alertDown")])
    assert output.topic == "notifications.alerts"
    assert header(output, "alert") == "alertDown"


@given(st.lists(st.sampled_from((b"t-1", b"t-2", b"bad-1", b"every-1", b"alertDown")), min_size=1, max_size=20))
async def test_batch_repeated_after_a_crash_has_the_same_outputs(bodies: list[bytes]) -> None:
    records = [notification_record(f"n-{number}", body, offset=number) for number, body in enumerate(bodies)]
    store = MemoryStore()
    before = Overlay(store)
    outputs = await verify(records, before)
    assert len(outputs) == len(records)
    store.write(before.changes, 1)
    assert await verify(records, Overlay(store)) == outputs


async def test_dead_letter_is_rejected_as_malformed() -> None:
    output = stage().dead_letter(notification_record("n-1", b"bug"))
    assert (output.topic, header(output, "reason")) == ("notifications.rejected", "malformed")


async def test_outcome_of_each_notification_is_counted() -> None:
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


def test_notification_of_a_record_without_headers() -> None:
    notification = notification_of(record(None))
    assert (notification.notification_id, notification.merchant, notification.body) == ("", "", b"")
    assert notification.received_at == NOW


def test_notification_came_when_the_brokers_stored_it_whatever_the_ingress_says() -> None:
    fast = notification_record("n-1", at=NOW + timedelta(hours=1))
    stored = replace(fast, timestamp_seconds=NOW.timestamp())
    assert notification_of(stored).came_at == NOW
    assert notification_of(stored).received_at == NOW + timedelta(hours=1)


async def test_replayed_copy_came_when_its_original_was_stored() -> None:
    """A token that had expired then has expired for good, however slow the ingress's clock was."""
    slow = replace(notification_record("n-1", b"bad-1", at=NOW - timedelta(hours=1)), timestamp_seconds=NOW.timestamp())
    (rejected,) = await verify([slow])
    kept = replace(slow, topic="notifications.rejected", headers=rejected.headers)
    later = NOW.timestamp() + 86_400
    replayed = original(kept)
    copy = replace(slow, headers=replayed.headers, timestamp_seconds=later)
    assert notification_of(copy).came_at == NOW
    again = original(replace(kept, headers=(await verify([copy]))[0].headers))
    assert notification_of(replace(copy, headers=again.headers)).came_at == NOW


def test_copy_replayed_from_before_the_header_existed_came_by_the_ingress_clock() -> None:
    made = notification_record("n-1")
    copy = replace(
        made, headers=(*made.headers, ("replayed-from", b"notifications.rejected/0/1")), timestamp_seconds=9e9
    )
    assert notification_of(copy).came_at == NOW


@pytest.mark.parametrize(
    ("body", "seen"), [(b"t-1", True), (b"every-1", True), (b"bad-1", False), (b"alertDown", False)]
)
async def test_last_verified_is_neither_of_rejected_calls_nor_of_alerts(body: bytes, seen: bool) -> None:
    numbers = metrics()
    chosen = VerifyStage(FakeProvider(), accounts(), KAFKA, numbers, WINDOW_SECONDS)
    await chosen.process(BatchContext([notification_record("n-1", body)], empty(), refuse_publish))
    assert counted(numbers.last_verified, provider="nevogate") == (NOW.timestamp() if seen else 0)


async def test_alert_is_counted_by_kind_and_state_and_says_both_in_its_headers() -> None:
    counts = metrics()
    made = record(
        b'{"alertNoSuccessTransactionOver": {"storeName": "s"}}',
        {"ce_id": "n-1", "ce_source": "/notifications/nevogate/shop", "alert-kind": "of an earlier try"},
    )
    stage = VerifyStage(provider_specs()["nevogate"].provider, accounts(), KAFKA, counts)
    (output,) = await stage.process(BatchContext([made], empty(), refuse_publish))
    assert (output.topic, output.value) == ("notifications.alerts", made.value)
    assert header(output, "alert") == "alertNoSuccessTransactionOver"
    assert [name for name, _ in output.headers].count("alert-kind") == 1
    assert (header(output, "alert-kind"), header(output, "alert-state")) == ("no_success", "over")
    assert counted(counts.provider_alerts, provider="nevogate", kind="no_success", state="over") == 1
