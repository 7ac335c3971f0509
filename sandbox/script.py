"""The scripted day of the demo: a player runs its payments, their later changes and its mishaps in a thread."""

from __future__ import annotations

import heapq
import itertools
import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

from paynotify.sandbox.billing.subscriptions import MERCHANT, SubscriptionDay
from paynotify.sandbox.days import SimulatedDays
from paynotify.sandbox.mishaps import TRUST_PAYMENTS, DayProgress, Mishaps
from paynotify.sandbox.scenarios import SCENARIOS, PaymentAmounts, Scenario
from paynotify.sandbox.shop import ExampleShop
from paynotify.sandbox.system import Sandbox
from paynotify.schemas.errors import ConfigurationError, PaynotifyError

#: Orders that are registered and never paid.
_ABANDONED: Final = 4
#: Customers whose subscriptions are billed.
_SUBSCRIBERS: Final = 40
_BILLER_SECONDS: Final = 60.0
#: An operator corrects a payment as soon as its chargeback was published.
_CORRECT_AGAIN_SECONDS: Final = 2.0
_CORRECTIONS_TRIED: Final = 15

#: Settings of a `Plan` that the day needs: a merchant that may charge and look at its authorisations, overdue payments
#: polled at once, and nights.
REQUIRED_PLAN: Final[Mapping[str, Any]] = {
    "charges": {MERCHANT: {}},
    "merchant": {MERCHANT: {"recover_by_details": True}},
    "days": SimulatedDays(8.0),
    "configuration": {"worker": {"overdue": {"poll_schedule_seconds": {"trustpayments": (0.5, 2.0, 5.0, 10.0, 20.0)}}}},
}

#: The currency of each provider's payments by default.
_CURRENCIES: Final[Mapping[str, str]] = {
    "omnikassa": "EUR",
    "trustpayments": "GBP",
    "nevogate": "HUF",
    "smartpay": "EUR",
}


class Player:
    """Runs the day against the sandbox within ``seconds``. An error ends it and is raised by `finish`."""

    def __init__(self, sandbox: Sandbox, *, seconds: float, payments: int, seed: int) -> None:
        self._sandbox = sandbox
        self._seconds = seconds
        self._chance = random.Random(seed)
        self._merchants = {provider: names[0] for provider, names in sandbox.plan.merchants.items()}
        self._shop = ExampleShop(sandbox.bootstrap, sandbox.prefix)
        self.subscriptions = SubscriptionDay(sandbox, _SUBSCRIBERS, wait_seconds=_BILLER_SECONDS)
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)
        self.progress = DayProgress()
        self._mishaps = Mishaps(sandbox, self.progress, self._stopped, seconds=seconds, seed=seed)
        self._plan(payments)

    def start(self) -> None:
        self._started_seconds = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Stop early."""
        self._stopped.set()
        self._thread.join(30)
        self._mishaps.close()
        self._shop.close()

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def finish(self) -> None:
        """Raise the error that ended the day, if any; returns when the biller knows the outcome of every bill."""
        if self._error is not None:
            raise self._error
        self.subscriptions.finish()

    # --- the plan ------------------------------------------------------------------------------------------

    def _plan(self, payments: int) -> None:
        scenarios = [one for one in SCENARIOS if one.provider in self._merchants]
        share = payments / sum(one.count for one in scenarios if one.pays)
        number = itertools.count(1)
        for scenario in scenarios:
            for _ in range(math.ceil(scenario.count * share)):
                self.progress.planned += scenario.pays
                name = f"SANDBOX{next(number):06d}"
                at_seconds = self._chance.uniform(0, self._seconds)
                self._at(at_seconds, partial(self._pay, scenario, name))
        self.progress.planned += _SUBSCRIBERS
        for left in range(_ABANDONED):
            self._at(self._seconds * 0.5, partial(self._abandon, f"LEFT{left:03d}"))
        self._at(0.05 * self._seconds, self._register)
        self._at(0.42 * self._seconds, self._bill)
        for at_share, mishap in self._mishaps.at_shares().items():
            self._at(at_share * self._seconds, mishap)

    def _at(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (seconds, next(self._order), action))

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._at(time.monotonic() - self._started_seconds + seconds, action)

    def _run(self) -> None:
        try:
            while self._due and not self._stopped.is_set():
                due, _, action = heapq.heappop(self._due)
                now = time.monotonic() - self._started_seconds
                if due > now and self._stopped.wait(due - now):
                    return
                action()
            self.progress.happening = "the day is over, the last payments settle at night"
        except (PaynotifyError, OSError) as error:
            if not self._stopped.is_set():
                self._error = error

    # --- payments ------------------------------------------------------------------------------------------

    def _pay(self, scenario: Scenario, name: str) -> None:
        control = self._sandbox.providers[scenario.provider]
        amount = self._chance.randrange(500, 50_000)
        amounts = PaymentAmounts(amount)
        if scenario.pays:
            self._expect(scenario.provider, name, amount, scenario.late_after_seconds)
        payment = control.pay(order_id=name, amount=amount, **amounts.of(scenario.order))
        self.progress.payments += scenario.pays
        for after_seconds, change in scenario.changes:
            self._after(after_seconds, partial(self._change, scenario, payment, amounts.of(change)))

    def _change(self, scenario: Scenario, payment: str, details: Mapping[str, Any]) -> None:
        changed = self._sandbox.providers[scenario.provider].change(payment, **details)
        if scenario.dispute_won:
            self._at(self._seconds, partial(self._win_dispute, payment, changed["transactionreference"]))

    def _expect(self, provider: str, name: str, amount: int, late_after_seconds: float) -> None:
        final_by = timedelta(seconds=late_after_seconds)
        if late_after_seconds < self._seconds:
            self.progress.overdue[f"{self._merchants[provider]}/{name}"] = ["raised", "cleared"]
        self._shop.expects(self._merchants[provider], name, amount, _CURRENCIES[provider], final_by=final_by)

    def _abandon(self, name: str) -> None:
        self.progress.happening = "customers leave without paying"
        self._expect(TRUST_PAYMENTS, name, self._chance.randrange(500, 50_000), 2.0)
        self.progress.overdue[f"{self._merchants[TRUST_PAYMENTS]}/{name}"] = ["raised"]

    def _register(self) -> None:
        self.progress.payments += self.subscriptions.register()

    def _bill(self) -> None:
        self.progress.happening = "a month of subscriptions is billed"
        self.subscriptions.start()

    # --- disputes ------------------------------------------------------------------------------------------

    def _win_dispute(self, payment: str, chargeback: str) -> None:
        """The money comes back, and the gateway has no record of it: an operator corrects the payment."""
        self.progress.happening = "a dispute is won, and an operator corrects the payment"
        self._sandbox.providers[TRUST_PAYMENTS].change(chargeback, reversed=True)
        self._correct(f"{self._merchants[TRUST_PAYMENTS]}/{payment}", _CORRECTIONS_TRIED)

    def _correct(self, key: str, left: int) -> None:
        arguments = ["--status", "captured", "--reason", "dispute won", "--by", "operator", "--apply"]
        try:
            self._sandbox.command("correct", key, *arguments, "--config", str(self._sandbox.config_path))
        except ConfigurationError as error:
            if left == 0:
                self.progress.surprises.append(f"{key} can't be corrected: {error}")
            else:  # the chargeback is not published yet
                self._after(_CORRECT_AGAIN_SECONDS, partial(self._correct, key, left - 1))
