"""requeue: returns records from a retry topic when they are due: lookups, and notifications to verify again.

Its stage name is ``requeue``, as in consumer groups and metrics.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from paynotify.processors.dead_letters import dead_lettered
from paynotify.processors.runtime.progress import report_progress
from paynotify.processors.runtime.stage import BatchContext
from paynotify.schemas import topics
from paynotify.schemas.cloudevents import HELD_SINCE
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.reasons import DeadReason, RejectReason
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import parse_time, utc_now

_MAX_SLEEP_SECONDS: Final = 2.0


#: The head of a partition waits longer by up to this share. Otherwise lookups that an outage delayed together would
#: return from all partitions together. Records behind the head keep their order and are due by then.
_JITTER_SHARE: Final = 0.1


def _never(merchant: str) -> bool:
    return False


class RetryStage:
    """The stage for one provider's retry topics. Sleeps until the head of its partition is due, plus jitter.

    A lookup that was held back returns before that if ``may_return`` says so for its merchant.

    They hold lookups, or, with ``notifications``, what verify could not judge yet.
    """

    name = "requeue"

    def __init__(
        self,
        provider: str,
        kafka: KafkaSettings,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        *,
        notifications: bool = False,
        may_return: Callable[[str], bool] = _never,
    ) -> None:
        self.provider = provider
        self._target = kafka.topic((topics.notifications if notifications else topics.lookups)(provider))
        self._dead = kafka.topic(topics.REJECTED if notifications else topics.DEAD)
        self._reason: RejectReason | DeadReason = "malformed" if notifications else "internal_error"
        self._now = now
        self._sleep = sleep
        self._may_return = may_return

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """Publish due records group by group, so that a batch's first record does not wait for its last."""
        due: list[Output] = []
        for record in context.records:
            wait_seconds = self._wait_seconds(record)
            if wait_seconds > 0 and not self._released(record):
                await context.publish(due)
                due = []
                await self._wait(record, wait_seconds * (1 + _jitter(record)))
            due.append(Output(self._target, record.key, record.value, record.headers))
        return due

    async def _wait(self, record: Record, seconds: float) -> None:
        """Sleep in parts and report progress, so that waiting does not look like a stall."""
        while seconds > 0:
            report_progress()
            await self._sleep(min(seconds, _MAX_SLEEP_SECONDS))
            seconds -= _MAX_SLEEP_SECONDS
            if self._released(record):
                return

    def _released(self, record: Record) -> bool:
        """Whether the record was held back and need not wait any longer."""
        if not record.header(HELD_SINCE):
            return False
        return self._may_return((record.key or b"").partition(b"/")[0].decode("utf-8", "replace"))

    def dead_letter(self, record: Record) -> Output:
        return dead_lettered(record, self._dead, self._reason)

    def _wait_seconds(self, record: Record) -> float:
        due = parse_time(record.header("not-before"))
        return (due - self._now()).total_seconds() if due is not None else 0.0


def _jitter(record: Record) -> float:
    """Jitter derived from the lookup's id, so that a repeat after a crash does not extend the wait."""
    return zlib.crc32(record.header("ce_id").encode()) / 2**32 * _JITTER_SHARE
