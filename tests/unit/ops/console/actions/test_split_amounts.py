"""What was charged before counts with what is to be charged: of the same payment and currency, within a day."""

from __future__ import annotations

import pytest

from paynotify.ops.console.access.identity import Role
from paynotify.ops.console.actions.action_run import ActionRun
from paynotify.ops.console.actions.planned import Performer, PlannedAction
from paynotify.ops.console.actions.split_amounts import COUNTED_SECONDS, SplitAmounts
from paynotify.schemas.money import Money


def nothing(performer: Performer, run: ActionRun) -> None:
    """Does nothing."""


def charge(value: int, charges: str = "shop-hu/p1", currency: str = "EUR") -> PlannedAction:
    return PlannedAction(
        title="Charge", role=Role.CASHIER, merchants=None, records=1, sentence="", perform=nothing,
        amount=Money(value, currency), charges=charges,
    )  # fmt: skip


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("before", "now", "waits"),
    [
        (charge(600), charge(400), False),
        (charge(600), charge(401), True),
        (charge(600, "shop-hu/p2"), charge(401), False),
        (charge(600, currency="GBP"), charge(401), False),
        (charge(600, ""), charge(401, ""), False),
    ],
)
def test_parts_count_together(before: PlannedAction, now: PlannedAction, waits: bool) -> None:
    parts = SplitAmounts(lambda amount: amount is None or amount.value > 1000)
    parts.count(before)
    assert parts.judged(now).needs_second is waits


def test_parts_count_for_a_day() -> None:
    clock = Clock()
    parts = SplitAmounts(lambda amount: amount is None or amount.value > 1000, clock)
    parts.count(charge(1000))
    clock.seconds = COUNTED_SECONDS - 1
    assert parts.judged(charge(1)).needs_second
    clock.seconds = COUNTED_SECONDS
    assert not parts.judged(charge(1)).needs_second
