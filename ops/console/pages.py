"""The pages of the console: thin, over queries of the index and `trace`'s own search of the topics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.console.answer_headers import SafeAnswers
from paynotify.ops.console.explanation import explained
from paynotify.ops.console.follower import IndexAge
from paynotify.ops.console.queries import LEAST_CHARACTERS, PAGE_ROWS, IndexQueries
from paynotify.ops.trace.reading import read_timeline
from paynotify.ops.trace.timeline import Timeline
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError
from paynotify.schemas.money import Money, to_major
from paynotify.schemas.times import rfc3339

_FOLDER: Final = Path(__file__).resolve().parent
_MAX_ID_CHARACTERS: Final = 255
#: Stories that are read from the topics at the same time; each has connections of its own.
_MAX_READERS: Final = 4
_READER_WAIT_SECONDS: Final = 10.0

OpenReader = Callable[[], AbstractContextManager[TopicReader]]


class ConsolePages:
    """Answers with pages. ``age`` tells how far the index is behind."""

    def __init__(
        self,
        configuration: Configuration,
        queries: IndexQueries,
        age: Callable[[], IndexAge],
        open_reader: OpenReader | None = None,
    ) -> None:
        self._merchants = {one.id: one for one in configuration.merchants}
        self._configuration = configuration
        self._queries = queries
        self._age = age
        self._open_reader = open_reader or (lambda: TopicReader(configuration))
        self._readers = threading.BoundedSemaphore(_MAX_READERS)
        self._templates = Environment(
            loader=FileSystemLoader(_FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["amount"] = amount_text
        self._templates.filters["row_amount"] = lambda row: amount_text(Money(row["amount"], row["currency"]))

    def application(self) -> SafeAnswers:
        """The ASGI application."""
        routes = [
            Route("/", self.attention),
            Route("/search", self.search),
            Route("/payments/{merchant}/{payment_id:path}", self.payment),
            Mount("/static", StaticFiles(directory=_FOLDER / "static")),
        ]
        handlers: Mapping[Any, Any] = {HTTPException: self._error}
        return SafeAnswers(Starlette(routes=routes, exception_handlers=handlers))

    async def attention(self, request: Request) -> Response:
        """What must be 0 on a good day."""
        items = await run_in_threadpool(self._queries.attention)
        return self._page("attention.html", items=items, is_good=not any(one.count for one in items))

    async def search(self, request: Request) -> Response:
        """Everything with an id that begins with the text."""
        text = request.query_params.get("q", "").strip()[:_MAX_ID_CHARACTERS]
        hits = await run_in_threadpool(self._queries.search, text)
        return self._page(
            "search.html", text=text, hits=hits, is_short=len(text) < LEAST_CHARACTERS, least=LEAST_CHARACTERS,
            rows=PAGE_ROWS,
        )  # fmt: skip

    async def payment(self, request: Request) -> Response:
        """One payment: what it is, why its goods wait, and everything that happened."""
        merchant, payment_id = request.path_params["merchant"], request.path_params["payment_id"]
        if merchant not in self._merchants or len(payment_id) > _MAX_ID_CHARACTERS:
            raise HTTPException(404, f"There is no merchant {merchant!r} in the configuration.")
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
        return self._page(
            "payment.html", merchant=merchant, payment_id=payment_id, status=status, story=story, problem=problem,
            order=order, sentence=explained(status),
        )  # fmt: skip

    def _story(self, merchant: str, payment_id: str) -> Timeline:
        if not self._readers.acquire(timeout=_READER_WAIT_SECONDS):
            raise ClusterUnavailableError("Too many stories are being read at this moment. Load the page again.")
        try:
            with self._open_reader() as reader:
                return read_timeline(reader, self._configuration, self._merchants[merchant], payment_id)
        finally:
            self._readers.release()

    async def _error(self, request: Request, error: HTTPException) -> Response:
        return self._page("error.html", code=error.status_code, text=error.detail, status_code=error.status_code)

    def _page(self, template: str, *, status_code: int = 200, **values: Any) -> Response:
        age = self._age()
        seen = rfc3339(datetime.fromtimestamp(age.seen_at, UTC)) if age.seen_at else ""
        text = self._templates.get_template(template).render(age=age, seen=seen, **values)
        return HTMLResponse(text, status_code)


def amount_text(amount: Money | None) -> str:
    """An amount with its decimals, such as ``10.50 GBP``."""
    return "" if amount is None else f"{to_major(amount)} {amount.currency}"
