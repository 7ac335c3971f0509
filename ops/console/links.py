"""The addresses of the console's pages, and of the records that they show."""

from __future__ import annotations

from urllib.parse import quote


def payment_path(merchant: str, payment_id: str) -> str:
    return f"/payments/{_part(merchant)}/{_part(payment_id)}"


def order_path(merchant: str, order_id: str) -> str:
    return f"/orders/{_part(merchant)}/{_part(order_id)}"


def record_path(topic: str, partition: int, offset: int) -> str:
    """``topic`` is its name on the cluster."""
    return f"/records/{_part(topic)}/{partition}/{offset}"


def report_path(merchant: str, run_id: str) -> str:
    return f"/reconciliations/{_part(merchant)}/{_part(run_id)}"


def _part(text: str) -> str:
    return quote(text, safe="")
