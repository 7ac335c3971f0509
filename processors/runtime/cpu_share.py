"""How busy this process is: the share that it has used lately of the CPU that its event loop may use."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_MEASURED_SECONDS: Final = 0.2
#: The limit of a container (cgroup v2): CPU microseconds, or ``max``, in each period of microseconds.
_CPU_MAX: Final = Path("/sys/fs/cgroup/cpu.max")


class CpuShare:
    """About 1 when the event loop has no CPU to spare, and more while other threads work too."""

    def __init__(
        self,
        used_seconds: Callable[[], float] = time.process_time,
        now_seconds: Callable[[], float] = time.monotonic,
        limit_file: Path = _CPU_MAX,
    ) -> None:
        self._used_seconds = used_seconds
        self._now_seconds = now_seconds
        self._usable = min(1.0, _limit(limit_file))
        self._used, self._at, self._share = used_seconds(), now_seconds(), 0.0

    def __call__(self) -> float:
        """The share of the last fifth of a second, or of the time since the call before if that is longer."""
        now = self._now_seconds()
        elapsed = now - self._at
        if elapsed >= _MEASURED_SECONDS:
            used = self._used_seconds()
            self._share = (used - self._used) / elapsed / self._usable
            self._used, self._at = used, now
        return self._share


def _limit(file: Path) -> float:
    """The number of CPUs that the container may use; infinite without a limit."""
    try:
        quota, period = file.read_text("ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError):
        return float("inf")
