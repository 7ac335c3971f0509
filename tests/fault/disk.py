"""A small disk of its own for one broker, so that it can be filled without harm to anything else."""

from __future__ import annotations

import errno
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Final

_MOUNT_SECONDS: Final = 20
_PIECE_BYTES: Final = 1024 * 1024


class SmallDisk:
    """A file system in memory, mounted at ``place``. Needs the right to mount.

    Raises:
        OSError: it can't be mounted.
    """

    def __init__(self, place: Path, size_bytes: int) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.place = place
        self._ballast = place / "ballast"
        _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "paynotify-fault", str(place))

    def fill(self) -> int:
        """Fill it to the last byte; how many bytes that took."""
        written = 0
        with self._ballast.open("wb", buffering=0) as file:
            for size in (_PIECE_BYTES, 4096, 1):
                try:
                    while True:
                        written += file.write(b"\0" * size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
        return written

    def free(self) -> None:
        """Give the space back."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it, also while somebody still has files there."""
        _run("umount", "-l", str(self.place))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_MOUNT_SECONDS, check=False)
    if done.returncode != 0:
        raise OSError(f"{command[0]}: {done.stderr.strip() or done.stdout.strip()}")


def small_disk(place: Path, size_bytes: int, stack: ExitStack) -> SmallDisk | None:
    """The disk, unmounted with the stack; none where this user may not mount."""
    if os.geteuid() != 0:
        return None
    try:
        disk = SmallDisk(place, size_bytes)
    except OSError:
        return None
    stack.callback(disk.close)
    return disk
