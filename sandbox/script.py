"""The scripted day: which payments are made, what becomes of them, and what goes wrong meanwhile.

The tables say what happens when; a player carries it out in a thread of its own.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from sandbox.attacker import Attack, Attacker, replayed, resplit
from sandbox.billing.subscriptions import MERCHANT, SubscriptionDay
from sandbox.shop import ExampleShop
from sandbox.system import Sandbox
from schemas.errors import PaynotifyError

#: Changes come this many seconds after the payment.
_SOON, _LATER, _LAST = 1.5, 3.0, 4.5

Change = tuple[float, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """``count`` payments of one kind. A ``refund`` among the changes is a share of the amount.

    The shop announces each of them; ``late_after_seconds`` is when it begins to miss the payment.
    """

    count: int
    provider: str
    order: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    late_after_seconds: float = 3600.0


_SETTLES: Final = ((_SOON, {"settlestatus": "10"}), (_LATER, {"settlestatus": "100"}))

SCENARIOS: Final = (
    Scenario(70, "omnikassa"),
    Scenario(12, "omnikassa", {"brand": "VISA", "failed_attempts": 1}),
    Scenario(18, "omnikassa", {"status": "CANCELLED"}),
    Scenario(10, "omnikassa", {"status": "EXPIRED", "brand": "MASTERCARD"}),
    Scenario(10, "omnikassa", {"status": "IN_PROGRESS"}, ((_LATER, {"status": "COMPLETED"}),)),
    Scenario(40, "trustpayments", {}, _SETTLES),
    Scenario(8, "trustpayments", {"copies": 3}, _SETTLES),
    # the notification of the authorisation is overtaken by those of the settlement
    Scenario(8, "trustpayments", {"notify_after_seconds": 4.0}, _SETTLES),
    Scenario(14, "trustpayments"),
    Scenario(22, "trustpayments", {"errorcode": "70000"}),
    Scenario(4, "trustpayments", {"errorcode": "60022"}),
    Scenario(8, "trustpayments", {}, ((_SOON, {"settlestatus": "3"}),)),
    Scenario(6, "trustpayments", {"settlestatus": "2"}, ((_SOON, {"settlestatus": "0"}), *_SETTLES[1:])),
    Scenario(10, "trustpayments", {"settlestatus": "100"}, ((_LATER, {"refund": 0.3}),)),
    Scenario(5, "trustpayments", {"settlestatus": "100"}, ((_SOON, {"refund": 0.4}), (_LATER, {"refund": 0.6}))),
    Scenario(5, "trustpayments", {"settlestatus": "100"}, ((_LATER, {"refund": 1.0}),)),
    Scenario(2, "trustpayments", {"settlestatus": "100"}, ((_LATER, {"chargeback": True}),)),
    Scenario(4, "trustpayments", {"errorcode": "60010"}, ((_LAST, {"errorcode": "0", "settlestatus": "100"}),)),
    # paid, and the webhook never comes: missed, looked for and found
    Scenario(6, "trustpayments", {"settlestatus": "100", "notify": False}, late_after_seconds=2.0),
    Scenario(58, "nevogate"),
    Scenario(22, "nevogate", {"auto_commit": False}, ((_LATER, {"close": True}),)),
    Scenario(6, "nevogate", {"auto_commit": False}),
    Scenario(12, "nevogate", {"result": "CANCELED"}),
    Scenario(8, "nevogate", {"result": "TIMEOUT"}),
    Scenario(4, "nevogate", {"result": "ERROR"}),
    Scenario(8, "nevogate", {"result": "PENDING"}, ((_SOON, {"result": "SUCCESSFUL"}),)),
    # a failure that turns out a success after all
    Scenario(2, "nevogate", {"result": "ERROR"}, ((_LATER, {"result": "SUCCESSFUL"}),)),
    Scenario(4, "nevogate", {"copies": 3}),
)

#: Orders that are announced and never paid.
_ABANDONED: Final = 4
#: Customers whose subscription is billed.
_SUBSCRIBERS: Final = 40
_BILLER_SECONDS: Final = 60.0


#: What a sandbox needs to be played in: a merchant that may charge, and missed payments are looked for at once.
NEEDS: Final[Mapping[str, Any]] = {
    "charges": {MERCHANT: {}},
    "configuration": {"worker": {"overdue": {"poll_schedule_seconds": {"trustpayments": (0.5, 2.0, 5.0, 10.0, 20.0)}}}},
}


@dataclass(slots=True)
class Played:
    """What the player has done so far."""

    payments: int = 0
    planned: int = 0
    attacks: int = 0
    happening: str = "the day begins"
    #: what ``payments.overdue`` must say in the end of each order that is missed
    overdue: dict[str, list[str]] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)


class Player:
    """Plays the day of ``seconds`` against the sandbox. An error ends it and is raised by `finish`."""

    def __init__(self, sandbox: Sandbox, *, seconds: float, payments: int, seed: int) -> None:
        self._sandbox = sandbox
        self._seconds = seconds
        self._chance = random.Random(seed)
        self._attacker = Attacker(sandbox.ingest_address, seed)
        self._merchants = {provider: names[0] for provider, names in sandbox.plan.merchants.items()}
        self._sites = {one.name: one.merchant["site_reference"] for one in sandbox.accounts if one.provider == _TRUST}
        self._poi_ids = {one.name: one.merchant["poi_id"] for one in sandbox.accounts if one.provider == "omnikassa"}
        self._shop = ExampleShop(sandbox.bootstrap, sandbox.prefix)
        self.subscriptions = SubscriptionDay(sandbox, _SUBSCRIBERS, wait_seconds=_BILLER_SECONDS)
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)
        self.played = Played()
        self._plan(payments)

    def start(self) -> None:
        self._started_seconds = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End early, wherever it is."""
        self._stopped.set()
        self._thread.join(30)
        self._attacker.close()
        self._shop.close()

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def finish(self) -> None:
        """Raise what went wrong, if anything did; returns when the biller has an answer for everybody."""
        if self._error is not None:
            raise self._error
        self.subscriptions.finish()

    # --- the plan ------------------------------------------------------------------------------------------

    def _plan(self, payments: int) -> None:
        share = payments / sum(one.count for one in SCENARIOS)
        number = itertools.count(1)
        for scenario in SCENARIOS:
            for _ in range(math.ceil(scenario.count * share)):
                self.played.planned += 1
                name = f"SANDBOX{next(number):06d}"
                at_seconds = self._chance.uniform(0, self._seconds)
                self._at(at_seconds, lambda scenario=scenario, name=name: self._pay(scenario, name))  # type: ignore[misc]
        self.played.planned += _SUBSCRIBERS
        for left in range(_ABANDONED):
            self._at(self._seconds * 0.5, lambda left=left: self._abandon(f"LEFT{left:03d}"))  # type: ignore[misc]
        for at_share, action in (
            (0.05, self._register),
            (0.10, self._rubbish),
            (0.25, self._outage),
            (0.35, self._forgeries),
            (0.42, self._bill),
            (0.45, self._kill_worker),
            (0.60, self._restart_worker),
            (0.70, self._bad_answers),
            (0.80, self._replays),
            (0.90, self._forgeries),
            (1.00, self._rubbish),
        ):
            self._at(at_share * self._seconds, action)

    def _at(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (seconds, next(self._order), action))

    def _run(self) -> None:
        try:
            while self._due and not self._stopped.is_set():
                due, _, action = heapq.heappop(self._due)
                now = time.monotonic() - self._started_seconds
                if due > now and self._stopped.wait(due - now):
                    return
                action()
            self.played.happening = "the day is over, the last answers come in"
        except (PaynotifyError, OSError) as error:
            if not self._stopped.is_set():
                self._error = error

    # --- payments ------------------------------------------------------------------------------------------

    def _pay(self, scenario: Scenario, name: str) -> None:
        amount = self._chance.randrange(500, 50_000)
        self._announce(scenario.provider, name, amount, scenario.late_after_seconds)
        payment = self._sandbox.providers[scenario.provider].pay(order_id=name, amount=amount, **scenario.order)
        self.played.payments += 1
        now = time.monotonic() - self._started_seconds
        refunded = 0
        for after_seconds, change in scenario.changes:
            details = dict(change)
            if "refund" in details:
                # the last refund takes what is left, so that shares that add up to one leave nothing over
                part = round(amount * details["refund"])
                details["refund"] = min(part, amount - refunded)
                refunded += details["refund"]
            control = self._sandbox.providers[scenario.provider]
            self._at(
                now + after_seconds,
                lambda details=details, control=control: control.change(payment, **details) and None,  # type: ignore[misc]
            )

    def _announce(self, provider: str, name: str, amount: int, late_after_seconds: float) -> None:
        final_by = timedelta(seconds=late_after_seconds)
        if late_after_seconds < self._seconds:
            self.played.overdue[f"{self._merchants[provider]}/{name}"] = ["raised", "cleared"]
        self._shop.expects(self._merchants[provider], name, amount, _CURRENCIES[provider], final_by=final_by)

    def _abandon(self, name: str) -> None:
        self.played.happening = "customers leave without paying"
        self._announce(_TRUST, name, self._chance.randrange(500, 50_000), 2.0)
        self.played.overdue[f"{self._merchants[_TRUST]}/{name}"] = ["raised"]

    def _register(self) -> None:
        self.played.payments += self.subscriptions.register()

    def _bill(self) -> None:
        self.played.happening = "a month of subscriptions is billed"
        self.subscriptions.start()

    # --- what goes wrong -----------------------------------------------------------------------------------

    def _outage(self) -> None:
        self.played.happening = "Trust Payments answers 503 for a while"
        self._sandbox.providers[_TRUST].fault("unavailable", for_seconds=self._seconds * 0.15)

    def _bad_answers(self) -> None:
        self.played.happening = "HTML from Nevogate, 429 from OmniKassa, connections that break"
        self._sandbox.providers["nevogate"].fault("html", for_seconds=2, share=0.5)
        self._sandbox.providers["omnikassa"].fault("too_many", for_seconds=2)
        self._sandbox.providers[_TRUST].fault("drop", for_seconds=2, share=0.5)

    def _kill_worker(self) -> None:
        self.played.happening = "a worker is killed with kill -9"
        # the bank forgets a page once it was handed out: one in flight to a dying worker would be lost at the bank
        self._sandbox.providers["omnikassa"].notify(paused=True)
        self._stopped.wait(0.5)
        self._sandbox.workers[0].kill()
        self._sandbox.providers["omnikassa"].notify(paused=False)

    def _restart_worker(self) -> None:
        self.played.happening = "the killed worker is started again"
        self._sandbox.start_worker(0)

    def _rubbish(self) -> None:
        self.played.happening = "rubbish arrives, and calls for unknown merchants"
        self._attack(*self._attacker.rubbish(self._merchants))

    def _forgeries(self) -> None:
        self.played.happening = "forged signatures, and a hash re-split by an attacker"
        sent = self._sandbox.providers[_TRUST].sent()
        declines = [one for one in sent if "errorcode=70000" in one["body"]][-3:]
        merchant = self._merchants[_TRUST]
        for one in sent[-5:]:
            target = (merchant, self._sites[merchant], one["about"])
            self._attack(self._attacker.forged_form(*target), self._attacker.unsigned_form(*target))
        for one in declines:
            self._attack(*resplit(one))
        webshop = self._merchants["omnikassa"]
        self._attack(
            *(self._attacker.forged_ping(webshop, self._poi_ids[webshop]) for _ in range(3)),
            *(self._attacker.invented_transaction(self._merchants["nevogate"]) for _ in range(3)),
        )

    def _replays(self) -> None:
        self.played.happening = "recorded calls are replayed"
        pings = self._sandbox.providers["omnikassa"].sent()
        self._attack(
            *(replayed(one) for one in (*pings[:3], *pings[-1:], *self._sandbox.providers[_TRUST].sent()[-5:]))
        )
        nevogate = self._sandbox.providers["nevogate"]
        for one in nevogate.sent()[-3:]:
            nevogate.change(one["about"], foreign_calls=1)
            self._attack(replayed(one))

    def _attack(self, *attacks: Attack) -> None:
        for attack in attacks:
            answer = self._attacker.send(attack)
            self.played.attacks += 1
            if answer not in (attack.answer, 0):
                self.played.surprises.append(f"{attack.kind} was answered {answer}, expected {attack.answer}")


_TRUST: Final = "trustpayments"

#: In which currency each provider's customers pay, if nothing else is said.
_CURRENCIES: Final[Mapping[str, str]] = {"omnikassa": "EUR", "trustpayments": "GBP", "nevogate": "HUF"}
