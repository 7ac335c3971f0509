"""A wall clock that can be moved for single processes while they run."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_SOURCE: Final = Path(__file__).with_name("moved_clock.c")
_SECONDS: Final = struct.Struct("=q")


class MovableClock:
    """The clock of every process that was started with its `environment`. Needs a C compiler.

    Raises:
        OSError: there is no compiler, or it failed.
    """

    def __init__(self, directory: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise OSError("no C compiler, so no clock can be moved")
        self._file, self._library = directory / "clock", directory / "moved_clock.so"
        self._file.write_bytes(_SECONDS.pack(0))
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(self._library), str(_SOURCE), "-ldl"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise OSError(f"the clock can't be compiled: {done.stderr[:300]}")

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process must be started with."""
        return {"LD_PRELOAD": str(self._library), "FAULT_CLOCK": str(self._file)}

    def move(self, seconds: int) -> None:
        """From now on the clock is so many seconds ahead (or, below 0, behind)."""
        # in place: a file written anew would no longer be the one that is mapped
        with self._file.open("r+b") as file, mmap.mmap(file.fileno(), _SECONDS.size) as mapped:
            mapped[:] = _SECONDS.pack(seconds)
