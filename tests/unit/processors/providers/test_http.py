"""The client for providers' calls. What it does with a broken connection: `tests/contract/providers`."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from paynotify.processors.providers.outgoing import open_transport
from paynotify.schemas.errors import UnsupportedLibraryError


def test_aiohttp_without_the_switch_for_repeats_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    async def renamed(self: Any) -> None:
        return

    monkeypatch.setattr(aiohttp.ClientSession, "_request", renamed)
    with pytest.raises(UnsupportedLibraryError, match=r"^aiohttp .*does not use _retry_connection"):
        open_transport(1)
