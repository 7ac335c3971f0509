"""Whatever is asked of the simulated gateway, in whatever order: a charge moves its money at most once."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from paynotify.sandbox.simulators.ledger import Ledger, Truth
from paynotify.sandbox.simulators.nevogate.recurring import OUTCOMES, Recurring
from paynotify.sandbox.simulators.nevogate.transaction import Transaction
from paynotify.schemas.errors import ProviderRefusedError

REFERENCE: Final = "a" * 32
URL: Final = "https://shop.example/notifications/nevogate/shop"
CLOSES: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"Approved": "true"},
    {"Approved": "false"},
    {"ApprovedAmount": "3.50"},
    {"ApprovedAmount": "99"},
    {"Approved": "never"},
)

#: Each number picks one of the charges, or of what is due, there are at the time.
_STEPS = st.one_of(
    st.just(("init",)),
    st.tuples(st.just("start"), st.integers(0, 2)),
    st.tuples(st.just("close"), st.integers(0, 2), st.sampled_from(CLOSES)),
    st.tuples(st.just("time"), st.integers(0, 5)),
    st.tuples(st.just("means"), st.sampled_from(["active", "active", "withdrawn"])),
    st.tuples(st.just("turn"), st.integers(0, 2), st.sampled_from(["SUCCESSFUL", "ERROR", "PENDING", "TIMEOUT"])),
)


class _World:
    """A gateway without a network; time is a list of what is due."""

    def __init__(self, outcome: str) -> None:
        self.due: list[Callable[[], None]] = []
        self.told: list[Transaction] = []
        self.book = Ledger()
        truth = Truth(payment_id=REFERENCE, merchant="shop", order_id="R", status="captured", amount=1, currency="EUR")
        self.reference = Transaction(truth=truth, result="SUCCESSFUL", registration="active", outcome=outcome)
        self.transactions = {REFERENCE: self.reference}
        self.recurring = Recurring(
            self.transactions,
            self.book,
            random.Random(1),
            lambda one, both: self.told.append(one),
            lambda seconds, action: self.due.append(action),
            start_within_seconds=1,
            pending_seconds=1,
            outcomes={},
            checks_reference_at_init=False,
        )

    @property
    def charges(self) -> list[Transaction]:
        return [one for one in self.transactions.values() if one.reference]

    def step(self, kind: str, *details: Any) -> None:
        if kind == "init":
            self.recurring.init(
                "shop",
                "store",
                {
                    "StoreName": "store",
                    "ReferenceTransactionId": REFERENCE,
                    "ResponseUrl": URL,
                    "NotificationUrl": URL,
                    "Amount": "10.00",
                    "OrderId": "O",
                },
            )
        elif kind == "time":
            if self.due:
                self.due.pop(details[0] % len(self.due))()
        elif kind == "means":
            self.reference.registration = details[0]
        else:
            charge = self.charges[details[0] % len(self.charges)]
            if kind == "start":
                self.recurring.start(charge)
            elif kind == "close":
                self.recurring.close(charge, details[1])
            else:
                charge.becomes(details[1])


@given(st.sampled_from(OUTCOMES), st.lists(_STEPS, min_size=8, max_size=40))
def test_money_moves_at_most_once_and_every_cent_is_accounted_for(outcome: str, steps: list[tuple[Any, ...]]) -> None:
    world = _World(outcome)
    world.step("init")
    for step in steps:
        before = [(one.money.moved, one.money.closed) for one in world.charges]
        try:
            world.step(*step)
        except ProviderRefusedError:
            assert [(one.money.moved, one.money.closed) for one in world.charges] == before, "refused, and yet it moved"
        for one in world.charges:
            money = one.money
            assert money.moved in (0, 1)
            assert money.closed in (0, 1)
            assert money.reserved == 1000 * money.moved
            assert min(money.captured, money.released) >= 0
            assert money.captured + money.released == money.reserved * money.closed
            assert one.truth.paid == money.captured
            assert not (money.closed and not money.moved)
        assert world.book.counters["charges.started"] == sum(one.started for one in world.charges), "started twice"


@given(st.sampled_from(OUTCOMES))
def test_charge_that_ended_was_told_of_exactly_once(outcome: str) -> None:
    world = _World(outcome)
    world.step("init")
    world.step("start", 0)
    while world.due:
        world.step("time", 0)
    never = outcome == "PENDING-NEVER"
    assert len(world.told) == (0 if never else 1)
    assert world.charges[0].result == ("PENDING" if never else outcome.removeprefix("PENDING-"))
