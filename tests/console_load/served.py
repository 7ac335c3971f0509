"""A console process over a sandbox's topics, as it is served."""

from __future__ import annotations

import http.client
import json
import signal
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from paynotify.sandbox.processes import Child, wait_for
from paynotify.sandbox.system import Sandbox

TOKEN: Final = "token-of-the-load-tests-and-nothing-else"
#: What the sandbox's configuration must have.
CONFIGURATION: Final[Mapping[str, Any]] = {
    "console": {
        "api_tokens": [
            {
                "name": "load",
                "token": {"value": TOKEN},
                "scopes": ["orders:read", "payments:read", "operations:read"],
                "calls_per_second": 10_000,
                "burst": 10_000,
            }
        ]
    }
}
_ROOT: Final = Path(__file__).parents[2]
_START_SECONDS: Final = 60.0


class ServedConsole:
    """Started when it is made. ``index`` is its file, which a later one goes on with."""

    def __init__(self, sandbox: Sandbox, index: Path) -> None:
        options = ["--listen", "127.0.0.1:0", "--index", str(index), "--config", str(sandbox.config_path)]
        command = [sys.executable, "-m", "paynotify.ops.main", "console", *options]
        self.index = index
        self.child = Child("console", command, index.with_suffix(".log"), directory=_ROOT)
        self.port = int(self.child.wait_for_event("listening", within_seconds=_START_SECONDS)["port"])

    def asked(self, path: str) -> tuple[int, Any]:
        """What the API answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_START_SECONDS)
        try:
            connection.request("GET", f"/api/v1{path}", headers={"authorization": f"Bearer {TOKEN}"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def until_complete(self, within_seconds: float) -> None:
        """Return when the index has read the topics to their ends: before, the API answers nothing."""
        complete = wait_for(lambda: self.asked("/search?q=none")[0] == 200, within_seconds=within_seconds, every=0.05)
        assert complete, self.child.end()

    def read_records(self) -> int:
        """How many offsets the index has read, by its file."""
        try:
            with closing(sqlite3.connect(f"{self.index.as_uri()}?mode=ro", uri=True)) as database:
                return int(database.execute("SELECT coalesce(sum(next_offset), 0) FROM positions").fetchone()[0])
        except sqlite3.Error:  # it is not made yet
            return 0

    def kill(self) -> None:
        """As the kernel does it when memory is short."""
        self.child.kill()

    def stop(self) -> int:
        """Its exit code."""
        self.child.signal(signal.SIGTERM)
        return self.child.stop()
