"""A console process over a sandbox's topics, and how far its index is."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from paynotify.sandbox.processes import wait_for
from paynotify.sandbox.system import Sandbox
from tests.console_process import TOKEN, Console

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


class ServedConsole(Console):
    """``index`` is its file, which a later one goes on with."""

    def __init__(self, sandbox: Sandbox, index: Path) -> None:
        super().__init__(sandbox, index)
        self.index = index

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
