"""A payment's expectation: what the order's stage knows of other payments outlives responses that do not know it."""

from __future__ import annotations

from paynotify.schemas.messages import Expectation
from paynotify.schemas.money import Money
from tests.fakes.payment_histories import run, seen

PRICE = Money(1000, "GBP")


def after(*expectations: Expectation) -> Expectation | None:
    """What is expected of a payment once these were read, in this order."""
    state, _ = run([seen(None, order_id="o1", amount=None, expected=one) for one in expectations])
    return state.expected


def expectation(
    said: str, *, paid_by: str | None = None, parts: int | None = None, version: int = 0, several: bool = False
) -> Expectation:
    return Expectation(
        order_id="o1",
        amount=PRICE,
        said=said,
        paid_by=paid_by,
        other_parts=None if parts is None else Money(parts, "GBP"),
        parts_version=version,
        several=several,
    )


def test_payer_is_kept_until_the_shop_expects_several_payments() -> None:
    paid, several = expectation("1", paid_by="p2"), expectation("2", several=True)
    assert after(paid, expectation("1")) == paid
    assert after(paid, several) == several
    assert after(several, paid) == several, "read out of order"


def test_other_parts_are_kept_until_they_are_told_anew() -> None:
    known, anew = expectation("1", parts=400, version=1), expectation("1", parts=0, version=2)
    assert after(known, expectation("2")) == expectation("2", parts=400, version=1)
    assert after(known, anew) == anew
    assert after(known, anew, known) == anew, "read again after a crash"
