"""A day's results, made by the code that decides them: many payments of many kinds, mixed, with repeats."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from paynotify.schemas import messages
from paynotify.schemas.messages import Chargeback, Correction, Observation, PaymentStatus, Refund
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status
from tests.fakes.observations import observation
from tests.fakes.payment_histories import events, moment
from tests.topics_reader import ToWrite

#: Currencies with 2, 0 and 3 digits, and one of which most programs think wrongly.
CURRENCIES: Final = ("GBP", "EUR", "HUF", "JPY", "KWD", "ISK")

#: Of every payment.
MERCHANT: Final = "shop-uk"


def _life(payment: str, price: Money, kind: int) -> Iterator[Observation]:
    """What is observed of one payment, in order."""
    times = ({"provider_time": moment(at), "observed_at": moment(at)} for at in range(20))
    part = Money(price.value // 2, price.currency)
    rest = Money(price.value - part.value, price.currency)

    def seen(status: Status | None, **fields: object) -> Observation:
        known = {"amount": price, "paid": price if status == "captured" else None} if status else {"amount": None}
        return observation(payment, status, **known, **next(times), **fields)

    if kind == 5:
        yield seen("pending")
        yield seen("declined", reason="70000", order_id=None)
        return
    yield seen("authorised", follow=None, order_role="part" if kind == 3 else "whole")
    yield seen("captured", customer_amount=Money(1000, "USD") if kind == 2 else None)
    if kind in (1, 2):
        yield seen(None, refund=Refund(refund_id="r1", amount=part, settled=False))
        yield seen(None, refund=Refund(refund_id="r1", amount=part, settled=True))
        yield seen(None, refund=Refund(refund_id="r2", amount=rest, settled=True))
    if kind == 3:
        yield seen(None, chargeback=Chargeback(chargeback_id="c1", amount=part))
    if kind == 4:
        yield seen("cancelled", source="OPERATOR", correction=Correction(by="anna", reason="case 4711"))


def paid_order(order_id: str, *payments: str) -> list[PaymentStatus]:
    """The events of an order that is paid by each of the payments, which releases its goods."""
    observed = [observation(name, "captured", order_id=order_id) for name in payments]
    return [event for one in observed for event in events([one])]


def payment(name: str, seed: int = 0) -> list[PaymentStatus]:
    """The events of one payment; the seed decides its kind, currency and price."""
    chance = random.Random(f"{name}-{seed}")
    price = Money(chance.randint(2, 999_999), chance.choice(CURRENCIES))
    return events(list(_life(name, price, chance.randrange(6))))


def day(payments: int, seed: int = 0, *, first: int = 0) -> list[PaymentStatus]:
    """The events of all payments: of each in order, the payments mixed; some are published twice."""
    lives = [payment(f"p{number}", seed) for number in range(first, first + payments)]
    chance = random.Random(seed)
    mixed: list[PaymentStatus] = []
    for step in zip_longest(*lives):
        for event in step:
            if event is not None:
                mixed += [event] * (2 if chance.random() < 0.1 else 1)
    return mixed


def records(results: Sequence[PaymentStatus]) -> list[ToWrite]:
    """The events as the worker writes them to ``payments.status`` and ``payments.latest``."""
    return [
        (f"{one.merchant}/{one.payment_id}".encode(), messages.encode(one), {"ce_id": one.event_id}) for one in results
    ]
