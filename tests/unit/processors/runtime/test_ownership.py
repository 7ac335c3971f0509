"""Which states a process owns as its group's assignment changes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from paynotify.processors.runtime.ownership import StateOwnership
from paynotify.processors.state.memory_store import MemoryStore
from paynotify.processors.state.partition_state import PartitionState
from tests.fakes.stages import FakeChangelog


class Group:
    """The membership, and all tasks that the ownership started."""

    def __init__(self) -> None:
        self.generation = 1
        self.confirmed = True
        self.stopping = False
        self.changelogs: dict[int, FakeChangelog] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.ownership = StateOwnership(self, self.create, self.spawn)

    def create(self, partition: int) -> PartitionState:
        self.changelogs[partition] = FakeChangelog()
        return PartitionState(MemoryStore(), self.changelogs[partition], lambda: self.generation)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.ensure_future(coroutine))

    async def assign(self, *partitions: int) -> None:
        self.ownership.assigned(set(partitions))
        await asyncio.gather(*self.tasks)

    def owned(self) -> list[int]:
        return sorted(partition for partition, _ in self.ownership.owned())


async def test_assigned_partitions_are_acquired_before_any_record_comes() -> None:
    group = Group()
    assert not group.ownership.owns_all([0, 1])
    await group.assign(0, 1)
    assert group.owned() == [0, 1]
    assert group.ownership.owns_all([0, 1])


async def test_revoked_partitions_are_released() -> None:
    group = Group()
    await group.assign(0, 1)
    group.generation = 2
    await group.assign(1, 2)
    assert group.owned() == [1, 2]


async def test_partitions_of_a_past_generation_are_not_owned() -> None:
    group = Group()
    await group.assign(0)
    group.generation = 2
    assert group.owned() == []
    assert not group.ownership.owns_all([0])


async def test_failed_acquisition_is_retried_until_the_group_moves_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paynotify.processors.runtime.ownership._ACQUIRE_AGAIN_SECONDS", 0.0)
    group = Group()
    state = group.ownership.state(0)
    failures = [OSError("down"), OSError("down")]

    async def acquire() -> None:
        if failures:
            raise failures.pop()

    monkeypatch.setattr(group.changelogs[0], "acquire", acquire)
    await group.assign(0)
    assert state.owned(1)
    assert failures == []
