"""The sandbox's child processes never outlive whoever started them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from paynotify.sandbox.processes import Child, stop_all, wait_for
from paynotify.schemas.errors import ConfigurationError

SLEEPS = 'import time; print(\'{"event":"up","port":7}\', flush=True); time.sleep(600)'
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPS


def _child(tmp_path: Path, code: str, name: str = "one") -> Child:
    return Child(name, [sys.executable, "-c", code], tmp_path / f"{name}.log")


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text("utf-8").rpartition(")")[2].split()[0] == "Z"


def test_wait_for_event_finds_the_event_in_the_log(tmp_path: Path) -> None:
    child = _child(tmp_path, SLEEPS)
    assert child.wait_for_event("up")["port"] == 7
    assert child.stop() != 0


def test_wait_for_event_raises_with_the_logs_end_if_the_process_ends(tmp_path: Path) -> None:
    child = _child(tmp_path, "print('no such port'); raise SystemExit(3)")
    with pytest.raises(ConfigurationError, match=r"exit code 3.*no such port"):
        child.wait_for_event("up", within_seconds=10)
    child.stop()


def test_stop_all_kills_processes_that_ignore_sigterm(tmp_path: Path) -> None:
    children = [_child(tmp_path, SLEEPS, "willing"), _child(tmp_path, STUBBORN, "stubborn")]
    for child in children:
        child.wait_for_event("up")
    assert stop_all(children, within_seconds=0.5) == {"willing": -15, "stubborn": -9}


def test_paused_process_can_be_stopped(tmp_path: Path) -> None:
    child = _child(tmp_path, SLEEPS)
    child.wait_for_event("up")
    child.pause()
    assert child.stop() == -15


def test_children_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    starter = (
        "import os, signal, sys; from pathlib import Path; from paynotify.sandbox.processes import Child\n"
        f"child = Child('one', [sys.executable, '-c', {SLEEPS!r}], Path({str(tmp_path)!r}) / 'one.log')\n"
        "child.wait_for_event('up'); print(child.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", starter], capture_output=True, text=True, timeout=30, check=False)
    assert wait_for(lambda: _gone(int(done.stdout)), within_seconds=10)
