"""The console as a process beside a sandbox, as its tests start it."""

from __future__ import annotations

import http.client
import json
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from paynotify.sandbox.processes import Child, wait_for
from paynotify.sandbox.system import Sandbox

DEADLINE_SECONDS: Final = 40.0
TOKEN: Final = "back-office-token-of-the-tests-alone"
ROOT: Final = Path(__file__).parents[1]


class Console:
    """The process, and what its pages say. As a context manager it ends with the test, without an error unless the test
    killed it.
    """

    def __init__(self, sandbox: Sandbox, index: Path, config: Path | None = None) -> None:
        file = config or sandbox.config_path
        options = ["--listen", "127.0.0.1:0", "--index", str(index), "--config", str(file)]
        command = [sys.executable, "-m", "paynotify.ops.main", "console", *options]
        self.child = Child("console", command, index.with_suffix(".log"), directory=ROOT)
        self.port = int(self.child.wait_for_event("listening", within_seconds=DEADLINE_SECONDS)["port"])
        self.address = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        was_killed = self.child.exit_code == -signal.SIGKILL
        code = self.child.stop(DEADLINE_SECONDS)
        if error is None and not was_killed:
            assert code == 0, self.child.end()

    @contextmanager
    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: str | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer to a request on a connection of its own, while the block lasts."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)) as connection:
            connection.request(method, path, body, headers)
            yield connection.getresponse()

    def page(self, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
        with self.answer("GET", path, {"host": host}) as answer:
            leads = answer.headers["location"]
            if leads is None:
                return answer.status, answer.read().decode()
        return self.page(leads, host)

    @contextmanager
    def stream(self, path: str) -> Iterator[http.client.HTTPResponse]:
        """A page's server-sent events."""
        with self.answer("GET", path, {}) as answer:
            assert answer.status == 200
            answer.readline()
            yield answer

    def asked(self, path: str) -> tuple[int, Any]:
        """What the API answers to a program with `TOKEN`."""
        with self.answer("GET", f"/api/v1{path}", {"authorization": f"Bearer {TOKEN}"}) as answer:
            content = answer.read()
            return answer.status, json.loads(content) if content else None

    def until(self, path: str, text: str) -> str:
        """The page, once it has the text."""
        page = wait_for(lambda: self._with(path, text), within_seconds=DEADLINE_SECONDS, every=0.2)
        assert page, f"{text} is not on {path}: {self.page(path)[1].partition('<main')[2]}"
        return page

    def _with(self, path: str, text: str) -> str:
        page = self.page(path)[1]
        return page if text in page else ""
