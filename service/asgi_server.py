"""uvicorn's server, which leaves the signals to the process."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Final

import uvicorn

from paynotify.service.private_names import PrivateName

#: What `AsgiServer` replaces of uvicorn.
PRIVATE_NAMES: Final = (PrivateName("uvicorn", "uvicorn.server", "Server.serve", ("capture_signals",)),)


class AsgiServer(uvicorn.Server):
    """uvicorn without its own signal handling, which would end the process by the signal, not with exit code 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
