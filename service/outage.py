"""Whether the brokers are available, as a process logs and reports it while it waits for them."""

from __future__ import annotations

import logging

from paynotify.service.logs import event


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
