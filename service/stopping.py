"""How a process that is asked to stop ends: no wait outlasts the request, and at last the process exits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading

from paynotify.service.logs import event


async def wait(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but no longer than until the process must stop."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), timeout=seconds)


def exit_within(seconds: float, logger: logging.Logger) -> None:
    """Exit the process after that time if it has not ended by itself.

    While the brokers are unreachable a process can neither start nor stop, and retries its publishing for ever. Exiting
    then is like `kill -9` at any step, which loses nothing.
    """

    def end() -> None:
        event(logger, "shutdown_timed_out", level=logging.ERROR)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
