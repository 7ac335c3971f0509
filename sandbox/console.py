"""The console beside a running sandbox: its pages for a browser, and its API with a token for a program."""

from __future__ import annotations

import secrets
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from paynotify.ops.console.command import missing_libraries
from paynotify.sandbox.processes import Child
from paynotify.sandbox.system import Sandbox

NOT_INSTALLED: Final = "not installed (pip install 'paynotify[console]')"
_START_SECONDS: Final = 60.0
_SCOPES: Final = ["orders:read", "payments:read", "operations:read"]


@dataclass(frozen=True, slots=True)
class ConsoleAccess:
    """The token of the console's API."""

    token: str

    @staticmethod
    def made() -> ConsoleAccess:
        """A new one."""
        return ConsoleAccess(secrets.token_urlsafe(32))

    def configuration(self) -> Mapping[str, Any]:
        """What the sandbox's configuration must have."""
        return {"console": {"api_tokens": [{"name": "sandbox", "token": {"value": self.token}, "scopes": _SCOPES}]}}


@dataclass(frozen=True, slots=True)
class RunningConsole:
    """The process, and where it is."""

    child: Child
    address: str
    token: str

    def question(self, merchant: str, order_id: str) -> str:
        """A command that asks whether an order has been paid."""
        header = shlex.quote(f"Authorization: Bearer {self.token}")
        return f"curl -s -H {header} {self.address}/api/v1/orders/{merchant}/{order_id}"


@contextmanager
def running_console(sandbox: Sandbox, access: ConsoleAccess) -> Iterator[RunningConsole | None]:
    """The console of this sandbox; None if its libraries are not installed.

    Raises:
        ConfigurationError: it did not start.
    """
    if missing_libraries():  # an installation without the extra has a sandbox all the same
        yield None
        return
    options = ["--config", str(sandbox.config_path), "--listen", "127.0.0.1:0"]
    index = ["--index", str(sandbox.directory / "console.sqlite")]
    command = [sys.executable, "-m", "paynotify.ops.main", "console", *options, *index]
    child = Child("console", command, sandbox.logs / "console.log", environment=sandbox.environment())
    try:
        port = child.wait_for_event("listening", within_seconds=_START_SECONDS)["port"]
        yield RunningConsole(child, f"http://127.0.0.1:{port}", access.token)
    finally:
        child.stop()
