"""Describes a request before it is published, and predicts why the charge stage would refuse it."""

from __future__ import annotations

from paynotify.ops.common.amounts import money_text
from paynotify.schemas.configuration.merchants import ChargeLimits, ChargingMerchant, provider_of
from paynotify.schemas.messages import RequestedPayment
from paynotify.schemas.money import Money


def describe(request: RequestedPayment, merchant: ChargingMerchant) -> list[tuple[str, str]]:
    """The request as labels and texts, one pair per line."""
    lines = [(request.action, f"{request.merchant} ({provider_of(merchant)})"), ("request", request.request_id)]
    named = (
        ("order", request.order_id),
        ("payment", request.payment_id),
        ("user", request.user_id),
        ("initial payment", request.reference_payment_id),
        ("expires", request.expires_at),
    )
    lines += [(label, text) for label, text in named if text]
    if request.amount is not None:
        lines.append(("amount", money_text(request.amount)))
    lines.append(("effect", _effect(request)))
    if request.again:
        lines.append(("again", "even if the order already has a charge"))
    limits = _limits(request, merchant)
    if limits is not None and request.amount is not None:
        lines.append(("limits", _limits_text(limits, request.amount.currency)))
    return lines


def expected_refusals(request: RequestedPayment, merchant: ChargingMerchant) -> list[str]:
    """Why the request will be refused, as far as the configuration alone can tell."""
    if merchant.charges is None:
        return [f"charges are not enabled for {merchant.id} (no charges section): the request will be refused"]
    if request.action != "charge" or request.amount is None:
        return []
    limits = _limits(request, merchant)
    if limits is None:
        return [f"{merchant.id} has no limits for {request.amount.currency}: the request will be refused"]
    return [
        f"the amount exceeds the limit {name}, {money_text(Money(limit, request.amount.currency))}: "
        "the request will be refused"
        for name, limit in (
            ("per charge", limits.per_charge),
            ("per initial payment", limits.per_reference),
            ("per day", limits.per_day),
        )
        if request.amount.value > limit
    ]


def _limits(request: RequestedPayment, merchant: ChargingMerchant) -> ChargeLimits | None:
    if request.action != "charge" or request.amount is None or merchant.charges is None:
        return None
    return merchant.charges.limits.get(request.amount.currency)


def _limits_text(limits: ChargeLimits, currency: str) -> str:
    return (
        f"{money_text(Money(limits.per_charge, currency))} per charge, "
        f"{money_text(Money(limits.per_reference, currency))} per initial payment in 30 days, "
        f"{money_text(Money(limits.per_day, currency))} per day"
    )


def _effect(request: RequestedPayment) -> str:
    if request.action == "release":
        return "the authorisation is voided, nothing is captured"
    if request.action == "capture":
        if request.amount is not None:
            return "this part of the authorisation is captured, the remainder is voided"
        return "the whole authorisation is captured"
    if request.capture == "now":
        return "the amount is captured at once"
    return "the amount is authorised until it is captured or voided"
