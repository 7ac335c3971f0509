"""An event loop whose time jumps: nothing waits, everything happens in one thread, in an order that a seed decides.

Whatever a simulated process starts carries the process in its context. So a process can stand still (all that becomes
ready for it is held until it goes on) or be gone as after ``kill -9``: nothing of it runs any more, not even the
``finally`` of what it was at.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context, ContextVar, copy_context
from heapq import heapify, heappop, heappush
from typing import Any, Final, Protocol

#: A heap with so many cancelled timers in it, and more of them than others, is made anew.
_MOST_CANCELLED: Final = 1000


class Halting(Protocol):
    """Something that can stand still: while ``halted``, what would run for it is given to `hold`."""

    halted: bool

    def hold(self, handle: Handle) -> None: ...


#: The process on whose behalf code runs; none for the world around the processes.
RUNNING: Final[ContextVar[Any]] = ContextVar("running", default=None)


class NothingLeftError(RuntimeError):
    """Nobody waits for any time, and something still waits for somebody."""


class Handle:
    """Something to be called. As asyncio's own without its debugging, which costs more than most calls."""

    __slots__ = ("_args", "_callback", "_cancelled", "_context", "_loop", "_when")

    def __init__(
        self, loop: Timeline, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> None:
        self._loop, self._callback, self._args = loop, callback, args
        self._context = copy_context() if context is None else context
        self._cancelled = False
        self._when = 0.0

    def cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            if self._when:
                self._loop.cancelled_timer()

    def cancelled(self) -> bool:
        return self._cancelled

    def when(self) -> float:
        return self._when


class Timeline(asyncio.BaseEventLoop):
    """The loop. Its time begins at 0 and moves only from one timer to the next."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._number = 0
        self._timers: list[tuple[float, int, Handle]] = []
        self._cancelled = 0
        self._soon: deque[Handle] = deque()
        self._world = Context()

    def time(self) -> float:
        return self.now

    def call_soon(  # type: ignore[override]  # the handle is lighter, the generics are the base class's own
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        handle = Handle(self, callback, args, context)
        self._soon.append(handle)
        return handle

    def call_at(  # type: ignore[override]  # as above
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        handle = Handle(self, callback, args, context)
        self._at(when, handle)
        return handle

    def _at(self, when: float, handle: Handle) -> None:
        handle._when = when
        self._number += 1
        heappush(self._timers, (when, self._number, handle))

    def call_later(  # type: ignore[override]  # as above
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_without_process(self, delay_seconds: float, callback: Callable[..., object], *args: Any) -> None:
        """Call it later on behalf of no process; without delay, when all has run that is ready now."""
        handle = Handle(self, callback, args, self._world)
        if delay_seconds:
            self._at(self.now + delay_seconds, handle)
        else:
            self._soon.append(handle)

    def resume(self, handles: Iterable[Handle]) -> None:
        """Let run what was held."""
        self._soon.extend(handles)

    def cancelled_timer(self) -> None:
        """Timers that nobody waits for are thrown away when there are more of them than others."""
        self._cancelled += 1
        if self._cancelled > _MOST_CANCELLED and self._cancelled * 2 > len(self._timers):
            self._timers = [one for one in self._timers if not one[2]._cancelled]
            heapify(self._timers)
            self._cancelled = 0

    def _run_once(self) -> None:
        """Runs until the loop is stopped, not once: the base class's way round costs as much as most callbacks."""
        soon = self._soon
        take = soon.popleft
        running = RUNNING
        while not self._stopping:
            if not soon:
                self._advance()
            for _ in range(len(soon)):
                handle = take()
                if handle._cancelled:
                    continue
                context = handle._context
                process = context.get(running)
                if process is not None and process.halted:
                    process.hold(handle)
                    continue
                context.run(handle._callback, *handle._args)

    def _advance(self) -> None:
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heappop(timers)
        if not timers:
            raise NothingLeftError
        now = self.now = max(self.now, timers[0][0])
        while timers and timers[0][0] <= now:
            self._soon.append(heappop(timers)[2])

    #: Set by the base class when the loop is to stop.
    _stopping: bool

    def _write_to_self(self) -> None:
        """Nothing sleeps that would have to be woken."""

    def _asyncgen_finalizer_hook(self, agen: object) -> None:
        """When the collector runs must make no difference to what happens."""

    def call_exception_handler(self, context: object) -> None:
        """Of what was killed nobody fetches the exception."""
