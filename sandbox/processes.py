"""Child processes of the sandbox: started in sessions of their own, their output kept, none left behind.

Every child is a session leader, so Ctrl-C in the terminal reaches only the program that started them, which
ends them in order. Should that program itself be killed, a guard process notices and kills what is left.
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

from schemas.errors import ConfigurationError

_POLL_SECONDS: Final = 0.02
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


def wait_for(
    condition: Callable[[], Found | None], *, within_seconds: float, every: float = _POLL_SECONDS
) -> Found | None:
    """The first true value of ``condition``, asked again and again; ``None`` when the time is over."""
    deadline = time.monotonic() + within_seconds
    while True:
        found = condition()
        if found or time.monotonic() >= deadline:
            return found or None
        time.sleep(every)


class _Guard:
    """Kills every registered process group when this program is gone, however it went."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pipe: IO[str] | None = None
        self._owner = 0

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
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
def _interruptions_later() -> Iterator[None]:
    """Ctrl-C between a process's start and its entry with the guard would leave it running for ever.

    The handler is a function, because a signal that is ignored or blocked here would be so in the new process too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda number, frame: waiting.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for missed in waiting:
            signal.raise_signal(missed)


#: Told of every process that is started; the tests keep the logs of those that a failed test had.
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
        with _interruptions_later(), log_path.open("ab") as log:
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
        for told in on_start:
            told(self)

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; none while the process runs."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        return self.exit_code is None

    def signal(self, number: int) -> None:
        """Send a signal to the process and its own children; nothing happens if it is gone."""
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
        """End it at once, as kill -9 does."""
        self.signal(signal.SIGKILL)
        self._process.wait()
        _GUARDS.forget(self.pid)

    def stop(self, within_seconds: float = 15.0) -> int:
        """Ask it to end and kill it if it does not; its exit code."""
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
        """The JSON lines this process has logged so far; lines of other kinds are left out."""
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
        """The fields of the first logged event of one of these names.

        Raises:
            ConfigurationError: the process ended, or said nothing in time; with its last lines.
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
        return "it gave no sign in time" if self.running else f"it ended with exit code {self.exit_code}"

    def end(self) -> str:
        """The last lines of its log."""
        with self.log_path.open("rb") as log:
            log.seek(max(self._log_start, self.log_path.stat().st_size - _LAST_BYTES))
            return " / ".join(log.read().decode("utf-8", "replace").splitlines()[-_LAST_LINES:]) or "(empty)"


def stop_all(children: Iterable[Child], within_seconds: float = 15.0) -> dict[str, int]:
    """Ask all of them to end at once, wait together, kill the rest. Exit codes by name."""
    asked = list(children)
    for child in asked:
        child.resume()
        child.signal(signal.SIGTERM)
    deadline = time.monotonic() + within_seconds
    return {child.name: _ended(child, deadline) for child in asked}


def _ended(child: Child, deadline: float) -> int:
    if not child.wait(max(0.0, deadline - time.monotonic())):
        child.kill()
    code = child.exit_code
    assert code is not None
    return code
