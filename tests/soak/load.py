"""The customers and shops of a soak: orders announced and paid at a constant rate, some changed until they are final.

Every payment ends in a final status. Which kind is next follows from the seed.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from kafka import KafkaProducer

from paynotify.sandbox.simulators.control import Control
from paynotify.schemas import topics
from paynotify.schemas.times import rfc3339

MERCHANTS: Final = {"omnikassa": ("shop-nl",), "trustpayments": ("shop-uk",), "nevogate": ("shop-hu",)}
_CURRENCY: Final = {"omnikassa": "EUR", "trustpayments": "GBP", "nevogate": "HUF"}
#: Which part of the payments is whose.
SHARE: Final = {"omnikassa": 0.2, "trustpayments": 0.4, "nevogate": 0.4}

_FINAL_WITHIN: Final = timedelta(minutes=10)
_TURN_SECONDS: Final = 0.1
_JOIN_SECONDS: Final = 60.0
_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of payment: how often it is made, how it begins, and its changes after so many seconds."""

    weight: int
    order: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[tuple[float, Mapping[str, Any]], ...] = ()


KINDS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "omnikassa": (
        Kind(6, {"status": "COMPLETED"}),
        Kind(2, {"status": "IN_PROGRESS"}, ((5.0, {"status": "COMPLETED"}),)),
        Kind(2, {"status": "CANCELLED"}),
    ),
    "trustpayments": (
        Kind(6, {"settlestatus": "100"}),
        Kind(2, {}, ((5.0, {"settlestatus": "100", "notify": True}),)),
        Kind(2, {"errorcode": "70000"}),
    ),
    "nevogate": (
        Kind(6, {"response_url": False}),
        Kind(2, {"result": "PENDING", "response_url": False, "notify": True}, ((5.0, {"result": "SUCCESSFUL"}),)),
        Kind(2, {"result": "CANCELED", "response_url": False}),
    ),
}

#: States a payment goes through, on the average; each may become a result.
STATES_PER_PAYMENT: Final = 1.2


class Load:
    """Pays at a rate until it is told to stop; what was begun is brought to its end by `finish`."""

    def __init__(
        self, providers: Mapping[str, Control], bootstrap: str, prefix: str, *, seed: int, rate: float
    ) -> None:
        """``rate`` is in payments a second, of all providers together."""
        self._stopped = threading.Event()
        producer = KafkaProducer(bootstrap_servers=bootstrap.split(","), acks="all", linger_ms=20)
        self._producer = producer
        self._customers = [
            _Customers(control, producer, prefix + topics.EXPECTED, random.Random(f"{seed} {name}"), rate * SHARE[name])
            for name, control in providers.items()
        ]
        self._threads = [
            threading.Thread(target=one.pay_until, args=(self._stopped,), daemon=True) for one in self._customers
        ]

    @property
    def made(self) -> int:
        """Payments made so far."""
        return sum(one.made for one in self._customers)

    @property
    def behind_seconds(self) -> float:
        """How far the customers that are furthest behind their rate are behind it."""
        return max(one.behind_seconds for one in self._customers)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """No more payments; returns when all are final at the providers. Raises what went wrong meanwhile."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)
        self._producer.close()
        self.check()

    def check(self) -> None:
        """Raise what has stopped a customer."""
        for one in self._customers:
            if one.error is not None:
                raise one.error


class _Customers:
    """Those of one provider: one thread, which pays for what has become due and then sleeps a little."""

    def __init__(
        self,
        control: Control,
        producer: KafkaProducer,
        expected: str,
        chance: random.Random,
        rate: float,
        orders: str = "SOAK",
    ) -> None:
        self._orders = orders
        self._control = control
        self._producer = producer
        self._expected = expected
        self._chance = chance
        self._rate = rate
        self._kinds = KINDS[control.provider]
        self._weights = [kind.weight for kind in self._kinds]
        self._merchant = MERCHANTS[control.provider][0]
        self._due: list[tuple[float, int, str, Mapping[str, Any]]] = []
        self._number = itertools.count()
        self.made = 0
        self.behind_seconds = 0.0
        self.error: Exception | None = None

    def pay_until(self, stopped: threading.Event) -> None:
        try:
            began = time.monotonic()
            while not stopped.is_set():
                wanted = int((time.monotonic() - began) * self._rate) - self.made
                self.behind_seconds = wanted / self._rate
                self.pay(min(wanted, _AT_ONCE))
                self._change(time.monotonic())
                if wanted <= _AT_ONCE:
                    stopped.wait(_TURN_SECONDS)
            self._change(float("inf"))
        except Exception as error:  # noqa: BLE001 - raised by `finish` in the run's own thread
            self.error = error

    def pay(self, count: int, *, with_changes: bool = True) -> None:
        """Announce and pay so many orders; their changes become due."""
        if count <= 0:
            return
        kinds = self._chance.choices(self._kinds, self._weights, k=count)
        if not with_changes:
            kinds = [self._kinds[0]] * count
        numbers = range(self.made, self.made + count)
        orders = [
            {
                "merchant": self._merchant,
                "order_id": f"{self._orders}{number:08d}",
                "amount": 500 + number % 50_000,
                **kind.order,
            }
            for number, kind in zip(numbers, kinds, strict=True)
        ]
        named = self._control.provider == "omnikassa"  # the bank names a payment when the order is made
        if not named:
            self._announce(orders, [None] * count)
        payments = self._control.pay_all(orders)
        if named:
            self._announce(orders, payments)
        self.made += count
        for payment, kind in zip(payments, kinds, strict=True):
            for after_seconds, change in kind.changes:
                heapq.heappush(self._due, (time.monotonic() + after_seconds, next(self._number), payment, change))

    def _change(self, until: float) -> None:
        """Carry out the changes that are due; with no end, wait until none is left."""
        while self._due and (self._due[0][0] <= until or until == float("inf")):
            due, _, payment, change = heapq.heappop(self._due)
            time.sleep(max(0.0, due - time.monotonic()))
            self._control.change(payment, **change)

    def _announce(self, orders: Sequence[Mapping[str, Any]], payments: Sequence[str | None]) -> None:
        now = datetime.now(UTC)
        for order, payment in zip(orders, payments, strict=True):
            announced = {
                "merchant": self._merchant,
                "order_id": order["order_id"],
                "payment_id": payment,
                "amount": {"value": order["amount"], "currency": _CURRENCY[self._control.provider]},
                "created_at": rfc3339(now),
                "final_by": rfc3339(now + _FINAL_WITHIN),
            }
            self._producer.send(self._expected, orjson.dumps(announced))
        self._producer.flush()


def burst(providers: Mapping[str, Control], bootstrap: str, prefix: str, *, seed: int, payments: int) -> int:
    """So many payments as fast as they can be made, each final from the start; how many they were."""
    producer = KafkaProducer(bootstrap_servers=bootstrap.split(","), acks="all", linger_ms=20)
    made = 0
    for name, control in providers.items():
        customers = _Customers(control, producer, prefix + topics.EXPECTED, random.Random(seed), 1.0, "PEAK")
        share = round(payments * SHARE[name])
        while customers.made < share:
            customers.pay(min(_AT_ONCE, share - customers.made), with_changes=False)
        made += customers.made
    producer.close()
    return made
