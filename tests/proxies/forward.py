"""Tinyproxy as the forward proxy on the way to providers, with its own log of what went through it."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from paynotify.sandbox.probes import free_port
from tests.proxies.tools import environment, proxy

DEADLINE_SECONDS: Final = 10

_CONFIGURATION: Final = """
Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 1000
LogFile "{log}"
LogLevel Connect
DisableViaHeader Yes
{more}
"""


class ForwardProxy:
    """A Tinyproxy that can be stopped and started again on the same port."""

    def __init__(self, folder: Path, port: int, *, credentials: str = "") -> None:
        self.folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "tinyproxy.log"
        self._file = folder / "tinyproxy.conf"
        self._credentials = credentials
        self._running: subprocess.Popen[bytes] | None = None
        more = "BasicAuth {} {}".format(*credentials.split(":")) if credentials else ""
        self._file.write_text(_CONFIGURATION.format(port=port, log=self._log, more=more))

    def as_setting(self) -> dict[str, Any]:
        """``worker.provider_proxy`` of a sandbox's configuration."""
        return {"url": self.url, **({"credentials": {"value": self._credentials}} if self._credentials else {})}

    def start(self) -> None:
        command = (proxy("tinyproxy"), "-d", "-c", str(self._file))
        self._running = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
        )
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            assert self._running.poll() is None, self._log.read_text() if self._log.exists() else "it ended"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert time.monotonic() < deadline, "it does not listen"
            time.sleep(0.02)

    def stop(self) -> None:
        """Kill it, with every connection it holds."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None

    def asked_for(self) -> list[str]:
        """What it was asked for so far: the method, and the host or URL."""
        text = self._log.read_text() if self._log.exists() else ""
        return [f"{one[1]} {one[2]}" for one in re.finditer(r"Request \(file descriptor \d+\): (\S+) (\S+)", text)]


@contextlib.contextmanager
def forward_proxy(folder: Path, *, credentials: str = "") -> Iterator[ForwardProxy]:
    """A running forward proxy; ``credentials`` (user:password) are what it asks for."""
    one = ForwardProxy(folder, free_port(), credentials=credentials)
    one.start()
    try:
        yield one
    finally:
        one.stop()
