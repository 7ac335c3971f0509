"""The shops and customers of a fault run: orders announced, paid at the simulators, changed, and charged by topic.

What they do follows from the seed. The simulators send what a provider would, a part of it twice and a part late.
"""

from __future__ import annotations

import heapq
import itertools
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import orjson
from kafka import KafkaProducer
from kafka.errors import KafkaError

from paynotify.sandbox.scenarios import PaymentAmounts, Share
from paynotify.sandbox.shop import ExampleShop
from paynotify.sandbox.simulators.control import Control
from paynotify.schemas import topics

_SOON, _LATER = 1.0, 2.5
#: Of the customers of Nevogate, how many leave a means of payment and are charged again by topic.
_CHARGED_SHARE: Final = 0.5
_MISSED_AFTER: Final = {"omnikassa": 8.0, "trustpayments": 20.0, "nevogate": 30.0, "smartpay": 30.0}
_CURRENCY: Final = {"omnikassa": "EUR", "trustpayments": "GBP", "nevogate": "HUF", "smartpay": "EUR"}
_SEND_SECONDS: Final = 10.0
_JOIN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of payment: how often it is made, how it begins, and what becomes of it after so many seconds. One that
    does not ``pay`` is no payment by the provider's ledger.
    """

    weight: int
    provider: str
    order: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[tuple[float, Mapping[str, Any]], ...] = ()
    pays: bool = True


_ORDER: Final = {"status": "IN_PROGRESS"}

KINDS: Final = (
    Kind(12, "omnikassa", _ORDER, ((_SOON, {"status": "COMPLETED"}),)),
    Kind(4, "omnikassa", _ORDER, ((_SOON, {"status": "CANCELLED"}),)),
    Kind(2, "omnikassa", _ORDER, ((_LATER, {"status": "EXPIRED"}),)),
    # another shop's order, on the pages of the others
    Kind(1, "omnikassa", {"odd": "foreign"}, pays=False),
    # settled in the night of the run, of which nobody tells; what comes after it stays authorised
    Kind(6, "trustpayments"),
    Kind(3, "trustpayments", {"settlestatus": "100"}),
    Kind(3, "trustpayments", {"errorcode": "70000"}),
    # accepted, and settled in the night
    Kind(2, "trustpayments", {"settlestatus": "100"}, ((_LATER, {"refund": Share(1.0)}),)),
    Kind(1, "trustpayments", {"settlestatus": "100"}, ((_LATER, {"chargeback": Share(0.4)}),)),
    Kind(1, "trustpayments", {"settlestatus": "100"}, ((_LATER, {"payout": Share(2.0)}),)),
    # every query that names it fails
    Kind(1, "trustpayments", {"refused": True}, pays=False),
    Kind(7, "nevogate"),
    Kind(3, "nevogate", {"auto_commit": False}, ((_LATER, {"close": True, "notify": True}),)),
    Kind(3, "nevogate", {"result": "CANCELED"}),
    Kind(2, "nevogate", {"result": "PENDING"}, ((_SOON, {"result": "SUCCESSFUL"}),)),
    Kind(5, "smartpay", _ORDER, ((_SOON, {"status": "COMPLETED"}),)),
    Kind(2, "smartpay", _ORDER, ((_SOON, {"status": "CANCELLED"}),)),
    # another shop's event, and one that was changed on its way
    Kind(1, "smartpay", {"odd": "foreign"}, pays=False),
    Kind(1, "smartpay", {"odd": "changed"}, pays=False),
)

#: About how many notifications one payment makes, copies included; measured.
NOTIFICATIONS_PER_PAYMENT: Final = 2.2


class Load:
    """So many payments, evenly over the time, and on at that pace until `stop`; `finish` waits for all of it."""

    def __init__(
        self,
        providers: Mapping[str, Control],
        merchants: Mapping[str, tuple[str, ...]],
        kafka: tuple[str, str],
        *,
        seed: int,
        payments: int,
        seconds: float,
    ) -> None:
        """``kafka`` is where the shops write: the brokers, and the prefix of the topics."""
        self._providers = providers
        self._merchants = merchants
        self._chance = random.Random(seed)
        self._payments = payments
        self._every_seconds = seconds / payments
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._stopped = threading.Event()
        self._said: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._shop = ExampleShop(*kafka)
        self._producer = KafkaProducer(bootstrap_servers=kafka[0].split(","), acks="all")
        self._requested = kafka[1] + topics.REQUESTED
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._pay_all, self._say_all)]
        self._error: BaseException | None = None
        self.made = 0
        self.charged = 0

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No more payments than were wanted; what was begun is brought to its end."""
        self._stopped.set()

    def finish(self) -> None:
        """Wait until every payment was made and changed, and everything was announced. Raises what went wrong."""
        self._threads[0].join()
        self._said.put(None)
        self._threads[1].join(_JOIN_SECONDS)
        self._shop.close()
        self._producer.close()
        if self._error is not None:
            raise self._error

    # --- the customers -------------------------------------------------------------------------------------

    def _pay_all(self) -> None:
        try:
            due = time.monotonic()
            while self.made < self._payments or not self._stopped.is_set():
                self._changes_until(due)
                self._pay(self._chance.choices(KINDS, [one.weight for one in KINDS])[0])
                due += self._every_seconds
            self._changes_until(float("inf"))
        except Exception as error:  # noqa: BLE001 - raised by `finish` in the run's own thread
            self._error = error

    def _changes_until(self, moment: float) -> None:
        """Carry out what is due before the moment, and wait for it; with no end, until nothing is left."""
        while True:
            next_due = self._due[0][0] if self._due else float("inf")
            until = min(next_due, moment)
            if until == float("inf"):
                return
            time.sleep(max(0.0, until - time.monotonic()))
            if next_due > moment:
                return
            heapq.heappop(self._due)[2]()

    def _pay(self, kind: Kind) -> None:
        self.made += 1
        name, amount = f"FAULT{self.made:07d}", self._chance.randrange(5, 500) * 100
        provider = kind.provider
        merchant = self._chance.choice(self._merchants[provider])
        order = {"merchant": merchant, "order_id": name, "amount": amount, **kind.order}
        registers = provider == "nevogate" and not kind.order and self._chance.random() < _CHARGED_SHARE
        if registers:
            order["registration"] = "active"
        if not kind.pays:
            self._providers[provider].pay(**order)
            return
        if provider in ("omnikassa", "smartpay"):
            # the bank names the payment when the order is made, long before the customer pays
            payment = self._providers[provider].pay(**order)
            self._announce(provider, merchant, name, amount, payment)
        else:
            self._announce(provider, merchant, name, amount, None)
            payment = self._providers[provider].pay(**order)
        amounts = PaymentAmounts(amount)
        for after_seconds, change in kind.changes:
            self._at(after_seconds, self._change(provider, payment, amounts.of(change)))
        if registers:
            self._at(_LATER, lambda: self._charge(merchant, name, payment, amount))

    def _at(self, after_seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + after_seconds, next(self._order), action))

    def _change(self, provider: str, payment: str, details: Mapping[str, Any]) -> Callable[[], None]:
        def change() -> None:
            self._providers[provider].change(payment, **details)

        return change

    # --- the shops -----------------------------------------------------------------------------------------

    def _announce(self, provider: str, merchant: str, name: str, amount: int, payment: str | None) -> None:
        final_by = timedelta(seconds=_MISSED_AFTER[provider])
        self._said.put(
            lambda: self._shop.expects(
                merchant, name, amount, _CURRENCY[provider], final_by=final_by, payment_id=payment
            )
        )

    def _charge(self, merchant: str, name: str, reference: str, amount: int) -> None:
        self.charged += 1
        request = {
            "request_id": f"again-{name}",
            "merchant": merchant,
            "action": "charge",
            "order_id": f"{name}R",
            "reference_payment_id": reference,
            "amount": {"value": amount, "currency": "HUF"},
            "capture": "now",
        }
        key = f"{merchant}/again-{name}".encode()
        self._said.put(lambda: self._producer.send(self._requested, orjson.dumps(request), key).get(_SEND_SECONDS))

    def _say_all(self) -> None:
        """Write what the shops say in its order, each until the brokers have it, however long that takes."""
        while (say := self._said.get()) is not None:
            while True:
                try:
                    say()
                    break
                except KafkaError:
                    time.sleep(0.2)
