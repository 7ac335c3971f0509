"""The pages of lists, and of what must be 0 on a good day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, dataclass, fields, replace
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from paynotify.ops.console.access.identity import Role, identity_of
from paynotify.ops.console.actions.offers import list_offers
from paynotify.ops.console.lists.definitions import ConsoleList, console_lists
from paynotify.ops.console.lists.filters import ListFilter, WrongFilterError, parse_filter, words_of
from paynotify.ops.console.live.pages import news_address
from paynotify.ops.console.queries import IndexQueries, IndexRow
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.schemas.configuration.model import Configuration

#: The forms that a time may have, short enough for its field.
_TIME_HINT: Final = "24h, or an RFC 3339 time"


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of a list's filter in its form: with words to choose from, or with texts."""

    name: str
    words: tuple[str, ...] | None
    chosen: tuple[str, ...]
    hint: str


class ListPages:
    """Answers with the lists. Nobody sees a row of a merchant that is not theirs to see."""

    def __init__(
        self,
        configuration: Configuration,
        queries: IndexQueries,
        renderer: PageRenderer,
        mark: Callable[[], str] = str,
    ) -> None:
        self._merchants = tuple(one.id for one in configuration.merchants)
        self._queries = queries
        self._renderer = renderer
        self._mark = mark
        self._lists = console_lists(configuration.kafka)

    def routes(self) -> tuple[ConsoleRoute, ...]:
        lists = (ConsoleRoute(one.path, self._endpoint(one), Role.VIEWER, one.title) for one in self._lists)
        return (ConsoleRoute("/", self.attention, Role.VIEWER, "Attention"), *lists)

    async def attention(self, request: Request) -> Response:
        """What must be 0 on a good day."""
        news = news_address(self._mark())  # asked first, so that no news is missed
        merchants = identity_of(request).merchants(Role.VIEWER)
        items = await run_in_threadpool(self._queries.attention, merchants)
        return self._renderer.page(
            request, "attention.html", items=items, is_good=not any(one.count for one in items), news=news
        )

    def _endpoint(self, shown: ConsoleList) -> Any:
        async def endpoint(request: Request) -> Response:
            return await self._list(request, shown)

        return endpoint

    async def _list(self, request: Request, shown: ConsoleList) -> Response:
        merchants = identity_of(request).merchants(Role.VIEWER)
        named = [one for one in self._merchants if merchants is None or one in merchants]
        try:
            wanted = parse_filter(shown.filter, request.query_params.multi_items(), named)
            page = await run_in_threadpool(self._queries.page, shown.shape, wanted, merchants)
        except WrongFilterError as error:
            raise HTTPException(400, str(error)) from None
        groups: list[IndexRow] = []
        if shown.groups and not wanted.before:
            groups = await run_in_threadpool(self._queries.groups, shown.shape, shown.groups, wanted, merchants)
        return self._renderer.page(
            request,
            "list.html",
            shown=shown,
            wanted=wanted,
            rows=[[column.cell(row) for column in shown.columns] for row in page.rows],
            older=wanted.older(page.older).query() if page.older is not None else None,
            newest=replace(wanted, before=()).query(),
            groups=[(row, _narrowed(wanted, shown, row, named)) for row in groups],
            form=[_form_field(one, wanted, named) for one in fields(wanted) if one.name != "before"],
            command=shown.command(wanted) if shown.command is not None else "",
            offers=list_offers(identity_of(request), wanted),
        )


def _narrowed(wanted: ListFilter, shown: ConsoleList, row: IndexRow, named: list[str]) -> str:
    """The list of one group of rows; empty where the group is of no known word, and so of no filter."""
    known = {one.name: words_of(one, named) for one in fields(wanted)}
    if any(row[name] not in (known[name] or ()) for name in shown.groups):
        return ""
    changes: dict[str, Any] = {name: (row[name],) for name in shown.groups}
    return f"{shown.path}{replace(wanted, **changes).query()}"


def _form_field(one: Field[Any], wanted: ListFilter, named: list[str]) -> FormField:
    value = getattr(wanted, one.name)
    chosen = (value,) if isinstance(value, str) else value
    return FormField(one.name, words_of(one, named), chosen, one.metadata.get("hint", _TIME_HINT))
