"""Proxies meet the event loop that the ingress has in production."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Final

import pytest
import uvloop

_END_SECONDS: Final = 2.0


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
async def connections_ended() -> AsyncIterator[None]:
    """Wait for the ends of a test's connections. TLS takes leave of its peer, and a loop can't be closed meanwhile."""
    before = _sockets()
    yield
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            while _sockets() > before:
                gc.collect()
                await asyncio.sleep(0.005)


def _sockets() -> int:
    """How many sockets this process has."""
    found = 0
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the folder's own, which is closed by now
            found += str(one.readlink()).startswith("socket:")
    return found
