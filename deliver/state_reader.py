"""Follows the state topic: every process knows the newest record of each key.

It has no group. Each subscription's number of waiting deliveries is limited, and so is what is kept here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from paynotify.deliver.delivery_queue import QueuedDelivery
from paynotify.deliver.subscription_state import SubscriptionPositions, SubscriptionState, apply, positions_key, said
from paynotify.deliver.waiting import restored, state_key
from paynotify.schemas.records import Record
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.deliver")

_POLL_MILLISECONDS: Final = 200
_MAX_RECORDS: Final = 1000
_RETRY_SECONDS: Final = 2.0
_CATCH_UP_PAUSE_SECONDS: Final = 0.02


class StateReader:
    """The state topic's present content. ``changed`` is called after records were read."""

    def __init__(self, settings: Mapping[str, Any], topic: str, changed: Callable[[], None]) -> None:
        self._settings = {**settings, "enable_auto_commit": False, "auto_offset_reset": "earliest"}
        self._topic = topic
        self._changed = changed
        self._records: dict[bytes, Record] = {}
        self._consumer: Any = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Read the topic until `stop`."""
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def catch_up(self) -> None:
        """Return once everything was read that is on the topic now. Waits for brokers that are away."""
        while True:
            with contextlib.suppress(KafkaError, TimeoutError):
                if await self._is_caught_up():
                    return
            await asyncio.sleep(_CATCH_UP_PAUSE_SECONDS)

    def is_disabled(self, subscription: str) -> bool:
        """Whether the subscription is disabled."""
        found = said(self._records.get(state_key(subscription)), SubscriptionState)
        return found is not None and found.state == "disabled"

    def positions_of(self, subscription: str) -> SubscriptionPositions | None:
        """How far the subscription had come when that was last recorded; None for a new one."""
        return said(self._records.get(positions_key(subscription)), SubscriptionPositions)

    def waiting_of(self, subscription: str) -> list[QueuedDelivery]:
        """The subscription's waiting deliveries, in the order of their topics."""
        begin, positions = state_key(subscription, " ")[:-1], positions_key(subscription)
        found = [
            restored(record) for key, record in self._records.items() if key.startswith(begin) and key != positions
        ]
        return sorted((one for one in found if one is not None), key=lambda one: (one.place, one.offset))

    async def _is_caught_up(self) -> bool:
        consumer = self._consumer
        if consumer is None:
            return False
        ends = await consumer.end_offsets(consumer.assignment())
        return not await _is_behind(consumer, ends)

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
            except (KafkaError, TimeoutError) as error:
                event(logger, "state_unavailable", level=logging.WARNING, error=type(error).__name__)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(self._topic, **self._settings)  # without a group it has all partitions
        await consumer.start()
        try:
            # after an interruption all is read again: what was, is not to appear once more
            records: dict[bytes, Record] = {}
            ends = await consumer.end_offsets(consumer.assignment())
            while True:
                found = await consumer.getmany(timeout_ms=_POLL_MILLISECONDS, max_records=_MAX_RECORDS)
                for read in found.values():
                    apply(read, records)
                if self._consumer is None:
                    if await _is_behind(consumer, ends):
                        continue
                    self._consumer, self._records = consumer, records
                    self._changed()
                elif found:
                    self._changed()
        finally:
            self._consumer = None
            await consumer.stop()


async def _is_behind(consumer: Any, ends: Mapping[Any, int]) -> bool:
    return any([await consumer.position(one) < end for one, end in ends.items()])
