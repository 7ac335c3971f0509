"""The pages of one payment and of one order: why the goods wait, what was expected and paid, and what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from paynotify.ops.console.access.identity import Role, identity_of
from paynotify.ops.console.actions.offers import order_offers, payment_offers
from paynotify.ops.console.live.pages import news_address
from paynotify.ops.console.payments.amounts_compared import amounts_compared
from paynotify.ops.console.payments.explainer import Explainer
from paynotify.ops.console.payments.explanation import Explanation
from paynotify.ops.console.payments.order_answer import newest_events, order_answer
from paynotify.ops.console.payments.payment_rows import PaymentRows
from paynotify.ops.console.payments.story import is_answered, story_lines, waiting_lookup
from paynotify.ops.console.queries import IndexQueries
from paynotify.ops.console.rendering import PageRenderer
from paynotify.ops.console.routes import ConsoleRoute
from paynotify.ops.console.topic_access import OpenReader, TopicAccess
from paynotify.ops.trace.reading import read_timeline
from paynotify.ops.trace.timeline import Timeline
from paynotify.schemas.configuration.merchants import Merchant
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError
from paynotify.schemas.ids import MAX_ID_LENGTH
from paynotify.schemas.money import Money

#: The payments of an order that are explained; few orders have more than two.
_MAX_PAYMENTS: Final = 20


class PaymentPages:
    """Answers with pages over the index, and over the topics for one payment's story."""

    def __init__(
        self,
        configuration: Configuration,
        queries: IndexQueries,
        renderer: PageRenderer,
        open_reader: OpenReader,
        mark: Callable[[], str] = str,
    ) -> None:
        self._merchants = {one.id: one for one in configuration.merchants}
        self._configuration = configuration
        self._queries = queries
        self._explainer = Explainer(configuration, queries)
        self._renderer = renderer
        self._mark = mark
        self._topics = TopicAccess(open_reader)

    def routes(self) -> tuple[ConsoleRoute, ...]:
        return (
            ConsoleRoute("/payments/{merchant}/{payment_id:path}", self.payment, Role.VIEWER),
            ConsoleRoute("/orders/{merchant}/{order_id:path}", self.order, Role.VIEWER),
        )

    async def payment(self, request: Request) -> Response:
        """One payment: what it is, why its goods wait, and everything that happened."""
        merchant, payment_id = self._named(request, "payment_id")
        mark = self._mark()  # asked first, so that no news is missed
        problem, story = "", None
        try:
            story = await run_in_threadpool(self._story, merchant, payment_id)
        except (ClusterUnavailableError, ConfigurationError) as error:
            problem = str(error)
        retry = waiting_lookup(story) if story is not None else None
        rows = await run_in_threadpool(self._explainer.rows, merchant, payment_id)
        answered = story is not None and is_answered(story)
        why = self._explainer.explained(merchant, replace(rows, dead=None) if answered else rows, retry)
        is_known = any((rows.event, rows.expected, rows.request, rows.rejected, rows.dead, story and story.entries))
        if not is_known:
            raise HTTPException(404, problem or f"Nothing is known of the payment {merchant.id}/{payment_id}.")
        return self._renderer.page(
            request, "payment.html", merchant=merchant.id, payment_id=payment_id, status=rows.event, rows=rows,
            amounts=amounts_compared(_expected(rows.expected), rows.event), why=why, problem=problem,
            notes=story.notes if story is not None else (), lines=story_lines(story) if story is not None else None,
            news=news_address(mark, merchant=merchant.id, payment=payment_id, order=rows.order_id),
            offers=payment_offers(
                identity_of(request), merchant.id, payment_id, rows.event.status if rows.event is not None else None
            ),
        )  # fmt: skip

    async def order(self, request: Request) -> Response:
        """One order: whether it has been paid, and what is known of each of its payments."""
        merchant, order_id = self._named(request, "order_id")
        found = await run_in_threadpool(self._queries.order, merchant.id, order_id)
        if not any(found.values()):
            raise HTTPException(404, f"Nothing is known of the order {order_id!r} of {merchant.id}.")
        names = [row["payment_id"] for row in found["payments"]][:_MAX_PAYMENTS]
        payments = await run_in_threadpool(self._explained, merchant, names)
        expected = found["expected"][0] if found["expected"] else None
        answer = order_answer(_expected(expected), newest_events(found["payments"]))
        why = await run_in_threadpool(self._explainer.unreported, merchant, found) if not payments else None
        return self._renderer.page(
            request, "order.html", merchant=merchant.id, order_id=order_id, answer=answer, payments=payments,
            expected=expected, overdue=found["overdue"], requests=found["requests"],
            more=len(found["payments"]) - len(names), why=why,
            offers=order_offers(identity_of(request), merchant.id, order_id),
        )  # fmt: skip

    def _named(self, request: Request, name: str) -> tuple[Merchant, str]:
        """The merchant and the id in the path.

        Raises:
            HTTPException: the merchant is not configured, or may not be seen by the one who asks.
        """
        merchant, found = self._merchants.get(request.path_params["merchant"]), request.path_params[name]
        if merchant is None or not identity_of(request).may(Role.VIEWER, merchant.id) or len(found) > MAX_ID_LENGTH:
            raise HTTPException(404, f"There is no merchant {request.path_params['merchant']!r} in the configuration.")
        return merchant, found

    def _explained(self, merchant: Merchant, payment_ids: Iterable[str]) -> list[tuple[PaymentRows, Explanation]]:
        found = [self._explainer.rows(merchant, one) for one in payment_ids]
        return [(rows, self._explainer.explained(merchant, rows)) for rows in found]

    def _story(self, merchant: Merchant, payment_id: str) -> Timeline:
        with self._topics.reader() as reader:
            return read_timeline(reader, self._configuration, merchant, payment_id)


def _expected(row: dict[str, Any] | None) -> Money | None:
    return Money(row["amount"], row["currency"]) if row is not None else None
