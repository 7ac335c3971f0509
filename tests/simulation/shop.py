"""The shops that charge by topic: they write what they want, and read what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from paynotify.schemas import topics
from tests.simulation.broker import Broker, Place
from tests.simulation.gateways import CURRENCY, stamp
from tests.simulation.plan import Charge, Plan
from tests.simulation.timeline import Timeline

_AGAIN_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the shop means it. ``order`` is the charge it is about."""

    name: str
    action: str
    order: Charge
    rival: bool = False


class Shop:
    """Writes a plan's charges when it is their time. ``asked`` is all that was written, by merchant and request."""

    def __init__(self, loop: Timeline, broker: Broker) -> None:
        self.asked: dict[str, Asked] = {}
        self._loop = loop
        self._broker = broker
        self._charges: dict[str, Charge] = {}
        self._closed: set[str] = set()
        self._read: dict[Place, int] = {}

    def begin(self, plan: Plan) -> None:
        """Plan all requests."""
        for charge in plan.charges:
            self._charges[charge.order_id] = charge
            for at in charge.asked_at:
                self._loop.call_without_process(at, self._charge, charge, False)
            if charge.rival_at is not None:
                self._loop.call_without_process(charge.rival_at, self._charge, charge, True)
        for number in range(self._broker.partitions(topics.REQUESTS)):
            self._wait_for_news((topics.REQUESTS, number))

    def _charge(self, charge: Charge, rival: bool) -> None:
        fields: dict[str, Any] = {
            "request_id": f"{'rival' if rival else 'charge'}-{charge.number}",
            "action": "charge",
            "order_id": charge.order_id,
            "reference_payment_id": charge.reference.payment_id,
            "user_id": "customer",
            "amount": {"value": charge.amount, "currency": CURRENCY},
            "capture": charge.capture,
        }
        if charge.expires_at is not None:
            fields["expires_at"] = stamp(charge.expires_at)
        self._write(charge, fields, rival)

    def _close(self, charge: Charge, payment_id: str) -> None:
        action = "release" if charge.closing == "release" else "capture"
        fields: dict[str, Any] = {"request_id": f"close-{charge.number}", "action": action, "payment_id": payment_id}
        if charge.closing == "part":
            fields["amount"] = {"value": charge.amount // 2, "currency": CURRENCY}
        self._write(charge, fields, False)
        if charge.number % 5 == 0:  # somebody else wants the contrary
            contrary = {"capture": "release", "release": "capture"}[action]
            rival = {"request_id": f"rival-close-{charge.number}", "action": contrary, "payment_id": payment_id}
            self._loop.call_without_process(charge.closing_seconds, self._write, charge, rival, True)

    def _write(self, charge: Charge, fields: dict[str, Any], rival: bool) -> None:
        if not self._broker.up:
            self._loop.call_without_process(_AGAIN_SECONDS, self._write, charge, fields, rival)
            return
        name = f"{charge.merchant}/{fields['request_id']}"
        self.asked[name] = Asked(name, fields["action"], charge, rival)
        key = name.encode()
        value = orjson.dumps({"merchant": charge.merchant, **fields})
        self._broker.append(self._broker.place(topics.REQUESTED, key), key, value, ())

    # --- what it hears --------------------------------------------------------------------------------------

    def _wait_for_news(self, place: Place) -> None:
        self._broker.read_on(place, lambda: self._news(place))

    def _news(self, place: Place) -> None:
        log, start = self._broker.log(place), self._read.get(place, 0)
        self._read[place] = len(log)
        for record in log[start:]:
            event = orjson.loads(record.value or b"")
            charge = self._charges.get(event["order_id"] or "")
            held = event["action"] == "charge" and event["state"] == "done" and event["status"] == "authorised"
            if charge is not None and held and charge.closing and charge.order_id not in self._closed:
                self._closed.add(charge.order_id)
                self._loop.call_without_process(
                    charge.closing_seconds + 0.001, self._close, charge, event["payment_id"]
                )
        self._wait_for_news(place)
