"""What tests download or build stays in the cache, beside Kafka's jars: each folder is made once."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from paynotify.sandbox.kafka_distribution import cache_directory


def kept(name: str, make: Callable[[Path], object], of: Iterable[Path] = ()) -> Path:
    """A folder of the cache; another one where the content of the files ``of`` is another.

    ``make`` fills it the first time: in one process at a time, and whole or not at all.
    """
    content = b"".join(file.read_bytes() for file in of)
    digest = f"-{hashlib.sha256(content).hexdigest()[:12]}" if content else ""
    folder = cache_directory() / (name + digest)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            part = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
            part.mkdir()
            make(part)
            part.rename(folder)
    return folder
