"""What a request will do, told before it is published, and why it may be refused."""

from __future__ import annotations

from schemas.configuration.merchants import ChargeLimits, NevogateMerchant, provider_of
from schemas.messages import RequestedPayment
from schemas.money import Money, to_major


def facts(request: RequestedPayment, merchant: NevogateMerchant) -> list[tuple[str, str]]:
    """What will be asked for, line by line."""
    lines = [(request.action, f"{request.merchant} ({provider_of(merchant)})"), ("request", request.request_id)]
    named = (
        ("order", request.order_id),
        ("payment", request.payment_id),
        ("user", request.user_id),
        ("reference payment", request.reference_payment_id),
        ("expires", request.expires_at),
    )
    lines += [(name, text) for name, text in named if text]
    if request.amount is not None:
        lines.append(("amount", money_text(request.amount)))
    lines.append(("effect", _effect(request)))
    if request.again:
        lines.append(("again", "also if the order has a charge already"))
    limits = _limits(request, merchant)
    if limits is not None and request.amount is not None:
        lines.append(("limits", _limits_text(limits, request.amount.currency)))
    return lines


def doubts(request: RequestedPayment, merchant: NevogateMerchant) -> list[str]:
    """Why the request will be refused, as far as the configuration tells."""
    if merchant.charges is None:
        return [f"charges are off for {merchant.id} (no charges section): the request will be refused"]
    if request.action != "charge" or request.amount is None:
        return []
    limits = _limits(request, merchant)
    if limits is None:
        return [f"{merchant.id} has no limits for {request.amount.currency}: the request will be refused"]
    return [
        f"the amount is above the limit {name}, {money_text(Money(most, request.amount.currency))}: "
        "the request will be refused"
        for name, most in (
            ("per charge", limits.per_charge),
            ("per reference payment", limits.per_reference),
            ("per day", limits.per_day),
        )
        if request.amount.value > most
    ]


def money_text(money: Money) -> str:
    """An amount for people."""
    return f"{to_major(money)} {money.currency}"


def _limits(request: RequestedPayment, merchant: NevogateMerchant) -> ChargeLimits | None:
    if request.action != "charge" or request.amount is None or merchant.charges is None:
        return None
    return merchant.charges.limits.get(request.amount.currency)


def _limits_text(limits: ChargeLimits, currency: str) -> str:
    return (
        f"{money_text(Money(limits.per_charge, currency))} per charge, "
        f"{money_text(Money(limits.per_reference, currency))} per reference payment in 30 days, "
        f"{money_text(Money(limits.per_day, currency))} a day"
    )


def _effect(request: RequestedPayment) -> str:
    if request.action == "release":
        return "the whole hold is released, nothing is charged"
    if request.action == "capture":
        rest = "this part of the hold is charged, the rest released"
        return rest if request.amount is not None else "the whole hold is charged"
    if request.capture == "now":
        return "the amount is charged at once"
    return "the amount is reserved, until captured or released"
