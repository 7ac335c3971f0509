"""One sentence that says why a payment's goods wait, or what to do with them; from its newest event alone."""

from __future__ import annotations

from paynotify.schemas.messages import PaymentStatus

_WAITING = {
    "pending": "the customer or the bank has not finished the payment",
    "authorised": "the money is reserved and not captured yet",
    "suspended": "the provider has suspended the payment",
    "unknown": "the provider told something that paynotify has no status for",
    "refunded": "a full refund is under way",
}
_STOPPED = {
    "declined": "the payment was declined",
    "cancelled": "the payment was cancelled",
    "expired": "the payment was not finished in time",
    "failed": "the payment failed",
    "refunded": "the money went back to the customer",
    "charged_back": "the money was charged back",
}


def explained(status: PaymentStatus | None) -> str:
    """What the warehouse may do, why, and what happens next."""
    if status is None:
        return "No status is published yet: the provider has not answered, or nothing asked it."
    if status.fulfilment == "release":
        return "The goods may leave: the payment is made and its amount is right."
    if status.fulfilment == "stop":
        return f"No goods leave: {_STOPPED.get(status.status, f'the status is {status.status}')}."
    return f"The goods wait: {_cause(status)}. {_next(status)}"


def _cause(status: PaymentStatus) -> str:
    if status.checks.amount == "mismatch":
        return "the paid amount is not the one that the shop expects"
    return _WAITING.get(status.status, f"the status is {status.status}")


def _next(status: PaymentStatus) -> str:
    if status.checks.amount == "mismatch":
        return "A person compares the two amounts and corrects the order or refunds the payment."
    if status.status == "unknown":
        return "A person looks at the provider's own pages, and corrects the status."
    if status.settles_by is not None:
        return f"The provider captures it by {status.settles_by}; paynotify asks again then."
    return "paynotify publishes the next status as soon as the provider tells it."
