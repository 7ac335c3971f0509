"""Answers calls for pages of lists: the same lists, filters and cursors as the console's pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from paynotify.ops.console.api.answering import ApiProblemError, answered
from paynotify.ops.console.api.application import ApiCall
from paynotify.ops.console.api.tokens import ApiCaller
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.lists.filters import (
    DeadFilter,
    ListFilter,
    OverdueFilter,
    RejectedFilter,
    WrongFilterError,
    parse_filter,
)
from paynotify.ops.console.lists.shapes import SHAPES
from paynotify.ops.console.queries import IndexQueries
from paynotify.schemas.api.lists import (
    DeadAnswer,
    DeadItem,
    OverdueAnswer,
    OverdueItem,
    RejectedAnswer,
    RejectedItem,
)
from paynotify.schemas.api.problems import INVALID_PARAMETER
from paynotify.schemas.configuration.model import Configuration


@dataclass(frozen=True, slots=True)
class ListedKind:
    """A list: its shape's name, its filter, and the types of its items and pages. An item's fields are columns."""

    shape: str
    filter: type[ListFilter]
    item: type[msgspec.Struct]
    answer: Callable[..., msgspec.Struct]


#: By the operation's name.
LISTED: Final[Mapping[str, ListedKind]] = {
    "listRejected": ListedKind("rejected", RejectedFilter, RejectedItem, RejectedAnswer),
    "listDead": ListedKind("dead", DeadFilter, DeadItem, DeadAnswer),
    "listOverdue": ListedKind("overdue", OverdueFilter, OverdueItem, OverdueAnswer),
}


class ListCalls:
    """Answers from the index. ``age`` tells how far it is behind."""

    def __init__(self, configuration: Configuration, queries: IndexQueries, age: Callable[[], IndexAge]) -> None:
        self._merchants = tuple(one.id for one in configuration.merchants)
        self._queries = queries
        self._age = age

    def by_name(self) -> Mapping[str, ApiCall]:
        """The call of each list's operation."""
        return {name: self._call(kind) for name, kind in LISTED.items()}

    def _call(self, kind: ListedKind) -> ApiCall:
        async def call(request: Request, caller: ApiCaller, given: Mapping[str, Any]) -> Response:
            named = [one for one in self._merchants if caller.sees(one)]
            try:
                wanted = parse_filter(kind.filter, request.query_params.multi_items(), named)
                found = await run_in_threadpool(self._queries.page, SHAPES[kind.shape], wanted, caller.merchants)
            except WrongFilterError as error:
                raise ApiProblemError(INVALID_PARAMETER, str(error)) from None
            items = tuple(kind.item(**{name: row[name] for name in kind.item.__struct_fields__}) for row in found.rows)
            older = msgspec.json.encode(found.older).decode() if found.older is not None else None
            return answered(kind.answer(items=items, next=older), self._age())

        return call
