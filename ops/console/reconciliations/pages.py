"""The page of one reconciliation: what was compared, what differs, whether it was repaired, and who ran it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from paynotify.ops.console.access.identity import Role
from paynotify.ops.console.links import order_path, payment_path
from paynotify.ops.console.queries import IndexQueries
from paynotify.ops.console.reconciliations.columns import SOURCES
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.schemas.messages import ReconciledDifference

#: The differences of a page.
PAGE_DIFFERENCES: Final = 50
_MAX_ID_CHARACTERS: Final = 64
_MAX_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class ShownDifference:
    """A difference, and the ways to its payment and its order; empty without one."""

    difference: ReconciledDifference
    payment_href: str
    order_href: str


class ReconciliationPages:
    """Answers with single reports; `paynotify.ops.console.lists.definitions` has the list of them."""

    def __init__(self, queries: IndexQueries, renderer: PageRenderer) -> None:
        self._queries = queries
        self._renderer = renderer

    def routes(self) -> tuple[ConsoleRoute, ...]:
        return (ConsoleRoute("/reconciliations/{merchant}/{run_id}", self.report, Role.VIEWER),)

    async def report(self, request: Request) -> Response:
        """One report, with a page of its differences."""
        merchant, run_id = request.path_params["merchant"], request.path_params["run_id"]
        found = await run_in_threadpool(self._queries.report, merchant, run_id[:_MAX_ID_CHARACTERS])
        if found is None:
            raise HTTPException(404, "There is no such report, or not any more: the newest of each merchant are kept.")
        first = _place(request.query_params.get("from", ""))
        after = first + PAGE_DIFFERENCES
        return self._renderer.page(
            request,
            "reconciliation.html",
            report=found,
            compared_with=SOURCES[found.source],
            shown=[_shown(merchant, one) for one in found.differences[first:after]],
            earlier=max(0, first - PAGE_DIFFERENCES) if first else None,
            further=after if after < len(found.differences) else None,
        )


def _shown(merchant: str, one: ReconciledDifference) -> ShownDifference:
    return ShownDifference(
        one,
        payment_path(merchant, one.payment_id) if one.payment_id else "",
        order_path(merchant, one.order_id) if one.order_id else "",
    )


def _place(text: str) -> int:
    """The place of the first difference to show; 0 for a text that is no small number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else 0
