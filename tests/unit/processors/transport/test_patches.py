"""What is done differently in aiokafka's clients."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaConnectionError

from service import aiokafka_client

#: As good as for ever.
BACKOFF_SECONDS = 3600.0


async def test_a_consumer_that_waits_to_fetch_again_can_be_stopped() -> None:
    """If this fails, the library has another way to fetch: see `service.aiokafka_client`."""
    assert Fetcher._proc_fetch_request is aiokafka_client._fetched
    refused = asyncio.Event()

    async def refuse(*_: Any) -> None:
        refused.set()
        raise KafkaConnectionError("no broker")

    fetcher = object.__new__(Fetcher)
    fetcher._client = SimpleNamespace(send=refuse)
    fetcher._retry_backoff = BACKOFF_SECONDS
    fetcher._fetch_waiters = set()
    fetcher._fetch_task = asyncio.ensure_future(asyncio.sleep(BACKOFF_SECONDS))
    waiting = asyncio.ensure_future(fetcher._proc_fetch_request(None, 1, SimpleNamespace(topics=[])))
    fetcher._pending_tasks = {waiting}
    await refused.wait()

    await fetcher.close()

    assert waiting.result() is False
