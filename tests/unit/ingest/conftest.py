"""Tests with connections, and of the producer's work, use the event loop that the ingress has in production."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import pytest
import uvloop

#: Others measure with the clock of the default one, which is not rounded.
_AS_IN_PRODUCTION: Final = (
    "test_answers.py",
    "test_connection.py",
    "test_network_client.py",
    "test_odd_requests.py",
    "test_proxy_header.py",
    "test_server_tls.py",
)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"loop": uvloop.new_event_loop if item.path.name in _AS_IN_PRODUCTION else asyncio.new_event_loop}
