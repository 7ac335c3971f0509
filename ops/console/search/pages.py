"""The search, by the beginning of any id. It leads to the page at once if there is only one."""

from __future__ import annotations

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from paynotify.ops.console.access.identity import Identity, Role, identity_of
from paynotify.ops.console.links import payment_path, record_path
from paynotify.ops.console.queries import LEAST_CHARACTERS, IndexQueries, Merchants, SearchHit
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.ops.console.search.hits import only_page, shown_hits
from paynotify.ops.console.search.notification_search import find_notification, made_at
from paynotify.ops.console.topic_access import OpenReader, TopicAccess
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError
from paynotify.schemas.ids import MAX_ID_LENGTH

#: The hits of one page: a search finds at most as many of each kind and id.
_MAX_HITS: Final = 50


class SearchPages:
    """Answers with what was found."""

    def __init__(
        self,
        configuration: Configuration,
        queries: IndexQueries,
        renderer: PageRenderer,
        open_reader: OpenReader,
    ) -> None:
        self._configuration = configuration
        self._topics = TopicAccess(open_reader)
        self._merchants = frozenset(one.id for one in configuration.merchants)
        self._topic = configuration.kafka.topic
        self._queries = queries
        self._renderer = renderer

    def routes(self) -> tuple[ConsoleRoute, ...]:
        return (ConsoleRoute("/search", self.search, Role.VIEWER),)

    async def search(self, request: Request) -> Response:
        """Everything with an id that begins with the text, or the only page there is."""
        text = request.query_params.get("q", "").strip()[:MAX_ID_LENGTH]
        hits = await run_in_threadpool(self._found, text, identity_of(request).merchants(Role.VIEWER))
        page, problem = only_page(hits, self._id_in(text), self._topic), ""
        if not hits and made_at(text) is not None:
            try:
                page = await run_in_threadpool(self._notification, identity_of(request), text)
            except (ClusterUnavailableError, ConfigurationError) as error:
                problem = str(error)
        if page:
            return RedirectResponse(page, 303)
        return self._renderer.page(
            request,
            "search.html",
            text=text,
            hits=shown_hits(hits, self._id_in(text), self._topic)[:_MAX_HITS],
            is_short=len(text) < LEAST_CHARACTERS,
            least=LEAST_CHARACTERS,
            is_cut=len(hits) > _MAX_HITS,
            rows=_MAX_HITS,
            problem=problem,
        )

    def _found(self, text: str, merchants: Merchants) -> list[SearchHit]:
        """What has the text, or after a merchant's id and a slash the rest of it, as the tools name payments."""
        merchant, _, rest = text.partition("/")
        if rest and merchant in self._merchants and (merchants is None or merchant in merchants):
            return self._queries.search(rest, {merchant})
        return self._queries.search(text, merchants)

    def _notification(self, identity: Identity, notification_id: str) -> str:
        """The page about an accepted notification: that of the payment it is about, or else its record's; empty if
        there is none that may be seen."""
        with self._topics.reader() as reader:
            found = find_notification(reader, self._configuration, notification_id)
        if found is None:
            return ""
        merchant, _, transaction = (found.key or b"").decode("utf-8", "replace").partition("/")
        if not identity.may(Role.VIEWER, merchant):
            return ""
        if merchant in self._merchants and transaction:
            return payment_path(merchant, transaction)
        return record_path(found.topic, found.partition, found.offset)

    def _id_in(self, text: str) -> str:
        merchant, _, rest = text.partition("/")
        return rest if rest and merchant in self._merchants else text
