"""Keeps what the processes of a failed test have logged, and names the folder: ``build/test-logs/<test>``.

Those of the test itself and those that its module or the session started are kept alike. Beside each log of a process
with a management port lie its metrics of the moment, with the lag of every partition and how long it has been stalled.
Where ``CI`` is set, the ends of the logs are printed too: often nothing else of a machine in CI is left.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import pytest

from paynotify.sandbox import processes
from paynotify.sandbox.probes import probe
from paynotify.sandbox.processes import Child

_KINDS: Final = ("acceptance", "consume", "integration", "fault")
_TAIL_LINES: Final = 40
_TAIL_BYTES: Final = 20_000
_LONGEST_NAME: Final = 120


@dataclass(frozen=True, slots=True)
class _Started:
    """A process with its log, which is held open: a system that fails to start has removed its directory before
    anybody is told of the failure."""

    child: Child
    log: IO[bytes]

    @property
    def file(self) -> tuple[int, int]:
        known = os.fstat(self.log.fileno())
        return known.st_dev, known.st_ino


class KeptLogs:
    """A plugin of pytest. With several processes of pytest each keeps what it has started itself."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._started: list[_Started] = []
        self._folders: set[Path] = set()
        processes.on_start.append(self._note)

    def pytest_unconfigure(self) -> None:
        processes.on_start.remove(self._note)
        self._forget(self._started)

    def _note(self, child: Child) -> None:
        self._started.append(_Started(child, child.log_path.open("rb")))

    def _forget(self, those: list[_Started]) -> None:
        for one in those:
            one.log.close()
        self._started = [one for one in self._started if not one.log.closed]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """What has ended before this test says nothing of it."""
        self._forget([one for one in self._started if not one.child.running])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        within = any(item.path.is_relative_to(self._root / "tests" / kind) for kind in _KINDS)
        if report.failed and within and self._started:
            report.sections.append(("the processes' logs", self._keep(item)))
        return report

    def _keep(self, item: pytest.Item) -> str:
        """Copy the logs and metrics; what is to be said of them."""
        name = re.sub(r"[^\w.=-]+", "-", f"{item.path.stem}.{item.name}")[:_LONGEST_NAME].strip("-")
        folder = self._root / "build" / "test-logs" / name
        if folder not in self._folders:
            shutil.rmtree(folder, ignore_errors=True)  # of an earlier run
            self._folders.add(folder)
        folder.mkdir(parents=True, exist_ok=True)
        kept = [self._copied(one, folder) for one in {one.file: one for one in self._started}.values()]
        told = [f"kept in {folder}: {', '.join(path.name for path in kept)}"]
        if os.environ.get("CI"):
            told += [f"--- the end of {path.name}:\n{_tail(path)}" for path in kept]
        return "\n".join(told)

    def _copied(self, one: _Started, folder: Path) -> Path:
        wanted = folder / one.child.log_path.name
        path = wanted
        number = 2
        while path.exists():
            path = wanted.with_stem(f"{wanted.stem}-{number}")
            number += 1
        one.log.seek(0)
        with path.open("wb") as copy:
            shutil.copyfileobj(one.log, copy)
        if metrics := _metrics(one.child):
            path.with_suffix(".metrics").write_text(metrics, "utf-8")
        return path


def _metrics(child: Child) -> str:
    """What a running process with a management port measures; nothing of any other."""
    if not child.running or not child.log_path.exists():
        return ""
    opened: list[dict[str, Any]] = [line for line in child.log_lines() if line.get("event") == "management port open"]
    return probe(int(opened[-1]["port"]), "/metrics")[1] if opened else ""


def _tail(path: Path) -> str:
    end = path.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace")
    return "\n".join(end.splitlines()[-_TAIL_LINES:])
