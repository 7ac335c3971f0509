"""Where a test may kill the worker: the numbered steps of the stage loop, and of a charge within its second.

Crash safety can only be shown by crashing at every step. ``PAYNOTIFY_KILL_AT=resolve/3/2`` kills the process the
second time the unit whose name starts with ``resolve`` has finished step 3. It works in the sandbox only.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from enum import IntEnum
from typing import Final

VARIABLE: Final = "PAYNOTIFY_KILL_AT"


class Failpoint(IntEnum):
    """The numbered steps of a batch, in order of durability. Steps from 7 on belong to a charge."""

    TAKEN = 1
    WORKED = 2
    OUTPUTS_ACKNOWLEDGED = 3
    CHANGELOG_ACKNOWLEDGED = 4
    STORED = 5
    SOURCE_ACKNOWLEDGED = 6
    ANSWERS_STORED = 7
    REQUESTS_KEPT = 8
    REQUESTS_TOLD = 9
    CALLED = 10


#: Told after each step of each batch.
Reached = Callable[[str, Failpoint], None]


def nothing(unit: str, step: Failpoint) -> None:
    """What production does at every step."""


def from_environment(*, sandbox: bool) -> Reached:
    """A killer if the variable is set and this is a sandbox, else `nothing`."""
    text = os.environ.get(VARIABLE, "")
    if not text or not sandbox:
        return nothing
    unit_prefix, step, times = text.split("/")
    return _Killer(unit_prefix, Failpoint(int(step)), int(times))


class _Killer:
    def __init__(self, unit_prefix: str, step: Failpoint, times: int) -> None:
        self._unit_prefix, self._step, self._left = unit_prefix, step, times

    def __call__(self, unit: str, step: Failpoint) -> None:
        if step is self._step and unit.startswith(self._unit_prefix):
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
