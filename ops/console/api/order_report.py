"""What the API tells of an order: the same verdict as its page, what its goods may do, its payments and requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from paynotify.ops.console.payments.order_answer import OrderAnswer, Verdict, newest_events, order_answer
from paynotify.schemas.api.answers import OrderExpectation, OrderPayment, OrderReport, OrderRequest, Paid
from paynotify.schemas.messages import PaymentStatus
from paynotify.schemas.money import Money
from paynotify.schemas.status import Fulfilment

_PAID: Final[Mapping[Verdict, Paid]] = {
    "paid": "yes",
    "paid_several_times": "yes",
    "paid_too_much": "yes",
    "partly_refunded": "yes",
    "paid_in_part": "no",
    "money_gone": "no",
    "reserved": "no",
    "open": "no",
    "ended": "no",
    "only_repeats": "no",
    "nothing": "no",
    "unclear": "unclear",
}
#: It is not known whether money moved.
_OPEN_REQUESTS: Final = frozenset({"started", "uncertain"})
#: The payments and requests that are told one by one; the verdict is about all.
_MAX_ROWS: Final = 50
_RANKS: Final[Mapping[Fulfilment, int]] = {"release": 2, "hold": 1, "stop": 0}

IndexRows = Mapping[str, Sequence[Mapping[str, Any]]]
#: The sentence about an order's goods, from the payment that decides about them; None if none does.
GoodsSentence = Callable[[PaymentStatus | None], str]


def order_report(merchant: str, order_id: str, rows: IndexRows, goods: GoodsSentence, as_of: str) -> OrderReport | None:
    """The report from what the index has of the order, by table; None if it has nothing."""
    if not any(rows.values()):
        return None
    events = newest_events(rows.get("payments", ()))
    decides = _deciding(events)
    expected = next((_expectation(row) for row in rows.get("expected", ())), None)
    requests = tuple(_request(row) for row in rows.get("requests", ()))
    answer = order_answer(expected.amount if expected is not None else None, events)
    paid = _paid(answer, requests)
    return OrderReport(
        merchant=merchant,
        order_id=order_id,
        paid=paid,
        sentence=answer.sentence,
        fulfilment=decides.fulfilment if decides is not None else "hold",
        goods=goods(decides),
        expected=expected,
        due=answer.due,
        kept=answer.kept,
        missing=None if paid == "yes" else _missing(answer),
        overdue=any(row["state"] == "raised" for row in rows.get("overdue", ())),
        payments=tuple(map(_payment, events[:_MAX_ROWS])),
        requests=requests[:_MAX_ROWS],
        as_of=as_of,
    )


def _deciding(events: Iterable[PaymentStatus]) -> PaymentStatus | None:
    """The payment that decides about the order's goods: one that releases them, or else the newest that may yet."""
    own = [one for one in events if one.order_role != "repeat"]  # a later payment of a subscription has its own goods
    return max(own, key=lambda one: _RANKS[one.fulfilment], default=None)


def _paid(answer: OrderAnswer, requests: Iterable[OrderRequest]) -> Paid:
    """A request that was started may have taken money of which nothing is known yet."""
    paid = _PAID[answer.verdict]
    return "unclear" if paid == "no" and any(one.state in _OPEN_REQUESTS for one in requests) else paid


def _missing(answer: OrderAnswer) -> Money | None:
    if answer.due is None:
        return None
    value = answer.due.value - (answer.kept.value if answer.kept is not None else 0)
    return Money(value, answer.due.currency) if value > 0 else None


def _expectation(row: Mapping[str, Any]) -> OrderExpectation:
    return OrderExpectation(
        amount=Money(row["amount"], row["currency"]),
        created_at=row["created_at"],
        final_by=row["final_by"] or None,  # a shop may write what is no time
        payment_id=row["payment_id"],
    )


def _request(row: Mapping[str, Any]) -> OrderRequest:
    return OrderRequest(request_id=row["request_id"], action=row["action"], state=row["state"], reason=row["reason"])


def _payment(one: PaymentStatus) -> OrderPayment:
    return OrderPayment(
        payment_id=one.payment_id,
        provider=one.provider,
        sequence=one.sequence,
        status=one.status,
        fulfilment=one.fulfilment,
        role=one.order_role,
        amount=one.amount,
        paid=one.paid,
        refunded=one.refunded,
        observed_at=one.observed_at,
    )
