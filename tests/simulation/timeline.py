"""An event loop whose time jumps: nothing waits, everything happens in one thread, in an order that a seed decides.

Whatever a simulated process starts carries the process in its context. So a process can stand still (all that becomes
ready for it is held until it goes on) or be gone as after ``kill -9``: nothing of it runs any more, not even the
``finally`` of what it was at.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any, Final, Protocol

#: A heap with so many cancelled timers in it, and more of them than others, is made anew.
_MOST_CANCELLED: Final = 1000


class Halting(Protocol):
    """Something that can stand still: while ``halted``, what would run for it is given to `hold`."""

    halted: bool

    def hold(self, handle: asyncio.Handle) -> None: ...


#: The process on whose behalf code runs; none for the world around the processes.
RUNNING: Final[ContextVar[Any]] = ContextVar("running", default=None)


class NothingLeft(RuntimeError):
    """Nobody waits for any time, and something still waits for somebody."""


class Timeline(asyncio.BaseEventLoop):
    """The loop. Its time begins at 0 and moves only from one timer to the next."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._number = 0
        self._timers: list[tuple[float, int, Any]] = []
        self._cancelled = 0
        self._world = Context()
        self.steps = 0
        self.set_exception_handler(lambda loop, context: None)  # of what is killed nobody fetches the exception

    def time(self) -> float:
        return self._now

    def call_at(  # type: ignore[override]  # the base class's own variadic generics
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._number += 1
        heapq.heappush(self._timers, (when, self._number, handle))
        handle._scheduled = True  # type: ignore[attr-defined]  # as the base class does, so that cancelling is told
        return handle

    def outside(self, delay_seconds: float, callback: Callable[..., object], *args: Any) -> None:
        """Call it later on behalf of no process."""
        self.call_at(self._now + delay_seconds, callback, *args, context=self._world)

    def resume(self, handles: list[asyncio.Handle]) -> None:
        """Let run what was held."""
        self._ready.extend(handles)  # type: ignore[attr-defined]  # not in the stubs

    def _timer_handle_cancelled(self, handle: object) -> None:
        self._cancelled += 1
        if self._cancelled > _MOST_CANCELLED and self._cancelled * 2 > len(self._timers):
            self._timers = [one for one in self._timers if not one[2]._cancelled]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def _run_once(self) -> None:
        ready = self._ready  # type: ignore[attr-defined]  # not in the stubs
        if not ready and not self._stopping:  # type: ignore[attr-defined]  # not in the stubs
            self._advance(ready)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = handle._context.get(RUNNING)
            if process is not None and process.halted:
                process.hold(handle)
                continue
            self.steps += 1
            handle._run()

    def _advance(self, ready: Any) -> None:
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
            self._cancelled = max(0, self._cancelled - 1)
        if not timers:
            raise NothingLeft
        self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            handle = heapq.heappop(timers)[2]
            handle._scheduled = False
            if not handle._cancelled:
                ready.append(handle)

    def _process_events(self, event_list: object) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nothing sleeps that would have to be woken."""

    def _asyncgen_finalizer_hook(self, agen: object) -> None:
        """When the collector runs must make no difference to what happens."""
