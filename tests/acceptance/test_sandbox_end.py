"""A sandbox that ends, however it ends, leaves no process and no file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from paynotify.sandbox.processes import wait_for
from tests.acceptance.knocking import soon

pytestmark = pytest.mark.kafka

ROOT: Final = Path(__file__).parents[2]
DEADLINE_SECONDS: Final = 90.0
MARK: Final = "PAYNOTIFY_ACCEPTANCE_MARK"


class Up:
    """``paynotify up`` in a temporary directory of its own; all its processes carry a mark in their environment."""

    def __init__(self, directory: Path) -> None:
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        self._mark = uuid.uuid4().hex
        self._output = directory / "output"
        environment = {name: value for name, value in os.environ.items() if name != "KAFKA"}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "paynotify.ops.main", "up"],
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env={**environment, "TMPDIR": str(self.temporary), MARK: self._mark, "PYTHONPATH": str(ROOT)},
                # tests in the background of a shell have Ctrl-C ignored, and so would have whatever they start
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def said(self) -> str:
        return self._output.read_text("utf-8")

    def logs(self, name: str) -> bool:
        """Whether the sandbox has started the process that writes this log."""
        return any(self.temporary.glob(f"paynotify-*/{name}.log"))

    def speaks(self, name: str) -> bool:
        """Whether that process has said something: long before that it was put under the guard that outlives all."""
        return any(log.stat().st_size for log in self.temporary.glob(f"paynotify-*/{name}.log"))

    def processes(self) -> list[int]:
        """Every process that has the mark, zombies left out."""
        wanted = f"{MARK}={self._mark}".encode()
        return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit() and wanted in _environment(one)]

    def await_nothing(self) -> None:
        """Neither processes nor files, soon after the end."""
        soon(lambda: not self.processes(), DEADLINE_SECONDS, f"still running: {self.processes()}")
        assert [one.name for one in self.temporary.iterdir() if one.name.startswith("paynotify-")] == []


def _environment(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it has just ended
        return []


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    one = Up(tmp_path)
    yield one
    for process in one.processes():
        os.kill(process, signal.SIGKILL)
    one.process.wait()


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("broker", signal.SIGINT),
        ("simulator-omnikassa", signal.SIGINT),
        ("worker-0", signal.SIGINT),
        ("ingest", signal.SIGTERM),
    ],
)
def test_interrupted_start_leaves_nothing(up: Up, moment: str, number: signal.Signals) -> None:
    soon(lambda: up.logs(moment), DEADLINE_SECONDS, f"{moment} was never started")
    up.process.send_signal(number)
    assert wait_for(lambda: up.process.poll() is not None, within_seconds=DEADLINE_SECONDS), up.said()
    assert "Traceback" not in up.said()
    assert up.process.returncode == 0, up.said()
    up.await_nothing()


def test_sandbox_that_was_ready_leaves_nothing(up: Up) -> None:
    soon(lambda: "Ctrl-C ends everything." in up.said(), DEADLINE_SECONDS, "it was never ready")
    assert len(up.processes()) >= 9
    up.process.send_signal(signal.SIGINT)
    assert wait_for(lambda: up.process.poll() is not None, within_seconds=DEADLINE_SECONDS), up.said()
    assert up.process.returncode == 0, up.said()
    assert up.said().endswith("Everything stopped and removed.\n")
    up.await_nothing()


def test_processes_do_not_outlive_a_sandbox_that_was_killed(up: Up) -> None:
    soon(lambda: up.speaks("worker-0"), DEADLINE_SECONDS, "the worker was never started")
    up.process.kill()
    up.process.wait()
    soon(lambda: not up.processes(), DEADLINE_SECONDS, f"still running: {up.processes()}")
