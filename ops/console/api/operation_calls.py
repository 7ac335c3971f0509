"""Answers calls about what operators look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from paynotify.ops.console.api.answering import answered
from paynotify.ops.console.api.tokens import ApiCaller
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.queries import IndexQueries, SearchHit
from paynotify.schemas.api.lists import AttentionAnswer, AttentionAnswerItem, SearchAnswer, SearchHitItem


class OperationCalls:
    """Answers from the index. ``age`` tells how far it is behind."""

    def __init__(self, queries: IndexQueries, age: Callable[[], IndexAge]) -> None:
        self._queries = queries
        self._age = age

    async def search(self, request: Request, caller: ApiCaller, given: Mapping[str, Any]) -> Response:
        """Everything with an id that begins with the text."""
        hits = await run_in_threadpool(self._queries.search, given["q"], caller.merchants)
        return answered(SearchAnswer(items=tuple(map(_hit, hits))), self._age())

    async def attention(self, request: Request, caller: ApiCaller, given: Mapping[str, Any]) -> Response:
        """What must be 0 on a good day."""
        found = await run_in_threadpool(self._queries.attention, caller.merchants)
        items = tuple(
            AttentionAnswerItem(title=one.title, page=one.href, count=one.count, since=one.since) for one in found
        )
        return answered(AttentionAnswer(good=not any(one.count for one in items), items=items), self._age())


def _hit(hit: SearchHit) -> SearchHitItem:
    row = hit.row
    return SearchHitItem(
        kind=hit.kind,
        merchant=row.get("merchant") or "",
        order_id=row.get("order_id"),
        payment_id=row.get("payment_id") or row.get("transaction_id"),
        other_id=row.get("request_id") or row.get("notification_id") or row.get("record_id"),
        state=row.get("status") or row.get("state") or row.get("reason"),
    )
