"""The first pages of the console: what must be 0, search, and a payment's story as `trace` finds it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.console.access.identity import Role, identity_of
from paynotify.ops.console.explanation import explained
from paynotify.ops.console.live.pages import news_address
from paynotify.ops.console.queries import LEAST_CHARACTERS, PAGE_ROWS, IndexQueries
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.ops.trace.reading import read_timeline
from paynotify.ops.trace.timeline import Timeline
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError

_MAX_ID_CHARACTERS: Final = 255
#: Stories that are read from the topics at the same time; each has connections of its own.
_MAX_READERS: Final = 4
_READER_WAIT_SECONDS: Final = 10.0

OpenReader = Callable[[], AbstractContextManager[TopicReader]]


class PaymentPages:
    """Answers with pages over the index, and over the topics for one payment's story."""

    def __init__(
        self,
        configuration: Configuration,
        queries: IndexQueries,
        renderer: PageRenderer,
        open_reader: OpenReader | None = None,
        mark: Callable[[], str] = str,
    ) -> None:
        self._merchants = {one.id: one for one in configuration.merchants}
        self._configuration = configuration
        self._queries = queries
        self._renderer = renderer
        self._mark = mark
        self._open_reader = open_reader or (lambda: TopicReader(configuration))
        self._readers = threading.BoundedSemaphore(_MAX_READERS)

    def routes(self) -> tuple[ConsoleRoute, ...]:
        return (
            ConsoleRoute("/", self.attention, Role.VIEWER, "Attention"),
            ConsoleRoute("/search", self.search, Role.VIEWER),
            ConsoleRoute("/payments/{merchant}/{payment_id:path}", self.payment, Role.VIEWER),
        )

    async def attention(self, request: Request) -> Response:
        """What must be 0 on a good day."""
        news = news_address(self._mark())
        items = await run_in_threadpool(self._queries.attention)
        return self._renderer.page(
            request, "attention.html", items=items, is_good=not any(one.count for one in items), news=news
        )

    async def search(self, request: Request) -> Response:
        """Everything with an id that begins with the text."""
        text = request.query_params.get("q", "").strip()[:_MAX_ID_CHARACTERS]
        hits = await run_in_threadpool(self._queries.search, text)
        return self._renderer.page(
            request, "search.html", text=text, hits=hits, is_short=len(text) < LEAST_CHARACTERS, least=LEAST_CHARACTERS,
            rows=PAGE_ROWS,
        )  # fmt: skip

    async def payment(self, request: Request) -> Response:
        """One payment: what it is, why its goods wait, and everything that happened."""
        merchant, payment_id = request.path_params["merchant"], request.path_params["payment_id"]
        may_see = merchant in self._merchants and identity_of(request).may(Role.VIEWER, merchant)
        if not may_see or len(payment_id) > _MAX_ID_CHARACTERS:
            raise HTTPException(404, f"There is no merchant {merchant!r} in the configuration.")
        mark = self._mark()  # asked first, so that no news is missed
        status = await run_in_threadpool(self._queries.payment, merchant, payment_id)
        problem, story = "", None
        try:
            story = await run_in_threadpool(self._story, merchant, payment_id)
        except (ClusterUnavailableError, ConfigurationError) as error:
            problem = str(error)
        if status is None and (story is None or not story.entries):
            raise HTTPException(404, problem or f"Nothing is known of the payment {merchant}/{payment_id}.")
        order = None
        if status is not None and status.order_id is not None:
            order = await run_in_threadpool(self._queries.order, merchant, status.order_id)
        return self._renderer.page(
            request, "payment.html", merchant=merchant, payment_id=payment_id, status=status, story=story,
            problem=problem, order=order, sentence=explained(status),
            news=news_address(mark, merchant=merchant, payment=payment_id, order=status.order_id if status else None),
        )  # fmt: skip

    def _story(self, merchant: str, payment_id: str) -> Timeline:
        if not self._readers.acquire(timeout=_READER_WAIT_SECONDS):
            raise ClusterUnavailableError("Too many stories are being read at this moment. Load the page again.")
        try:
            with self._open_reader() as reader:
                return read_timeline(reader, self._configuration, self._merchants[merchant], payment_id)
        finally:
            self._readers.release()
