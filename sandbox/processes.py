"""Starts and stops the sandbox's child processes, logs their output, and leaves none behind.

Every child is a session leader, so Ctrl-C in the terminal reaches only the program that started them, which stops
them in order. If that program is killed, a guard process notices it and kills the children.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import orjson

from paynotify.schemas.errors import ConfigurationError

_POLL_SECONDS: Final = 0.02
_COMMAND_SECONDS: Final = 60
_LAST_LINES: Final = 12
_LAST_BYTES: Final = 4096

# PR_SET_PDEATHSIG would need no process, but it fires when the starting *thread* ends, not the program
_GUARD: Final = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""

Found = TypeVar("Found")


def run_command(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run ``paynotify`` with these arguments; returns what it printed.

    Raises:
        ConfigurationError: the exit code is not 0.
    """
    done = subprocess.run(
        [sys.executable, "-m", "paynotify.ops.main", *arguments],
        capture_output=True,
        text=True,
        timeout=_COMMAND_SECONDS,
        check=False,
        env=dict(environment),
    )
    if done.returncode != 0:
        raise ConfigurationError(f"paynotify {' '.join(arguments)} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def wait_for(
    condition: Callable[[], Found | None], *, within_seconds: float, every: float = _POLL_SECONDS
) -> Found | None:
    """Poll ``condition`` until it returns a true value, which is returned; None after ``within_seconds``."""
    deadline = time.monotonic() + within_seconds
    while True:
        found = condition()
        if found or time.monotonic() >= deadline:
            return found or None
        time.sleep(every)


class _Guard:
    """Kills every registered process group when this program has ended, for whatever reason."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pipe: IO[str] | None = None
        self._owner = 0

    def watch(self, group: int) -> None:
        self._write(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._write(f"-{group}\n")

    def _write(self, line: str) -> None:
        with self._lock:
            if self._pipe is None or self._owner != os.getpid():
                guard = subprocess.Popen(
                    [sys.executable, "-S", "-E", "-c", _GUARD],
                    stdin=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
                guard.returncode = 0  # it outlives this program by design; no warning about that at exit
                assert guard.stdin is not None
                self._pipe, self._owner = guard.stdin, os.getpid()
                atexit.register(guard.stdin.close)
            self._pipe.write(line)
            self._pipe.flush()


_GUARDS: Final = _Guard()


@contextmanager
def _deferred_signals() -> Iterator[None]:
    """Defer Ctrl-C between the start of a process and its registration with the guard, or it would run for ever.

    The handler is a function, because the new process would inherit an ignored or blocked signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    deferred: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda number, frame: deferred.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in deferred:
            signal.raise_signal(late)


#: Called with every process that is started. The tests use it to keep the logs of a failed test.
on_start: Final[list[Callable[[Child], None]]] = []


class Child:
    """One process: started on construction, standard output and error appended to ``log_path``."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log_path: Path,
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        self.name = name
        self.log_path = log_path
        with _deferred_signals(), log_path.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
            self.pid = self._process.pid
            _GUARDS.watch(self.pid)
        for callback in on_start:
            callback(self)

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        return self.exit_code is None

    def signal(self, number: int) -> None:
        """Send a signal to the process and its own children, unless it has ended."""
        if self.running:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return

    def wait(self, within_seconds: float) -> bool:
        """Whether the process ended in time."""
        try:
            self._process.wait(within_seconds)
        except subprocess.TimeoutExpired:
            return False
        _GUARDS.forget(self.pid)
        return True

    def kill(self) -> None:
        """Kill it (SIGKILL)."""
        self.signal(signal.SIGKILL)
        self._process.wait()
        _GUARDS.forget(self.pid)

    def stop(self, within_seconds: float = 15.0) -> int:
        """Send SIGTERM, and SIGKILL if it does not end in time; returns the exit code."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if not self.wait(within_seconds):
            self.kill()
        code = self.exit_code
        assert code is not None
        return code

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def log_lines(self) -> list[dict[str, Any]]:
        """The JSON lines that this process has logged so far; other lines are skipped."""
        lines = []
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            for line in log:
                if line.startswith(b"{") and line.endswith(b"\n"):
                    try:
                        lines.append(orjson.loads(line))
                    except orjson.JSONDecodeError:
                        continue
        return lines

    def wait_for_event(self, *events: str, within_seconds: float = 30.0) -> dict[str, Any]:
        """Wait for the first logged event with one of these names; returns its fields.

        Raises:
            ConfigurationError: the process ended, or did not log the event in time; with the end of its log.
        """

        def logged() -> dict[str, Any] | None:
            return next((line for line in self.log_lines() if line.get("event") in events), None)

        wait_for(lambda: logged() is not None or not self.running, within_seconds=within_seconds)
        found = logged()
        if not found:
            raise ConfigurationError(
                f"{self.name} did not start: {self._fate()}. Its log is {self.log_path}: {self.end()}"
            )
        return found

    def _fate(self) -> str:
        return "it did not log the event in time" if self.running else f"it ended with exit code {self.exit_code}"

    def end(self) -> str:
        """The last lines of its log."""
        with self.log_path.open("rb") as log:
            log.seek(max(self._log_start, self.log_path.stat().st_size - _LAST_BYTES))
            return " / ".join(log.read().decode("utf-8", "replace").splitlines()[-_LAST_LINES:]) or "(empty)"


def stop_all(children: Iterable[Child], within_seconds: float = 15.0) -> dict[str, int]:
    """Send SIGTERM to all, wait for all, and kill the rest; returns the exit codes by name."""
    stopping = list(children)
    for child in stopping:
        child.resume()
        child.signal(signal.SIGTERM)
    deadline = time.monotonic() + within_seconds
    return {child.name: _ended(child, deadline) for child in stopping}


def _ended(child: Child, deadline: float) -> int:
    if not child.wait(max(0.0, deadline - time.monotonic())):
        child.kill()
    code = child.exit_code
    assert code is not None
    return code
