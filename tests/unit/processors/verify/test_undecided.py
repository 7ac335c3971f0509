"""Notifications that can't be judged yet: they wait, are verified again, and are rejected after the last try."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from msgspec.structs import replace

from paynotify.ops.replay.original import original
from paynotify.processors.fetch.retry_stage import RetryStage
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.verify.stage import VerifyStage, notification_of
from paynotify.schemas.configuration.worker import WorkerSettings
from paynotify.schemas.errors import UndecidedNotificationError
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
    record,
    refuse_publish,
)

DELAYS: Final = WorkerSettings().retry_delays_seconds
RETRIES: Final = 8
HEADERS: Final = {
    "ce_id": "n-1",
    "ce_source": "/notifications/smartpay/shop",
    "ce_time": NOW.isoformat(),
    "x-smartpay-signature": "head..sign",
    "x-other": "1",
}


class Waiting(FakeProvider):
    """A provider that does not know a key until it is published."""

    name = "smartpay"
    published = False

    def verify(self, parsed: Any, notification: Any, account: Any) -> Any:
        assert notification.headers == {"x-smartpay-signature": "head..sign"}
        if not self.published:
            raise UndecidedNotificationError("unknown_key", "no published key has the id")
        return "authentic"


def stage(provider: FakeProvider, meters: Any = None) -> VerifyStage:
    return VerifyStage(
        provider, accounts(), KAFKA, meters or metrics(), 60.0, retry_delays_seconds=DELAYS, now=lambda: NOW
    )


def source(value: Output | None = None) -> Record:
    if value is None:
        return record(b"t-1", HEADERS, topic="notifications.smartpay")
    return replace(record(value.value, topic="notifications.smartpay"), headers=value.headers, offset=9)


async def verify(under_test: VerifyStage, one: Record, state: Overlay | None = None) -> Output:
    (output,) = await under_test.process(BatchContext([one], state if state is not None else empty(), refuse_publish))
    return output


async def returned(one: Output) -> Output:
    async def sleep(seconds: float) -> None:
        return

    requeue = RetryStage("smartpay", KAFKA, lambda: NOW, sleep, notifications=True)
    published: list[Output] = []

    async def publish(outputs: Sequence[Output]) -> None:
        published.extend(outputs)

    waiting = replace(record(one.value, topic=one.topic), headers=one.headers, key=one.key)
    published += await requeue.process(BatchContext([waiting], empty(), publish))
    return published[0]


async def test_undecided_notification_waits_on_the_topic_of_its_try() -> None:
    meters = metrics()
    output = await verify(stage(Waiting(), meters), source())
    assert output.topic == "notifications.smartpay.retry.1"
    assert (header(output, "attempts"), header(output, "reason")) == ("1", "unknown_key")
    assert header(output, "not-before").startswith((NOW + timedelta(seconds=DELAYS[0])).isoformat()[:19])
    assert header(output, "stored-at")
    assert counted(meters.outcomes, provider="smartpay", stage="verify", outcome="retry", reason="unknown_key") == 1


async def test_waiting_notification_is_accepted_once_its_key_is_published() -> None:
    provider = Waiting()
    under_test, state = stage(provider), empty()
    back = await returned(await verify(under_test, source(), state))
    assert back.topic == "notifications.smartpay"
    provider.published = True
    late = replace(source(back), timestamp_seconds=NOW.timestamp() + 3600)
    assert notification_of(late).came_at == NOW, "when it came is when it was stored first"
    assert (await verify(under_test, late, state)).topic == "lookups.smartpay"


async def test_undecided_notification_is_rejected_once_its_tries_are_used_up() -> None:
    under_test, one, seen = stage(Waiting()), source(), []
    for _ in range(RETRIES):
        output = await verify(under_test, one)
        seen.append(output.topic)
        one = source(await returned(output))
    assert seen == [f"notifications.smartpay.retry.{step}" for step in (1, 2, 3, 4, 5, 5, 5, 5)]
    rejected = await verify(under_test, one)
    assert (rejected.topic, header(rejected, "reason")) == ("notifications.rejected", "unknown_key")
    replayed = original(replace(record(rejected.value), headers=rejected.headers))
    assert "attempts" not in dict(replayed.headers), "a replay has all its tries again"


async def test_waiting_notification_that_breaks_the_stage_is_rejected() -> None:
    dead = RetryStage("smartpay", KAFKA, notifications=True).dead_letter(source())
    assert (dead.topic, header(dead, "reason")) == ("notifications.rejected", "malformed")
