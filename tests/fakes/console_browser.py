"""A browser of the console's pages over an index, without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final

import httpx

from paynotify.ops.console.access.guard import Identify, local_user
from paynotify.ops.console.application import build_application
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.lists.pages import ListPages
from paynotify.ops.console.payments.pages import PaymentPages
from paynotify.ops.console.queries import IndexQueries
from paynotify.ops.console.reconciliations.pages import ReconciliationPages
from paynotify.ops.console.records.pages import RecordPages
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.search.pages import SearchPages
from paynotify.ops.console.topic_access import OpenReader
from paynotify.schemas.errors import ClusterUnavailableError
from tests.fakes import configurations

HOST: Final = "http://127.0.0.1:8090"


#: But for the newest records.
_UP_TO_DATE: Final = IndexAge(3, 1764410400.0, is_complete=True)


def no_broker() -> Any:
    raise ClusterUnavailableError("No Kafka broker answered.")


@asynccontextmanager
async def console_browser(
    index: Path,
    folder: Path,
    *,
    open_reader: OpenReader = no_broker,
    identify: Identify = local_user,
    grafana_url: str = "",
    age: IndexAge = _UP_TO_DATE,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of all pages that read; it follows no redirect."""
    configuration = configurations.parsed("127.0.0.1:9", "", folder)
    renderer = PageRenderer(lambda: age, grafana_url)
    queries = IndexQueries(index)
    groups = (
        ListPages(configuration, queries, renderer),
        SearchPages(configuration, queries, renderer, open_reader),
        PaymentPages(configuration, queries, renderer, open_reader),
        RecordPages(configuration, renderer, open_reader),
        ReconciliationPages(queries, renderer),
    )
    application = build_application(renderer, [route for one in groups for route in one.routes()], identify)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=application), base_url=HOST) as client:
        with closing(queries):
            yield client
