"""One worker process: all units in it, its clock, its disk, and how it ends or stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context
from typing import Any, Final

from paynotify.processors.runtime.failpoints import Failpoint
from paynotify.processors.runtime.partition_loops import LoopSettings
from paynotify.processors.runtime.stage import StageSpec
from paynotify.processors.state.memory_store import MemoryStore
from paynotify.processors.transport.brokers_clock import BrokersClock
from tests.simulation.broker import EPOCH_SECONDS, Broker, Producer
from tests.simulation.groups import Group
from tests.simulation.lot import Lot
from tests.simulation.runner import SimulatedRunner
from tests.simulation.timeline import RUNNING, Handle, Timeline

#: Whoever is told to stop and has not after this time ends as it is.
STOP_SECONDS: Final = 24.0
_HEARTBEAT_SECONDS: Final = 2.5
_COMMIT_SECONDS: Final = 1.0


class Killed(BaseException):
    """The process was killed at this very instruction."""


#: What a machine's disk holds, by stage and partition; a process that starts again finds it as it was.
Disks = dict[tuple[str, int], MemoryStore]


class Worker:
    """A process from its start to its end; the one that starts in its place has the same ``number`` and disk."""

    def __init__(
        self,
        number: int,
        broker: Broker,
        lot: Lot,
        disk: Disks,
        skew_seconds: float,
        failed: Callable[[str], None],
    ) -> None:
        self.number = number
        self.disk = disk
        self.skew_seconds = skew_seconds
        self.halted = False
        self.gone = False
        self.cut_until = 0.0
        self.units: list[SimulatedRunner] = []
        self.producer = Producer(broker, self)
        self.brokers_clock = BrokersClock(broker.loop.time)
        self._broker = broker
        self._lot = lot
        self._failed = failed
        self._loop: Timeline = broker.loop
        self._held: list[Handle] = []
        self._context = Context()
        self._context.run(RUNNING.set, self)
        self._watched: dict[tuple[str, Failpoint], tuple[int, Callable[[], None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def now(self) -> float:
        """The process's own clock, in Unix time."""
        return EPOCH_SECONDS + self._loop.now + self.skew_seconds

    def run(
        self,
        works: Callable[[], Mapping[str, tuple[StageSpec, ...]]],
        groups: Mapping[str, Group],
        metrics: Any,
        settings: LoopSettings,
    ) -> None:
        """Start: join all groups, commit every second."""

        async def start() -> None:
            for name, parts in works().items():
                self.units.append(SimulatedRunner(name, parts, self, self._broker, groups[name], metrics, settings))
            for unit in self.units:
                await unit.start()
            while True:
                await asyncio.sleep(_COMMIT_SECONDS)
                for unit in self.units:
                    if self._broker.reachable_in(self) == 0:
                        unit.look_around()
                        unit.commit()

        self.spawn(start())

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of this process; one that fails is told of, as nobody else waits for it."""
        task = self._loop.create_task(work, context=self._context)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Killed):
            self._failed(f"{type(error).__name__}: {error}")

    def after(self, delay_seconds: float, callback: Callable[..., object], *args: Any) -> None:
        """Call it later on behalf of this process; never, if it is gone by then."""
        self._loop.call_at(self._loop.now + delay_seconds, callback, *args, context=self._context)

    def heartbeat(self) -> float:
        """In how many seconds it next hears of its groups."""
        return self._lot("heartbeat", b"%d" % self.number) * _HEARTBEAT_SECONDS + self._broker.reachable_in(self)

    # --- how it ends --------------------------------------------------------------------------------------

    def hold(self, handle: Handle) -> None:
        """Kept also when it is gone: what the collector does with it must not be seen."""
        self._held.append(handle)

    def freeze(self) -> None:
        """Stand still."""
        self.halted = True

    def thaw(self) -> None:
        """Go on as if nothing had been."""
        if not self.gone:
            self.halted = False
            held, self._held = self._held, []
            self._loop.resume(held)

    def stop(self, then: Callable[[], None]) -> None:
        """End in order, as when told to: what is at work is finished, offsets are committed, groups are left."""

        async def stop() -> None:
            await asyncio.gather(*(unit.stop() for unit in self.units))
            then()

        self.spawn(stop())

    def kill(self) -> None:
        """As with ``kill -9``."""
        self.halted = self.gone = True
        self._broker.died(self.producer)

    def at_step(self, unit_prefix: str, step: Failpoint, times: int, then: Callable[[], None]) -> None:
        """Do something when a unit has finished this step so many times more; it may kill or freeze the process."""
        self._watched[unit_prefix, step] = times, then

    def unwatch(self) -> None:
        """No step is waited for any more."""
        self._watched.clear()

    def reached(self, unit: str, step: Failpoint) -> None:
        """Told by the stage loop after each step."""
        if not self._watched:
            return
        watched = unit.partition(".")[0], step
        left, then = self._watched.get(watched, (0, None))
        if then is None:
            return
        if left > 1:
            self._watched[watched] = left - 1, then
            return
        del self._watched[watched]
        then()
        if self.gone:
            raise Killed
