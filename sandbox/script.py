"""The scripted day of the demo: its payments, their later changes, and the faults.

Tables define the events and their times; a player runs them in a thread of its own.
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

#: Seconds from the payment to a change.
_SOON, _LATER, _LAST = 1.5, 3.0, 4.5

Change = tuple[float, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """``count`` payments of one kind. A ``refund`` among the changes is a share of the amount.

    The shop registers each as expected; ``late_after_seconds`` is when the payment is overdue.
    """

    count: int
    provider: str
    order: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    late_after_seconds: float = 3600.0


_SETTLES: Final = (
    (_SOON, {"settlestatus": "10", "notify": True}),
    (_LATER, {"settlestatus": "100", "notify": True}),
)

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
    Scenario(8, "trustpayments", {}, ((_SOON, {"settlestatus": "3", "notify": True}),)),
    Scenario(
        6, "trustpayments", {"settlestatus": "2"}, ((_SOON, {"settlestatus": "0", "notify": True}), *_SETTLES[1:])
    ),
    Scenario(10, "trustpayments", {"settlestatus": "100"}, ((_LATER, {"refund": 0.3, "refund_settlestatus": "100"}),)),
    Scenario(
        5,
        "trustpayments",
        {"settlestatus": "100"},
        (
            (_SOON, {"refund": 0.4, "refund_settlestatus": "100"}),
            (_LATER, {"refund": 0.6, "refund_settlestatus": "100"}),
        ),
    ),
    Scenario(5, "trustpayments", {"settlestatus": "100"}, ((_LATER, {"refund": 1.0, "refund_settlestatus": "100"}),)),
    Scenario(2, "trustpayments", {"settlestatus": "100"}, ((_LATER, {"chargeback": True}),)),
    Scenario(4, "trustpayments", {"errorcode": "60010"}, ((_LAST, {"errorcode": "0", "settlestatus": "100"}),)),
    # paid, but the webhook never arrives: the payment is overdue, polled and found
    Scenario(6, "trustpayments", {"settlestatus": "100", "notify": False}, late_after_seconds=2.0),
    Scenario(58, "nevogate"),
    Scenario(22, "nevogate", {"auto_commit": False}, ((_LATER, {"close": True}),)),
    Scenario(6, "nevogate", {"auto_commit": False}),
    Scenario(12, "nevogate", {"result": "CANCELED"}),
    Scenario(8, "nevogate", {"result": "TIMEOUT"}),
    Scenario(4, "nevogate", {"result": "ERROR"}),
    Scenario(8, "nevogate", {"result": "PENDING"}, ((_SOON, {"result": "SUCCESSFUL"}),)),
    # a failure that becomes a success
    Scenario(2, "nevogate", {"result": "ERROR"}, ((_LATER, {"result": "SUCCESSFUL"}),)),
    Scenario(4, "nevogate", {"copies": 3}),
)

#: Orders that are registered and never paid.
_ABANDONED: Final = 4
#: Customers whose subscriptions are billed.
_SUBSCRIBERS: Final = 40
_BILLER_SECONDS: Final = 60.0


#: Settings of a `Plan` that the day needs: a merchant that may charge, and overdue payments polled at once.
REQUIRED_PLAN: Final[Mapping[str, Any]] = {
    "charges": {MERCHANT: {}},
    "configuration": {"worker": {"overdue": {"poll_schedule_seconds": {"trustpayments": (0.5, 2.0, 5.0, 10.0, 20.0)}}}},
}


@dataclass(slots=True)
class DayProgress:
    """What the player has done so far, and what the topics must show in the end."""

    payments: int = 0
    planned: int = 0
    attacks: int = 0
    happening: str = "the day begins"
    #: the states that ``payments.overdue`` must have for each overdue order in the end
    overdue: dict[str, list[str]] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)


class Player:
    """Runs the day against the sandbox within ``seconds``. An error ends it and is raised by `finish`."""

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
        self.progress = DayProgress()
        self._plan(payments)

    def start(self) -> None:
        self._started_seconds = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Stop early."""
        self._stopped.set()
        self._thread.join(30)
        self._attacker.close()
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
        share = payments / sum(one.count for one in SCENARIOS)
        number = itertools.count(1)
        for scenario in SCENARIOS:
            for _ in range(math.ceil(scenario.count * share)):
                self.progress.planned += 1
                name = f"SANDBOX{next(number):06d}"
                at_seconds = self._chance.uniform(0, self._seconds)
                self._at(at_seconds, lambda scenario=scenario, name=name: self._pay(scenario, name))  # type: ignore[misc]
        self.progress.planned += _SUBSCRIBERS
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
            (0.70, self._bad_responses),
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
            self.progress.happening = "the day is over, the last responses arrive"
        except (PaynotifyError, OSError) as error:
            if not self._stopped.is_set():
                self._error = error

    # --- payments ------------------------------------------------------------------------------------------

    def _pay(self, scenario: Scenario, name: str) -> None:
        amount = self._chance.randrange(500, 50_000)
        self._expect(scenario.provider, name, amount, scenario.late_after_seconds)
        payment = self._sandbox.providers[scenario.provider].pay(order_id=name, amount=amount, **scenario.order)
        self.progress.payments += 1
        now = time.monotonic() - self._started_seconds
        refunded = 0
        for after_seconds, change in scenario.changes:
            details = dict(change)
            if "refund" in details:
                # the last refund is the remainder, so that shares that add up to one refund the whole amount
                part = round(amount * details["refund"])
                details["refund"] = min(part, amount - refunded)
                refunded += details["refund"]
            control = self._sandbox.providers[scenario.provider]
            self._at(
                now + after_seconds,
                lambda details=details, control=control: control.change(payment, **details) and None,  # type: ignore[misc]
            )

    def _expect(self, provider: str, name: str, amount: int, late_after_seconds: float) -> None:
        final_by = timedelta(seconds=late_after_seconds)
        if late_after_seconds < self._seconds:
            self.progress.overdue[f"{self._merchants[provider]}/{name}"] = ["raised", "cleared"]
        self._shop.expects(self._merchants[provider], name, amount, _CURRENCIES[provider], final_by=final_by)

    def _abandon(self, name: str) -> None:
        self.progress.happening = "customers leave without paying"
        self._expect(_TRUST, name, self._chance.randrange(500, 50_000), 2.0)
        self.progress.overdue[f"{self._merchants[_TRUST]}/{name}"] = ["raised"]

    def _register(self) -> None:
        self.progress.payments += self.subscriptions.register()

    def _bill(self) -> None:
        self.progress.happening = "a month of subscriptions is billed"
        self.subscriptions.start()

    # --- what goes wrong -----------------------------------------------------------------------------------

    def _outage(self) -> None:
        self.progress.happening = "Trust Payments returns 503 for a while"
        self._sandbox.providers[_TRUST].fault("unavailable", for_seconds=self._seconds * 0.15)

    def _bad_responses(self) -> None:
        self.progress.happening = "HTML from Nevogate, 429 from OmniKassa, dropped connections from Trust Payments"
        self._sandbox.providers["nevogate"].fault("html", for_seconds=2, share=0.5)
        self._sandbox.providers["omnikassa"].fault("too_many", for_seconds=2)
        self._sandbox.providers[_TRUST].fault("drop", for_seconds=2, share=0.5)

    def _kill_worker(self) -> None:
        self.progress.happening = "a worker is killed (SIGKILL)"
        # the bank returns each page only once: a page on its way to the killed worker would be lost
        self._sandbox.providers["omnikassa"].notify(paused=True)
        self._stopped.wait(0.5)
        self._sandbox.workers[0].kill()
        self._sandbox.providers["omnikassa"].notify(paused=False)

    def _restart_worker(self) -> None:
        self.progress.happening = "the killed worker is started again"
        self._sandbox.start_worker(0)

    def _rubbish(self) -> None:
        self.progress.happening = "malformed calls arrive, and calls for unknown merchants"
        self._attack(*self._attacker.malformed(self._merchants))

    def _forgeries(self) -> None:
        self.progress.happening = "forged signatures, and a hash re-split by an attacker"
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
        self.progress.happening = "recorded calls are replayed"
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
            status = self._attacker.send(attack)
            self.progress.attacks += 1
            if status not in (attack.status, 0):
                self.progress.surprises.append(
                    f"{attack.kind}: the ingress returned {status}, expected {attack.status}"
                )


_TRUST: Final = "trustpayments"

#: The currency of each provider's payments by default.
_CURRENCIES: Final[Mapping[str, str]] = {"omnikassa": "EUR", "trustpayments": "GBP", "nevogate": "HUF"}
