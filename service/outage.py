"""Whether the brokers are available, as a process logs and reports it while it waits for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from paynotify.schemas.errors import ClusterUnavailableError, MissingTopicsError
from paynotify.service.logs import event
from paynotify.service.stopping import wait

_CHECK_AGAIN_SECONDS: Final = 2.0


class BrokerAvailability:
    """The last known problem with the brokers, logged when an outage begins and when it ends.

    ``unknown`` is the problem reported until the first check; None if there is none to report.
    """

    def __init__(self, logger: logging.Logger, unknown: str | None = None) -> None:
        self._logger = logger
        self._unknown = unknown
        self.problem = unknown

    def report(self, problem: str | None) -> None:
        """Note the result of a check: what is wrong, or None."""
        before, self.problem = self.problem, problem
        if problem is not None:
            if before in (None, self._unknown):
                event(self._logger, "brokers_unavailable", level=logging.WARNING, problem=problem)
        elif before is not None:
            event(self._logger, "brokers_available")

    async def wait(self, check: Callable[[], None], stop: asyncio.Event) -> bool:
        """Wait until ``check``, which blocks, finds brokers and topics. Returns False if the process must stop before.

        Any other error of the check is the caller's.
        """
        while not stop.is_set():
            problem = None
            try:
                await asyncio.to_thread(check)
            except (ClusterUnavailableError, MissingTopicsError) as error:
                problem = str(error)
            self.report(problem)  # outside of `except`: an error in progress keeps its sockets
            if problem is None:
                return True
            await wait(stop, _CHECK_AGAIN_SECONDS)
        return False
