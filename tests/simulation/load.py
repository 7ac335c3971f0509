"""What comes from outside: the providers' calls as the ingress stores them, and what the shops announce."""

from __future__ import annotations

from typing import Final

from paynotify.schemas import topics
from tests.simulation.broker import Broker, Headers
from tests.simulation.gateways import CURRENCY, Nevogate, OmniKassa, stamp
from tests.simulation.lot import Lot
from tests.simulation.plan import (
    DUPLICATE_SHARE,
    MERCHANTS,
    Call,
    Garbage,
    Payment,
    Plan,
    ProviderName,
)
from tests.simulation.recurring import Transaction
from tests.simulation.smartpay import SignedEvent, SmartPay
from tests.simulation.timeline import Timeline
from tests.simulation.trustpayments import TrustPayments

_PING_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 5.0


class Load:
    """Lets a plan's items happen when it is their time. ``stored`` counts the calls."""

    def __init__(
        self,
        loop: Timeline,
        broker: Broker,
        lot: Lot,
        trustpayments: TrustPayments,
        nevogate: Nevogate,
        omnikassa: OmniKassa,
        smartpay: SmartPay,
    ) -> None:
        self.loop = loop
        self.broker = broker
        self.trustpayments = trustpayments
        self.nevogate = nevogate
        self.omnikassa = omnikassa
        self.smartpay = smartpay
        self.stored = 0
        self._lot = lot
        self._bodies: dict[tuple[int, int], bytes] = {}

    def begin(self, plan: Plan) -> None:
        """Plan all calls and announcements."""
        for payment in plan.payments:
            for call in payment.calls:
                self.loop.call_without_process(call.at, self._call, payment, call)
            if payment.announcement is not None:
                self.loop.call_without_process(payment.announcement.at, self._announce, payment)
        for garbage in plan.garbage:
            self.loop.call_without_process(garbage.at, self._throw, garbage)
        self.nevogate.recurring.tell = self._told
        for merchant in MERCHANTS["omnikassa"]:
            self.loop.call_without_process(_PING_SECONDS, self._ping_again, merchant)

    def _announce(self, payment: Payment) -> None:
        if not self.broker.up:
            self.loop.call_without_process(_AGAIN_SECONDS, self._announce, payment)
            return
        said = payment.announcement
        assert said is not None
        amount = payment.amount if said.matches else payment.amount + 1
        fields = [
            f'"merchant":"{payment.merchant}","order_id":"{payment.order_id}"',
            f'"amount":{{"value":{amount},"currency":"{CURRENCY}"}},"created_at":"{stamp(said.at)}"',
        ]
        if said.names_payment:
            fields.append(f'"payment_id":"{payment.payment_id}"')
        if said.final_by is not None:
            fields.append(f'"final_by":"{stamp(said.final_by)}"')
        key = f"{payment.merchant}/{payment.order_id}".encode()
        self.broker.append(self.broker.place(topics.EXPECTED, key), key, f"{{{','.join(fields)}}}".encode(), ())

    def _call(self, payment: Payment, call: Call) -> None:
        if not self.broker.up:  # answered 503, so the provider calls again later
            self.loop.call_without_process(_AGAIN_SECONDS, self._call, payment, call)
            return
        merchant, query = payment.merchant, ""
        if payment.provider == "smartpay":
            self._push(merchant, payment.payment_id, self.smartpay.event(payment))
            return
        if payment.provider == "nevogate":
            body, query = self.nevogate.call(payment, call)
        else:
            known = (payment.number, call.change)
            if known not in self._bodies:
                make = self.trustpayments.call if payment.provider == "trustpayments" else self._ping
                self._bodies[known] = make(payment, call)
            body = self._bodies[known]
        key = merchant if payment.provider == "omnikassa" else f"{merchant}/{payment.payment_id}"
        self._store(payment.provider, merchant, key, body, call.style, query)

    def _push(self, merchant: str, order_id: str, event: SignedEvent) -> None:
        self._store("smartpay", merchant, f"{merchant}/{order_id}", event.body, signed=event.headers)

    def _ping(self, payment: Payment, call: Call) -> bytes:
        return self.omnikassa.ping(payment.merchant)

    def _ping_again(self, merchant: str) -> None:
        self.loop.call_without_process(_PING_SECONDS, self._ping_again, merchant)
        if self.omnikassa.waits(merchant) and self.broker.up:
            self._store("omnikassa", merchant, merchant, self.omnikassa.ping(merchant))

    def _told(self, transaction: Transaction) -> None:
        """The gateway calls about a charge, after a while, and often once more."""
        name = transaction.payment_id.encode()
        pause_seconds = 0.05 + 3.0 * self._lot("call", name)
        self.loop.call_without_process(pause_seconds, self._call_about, transaction)
        if self._lot("twice", name) < DUPLICATE_SHARE:
            self.loop.call_without_process(
                pause_seconds + 10.0 * self._lot("again", name), self._call_about, transaction
            )

    def _call_about(self, transaction: Transaction) -> None:
        if not self.broker.up:
            self.loop.call_without_process(_AGAIN_SECONDS, self._call_about, transaction)
            return
        merchant, name = transaction.merchant, transaction.payment_id
        self._store("nevogate", merchant, f"{merchant}/{name}", b"", "GET", f"TransactionId={name}")

    def _throw(self, garbage: Garbage) -> None:
        merchant = "nobody" if garbage.kind == "nobody" else garbage.merchant
        if garbage.kind == "request":
            place = self.broker.place(topics.REQUESTED, merchant.encode())
            self.broker.append(place, merchant.encode(), b'{"request_id":"","merchant":"x"}', ())
            return
        if garbage.kind == "refused":
            form = self.trustpayments.refused(garbage.number, merchant)
            self._store(garbage.provider, merchant, f"{merchant}/refused-{garbage.number}", form)
            return
        if garbage.kind in ("foreign", "unpublished", "changed", "test"):
            self._push(merchant, f"odd-{garbage.number}", self.smartpay.odd_event(garbage))
            return
        forged = f"{garbage.number:032x}"
        body = {
            "bytes": b"\xff\x00%41&&=",
            "other_shape": b'["list"]',
            "nobody": b"{}",
            "alert": b'{"alertUnpaid":{}}',
            "forged": b'{"commonData":{"transactionId":"%b"}}' % forged.encode(),
            "unsigned": b'{"poiId":"2004"}',
        }[garbage.kind]
        self._store(garbage.provider, merchant, f"{merchant}/{forged}", body)

    def _store(
        self,
        provider: ProviderName,
        merchant: str,
        key: str,
        body: bytes,
        method: str = "POST",
        query: str = "",
        signed: Headers = (),
    ) -> None:
        """As the ingress stores a call."""
        self.stored += 1
        topic = topics.notifications(provider)
        headers = (
            ("ce_specversion", b"1.0"),
            ("ce_id", b"00000000-0000-7000-8000-%012d" % self.stored),
            ("ce_source", f"/notifications/{provider}/{merchant}".encode()),
            ("ce_type", b"payment.notification.received.v1"),
            ("ce_time", stamp(self.loop.now).encode()),
            ("content-type", b"application/json"),
            ("http-method", method.encode()),
            ("http-query", query.encode()),
            ("traceparent", b"00-%032x-%016x-01" % (self.stored, self.stored)),
            *signed,
        )
        self.broker.append(self.broker.place(topic, key.encode()), key.encode(), body, headers)
