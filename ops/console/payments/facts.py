"""What decides about a payment's goods, from the rows of the index and the configuration."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from paynotify.ops.console.payments.explanation import PaymentFacts
from paynotify.ops.console.payments.payment_rows import PaymentRows
from paynotify.schemas.configuration.merchants import Merchant, provider_of
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.money import Money


def payment_facts(
    rows: PaymentRows,
    configuration: Configuration,
    merchant: Merchant,
    now: datetime,
    retry: tuple[str, str] | None = None,
) -> PaymentFacts:
    """The facts. A record without a result counts only if it is newer than the payment's newest event. ``retry`` is
    why and until when a lookup waits, which the payment's story alone tells."""
    event, expected, overdue, request = rows.event, rows.expected, rows.overdue, rows.request
    observed_at = event.observed_at if event is not None else ""

    def newer(row: dict[str, Any] | None) -> Any:
        return row["reason"] if row is not None and row["at"] > observed_at else None

    return PaymentFacts(
        now=now,
        event=event,
        expected=Money(expected["amount"], expected["currency"]) if expected is not None else None,
        final_by=expected["final_by"] if expected is not None else None,
        overdue=(overdue["reason"] or "late") if overdue is not None and overdue["state"] == "raised" else None,
        request=(request["action"], request["state"], request["reason"]) if request is not None else None,
        dead=newer(rows.dead),
        rejected=newer(rows.rejected),
        silent_since=rows.silent["since"] if rows.silent is not None else None,
        retry=retry,
        poll_schedule_seconds=configuration.worker.overdue.poll_schedule(provider_of(merchant)),
        shop_captures=getattr(merchant, "charges", None) is not None,
        announcement_required=merchant.expected == "required",
    )
