"""What runs every second over the states that this process owns: timers, and retention."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from paynotify.processors.runtime.membership import Membership
from paynotify.processors.runtime.ownership import StateOwnership
from paynotify.processors.runtime.timers import TimerService
from paynotify.processors.state.partition_state import RetentionPolicy
from paynotify.processors.state.store import FIRST_KEY
from paynotify.processors.transport.publisher import OutputPublisher
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.periodic")

_TICK_SECONDS: Final = 1.0
#: Few: all of them may have to be compressed, and the event loop does nothing else meanwhile.
_RETENTION_VALUES_PER_TICK: Final = 50


async def publish_due_timers(
    timers: TimerService,
    ownership: StateOwnership,
    membership: Membership,
    publisher: OutputPublisher,
    halted: Callable[[int], bool],
) -> None:
    """Publish the due timers of the owned states.

    A halted partition processes none, so its topic must not grow by them. A timer that is published twice, or by a
    process that has lost the partition, does no harm.
    """
    while not membership.stopping:
        await asyncio.sleep(_TICK_SECONDS)
        for partition, state in ownership.owned():
            try:
                records = timers.due_records(partition, state)
                if not halted(partition):
                    await publisher.publish(records)
            except Exception as error:  # noqa: BLE001 - any failure is retried with the next tick
                event(logger, "timers_not_published", level=logging.WARNING, problem=type(error).__name__)
        timers.forget_revoked()


async def apply_retention(policy: RetentionPolicy, ownership: StateOwnership, membership: Membership) -> None:
    """Apply the policy to the owned states: some values of each every second, then a pause after each full pass."""
    after: dict[int, bytes] = {}
    paused_until: dict[int, float] = {}
    while not membership.stopping:
        await asyncio.sleep(_TICK_SECONDS)
        for partition, state in ownership.owned():
            now = asyncio.get_running_loop().time()
            if now < paused_until.get(partition, 0.0):
                continue
            start = after.get(partition, FIRST_KEY)
            try:
                last = await state.apply_retention(membership.generation, policy, start, _RETENTION_VALUES_PER_TICK)
            except Exception as error:  # noqa: BLE001 - any failure is retried with a later tick
                event(logger, "retention_pass_failed", level=logging.WARNING, problem=type(error).__name__)
                ownership.acquire_again(partition)
                continue
            after[partition] = last or FIRST_KEY
            if last is None:
                paused_until[partition] = now + policy.pause_seconds
