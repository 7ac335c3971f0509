"""CPU, memory, threads and open files of processes, read from ``/proc`` (Linux)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time the process has used so far, all threads; 0 for one that is gone."""
    try:
        text = (_PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()  # the name before may hold anything, spaces too
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def rss_bytes(pid: int) -> int:
    """Memory the process holds now."""
    return _status_bytes(pid, "VmRSS")


def peak_rss_bytes(pid: int) -> int:
    """The most memory the process has held so far."""
    return _status_bytes(pid, "VmHWM")


def threads(pid: int) -> int:
    """How many threads the process has now."""
    return next((int(line.split()[1]) for line in _status_lines(pid) if line.startswith("Threads:")), 0)


def open_files(pid: int) -> int:
    """File descriptors the process has open now, sockets among them."""
    try:
        return sum(1 for _ in (_PROC / str(pid) / "fd").iterdir())
    except OSError:
        return 0


def pid_with_argument(argument: str) -> int | None:
    """The process that has this very text among its arguments."""
    for directory in _PROC.iterdir():
        if directory.name.isdigit():
            try:
                arguments = (directory / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if argument.encode() in arguments:
                return int(directory.name)
    return None


def cpu_model() -> str:
    """The processor's name, as the kernel gives it."""
    for line in (_PROC / "cpuinfo").read_text("utf-8", "replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def _status_bytes(pid: int, name: str) -> int:
    return next((int(line.split()[1]) * 1024 for line in _status_lines(pid) if line.startswith(f"{name}:")), 0)


def _status_lines(pid: int) -> list[str]:
    try:
        return (_PROC / str(pid) / "status").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
