"""Opens the HTTP transport for provider calls, with the limits that the worker's configuration sets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from paynotify.processors.providers.base import CallContext
from paynotify.processors.providers.outgoing import open_transport
from paynotify.schemas.configuration.worker import WorkerSettings
from paynotify.schemas.times import utc_now


@asynccontextmanager
async def open_call_context(worker: WorkerSettings, connections: int) -> AsyncIterator[CallContext]:
    """A context for calls over at most ``connections`` connections, without rate limit and without recovery calls."""
    async with open_transport(connections, worker.provider_proxy, worker.provider_ca) as http:
        yield CallContext(
            http=http,
            now=utc_now,
            max_response_bytes=worker.provider_response_bytes,
            timeout_seconds=worker.provider_timeout_seconds,
            transactions_per_query=worker.transactions_per_query,
        )
