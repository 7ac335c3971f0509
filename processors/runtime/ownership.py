"""Which partitions' state this process owns, and how it acquires and releases them as the group's assignment changes.

Ownership outlasts one generation of the group: a partition that stays assigned is verified, not acquired again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, Final

from paynotify.processors.runtime.membership import Membership
from paynotify.processors.state.partition_state import PartitionState
from paynotify.schemas.errors import PartitionRevokedError, StateUnavailableError
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.state")

_ACQUIRE_AGAIN_SECONDS: Final = 2.0


class StateOwnership:
    """The states of one group's partitions. ``spawn`` runs a coroutine beside the caller."""

    def __init__(
        self,
        membership: Membership,
        create_state: Callable[[int], PartitionState],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._membership = membership
        self._create_state = create_state
        self._spawn = spawn
        self._states: dict[int, PartitionState] = {}

    def state(self, partition: int) -> PartitionState:
        """The partition's state, created on first use; owned only once acquired."""
        state = self._states.get(partition)
        if state is None:
            state = self._states[partition] = self._create_state(partition)
        return state

    def assigned(self, partitions: set[int]) -> None:
        """Acquire what the group has assigned to this process, before the first record comes; release all else."""
        generation = self._membership.generation
        for partition in partitions:
            self._spawn(self._acquire(self.state(partition), generation))
        for partition in self._states.keys() - partitions:
            self._spawn(self._states[partition].release())

    def acquire_again(self, partition: int) -> None:
        """Acquire a partition whose ownership was lost: without records, no batch does."""
        self._spawn(self._acquire(self._states[partition], self._membership.generation))

    async def _acquire(self, state: PartitionState, generation: int) -> None:
        """Try until it is acquired or the group has moved on."""
        while self._membership.generation == generation and not self._membership.stopping:
            try:
                await state.acquire(generation)
                return
            except Exception as error:  # noqa: BLE001 - any failure is retried: nobody else acquires it for this process
                explained = isinstance(error, PartitionRevokedError | StateUnavailableError)
                problem = str(error) if explained else type(error).__name__
                event(logger, "state_not_acquired", level=logging.WARNING, problem=problem)
            await asyncio.sleep(_ACQUIRE_AGAIN_SECONDS)

    def owned(self) -> Iterator[tuple[int, PartitionState]]:
        """The partitions owned in the present generation. The generation is read again for each."""
        for partition, state in list(self._states.items()):
            if state.owned(self._membership.generation):
                yield partition, state

    def owns_all(self, partitions: Iterable[int]) -> bool:
        """Whether every one of these partitions is owned in the present generation."""
        generation = self._membership.generation
        return all(one in self._states and self._states[one].owned(generation) for one in partitions)

    def progressed_at(self, partition: int) -> float:
        """When recovery of the partition's state last progressed (monotonic)."""
        state = self._states.get(partition)
        return state.progressed_at if state is not None else 0.0

    async def close(self) -> None:
        """Close files and connections of all states."""
        await asyncio.gather(*(state.close() for state in self._states.values()), return_exceptions=True)
