"""Trust Payments as its help pages describe it: signed form posts that are re-sent, a silent batch each night, and
TRANSACTIONQUERY."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from paynotify.sandbox.simulators.base import Simulator, SimulatorRequest, SimulatorResponse
from paynotify.sandbox.simulators.ledger import Truth
from paynotify.sandbox.simulators.trustpayments.batch import after_night
from paynotify.sandbox.simulators.trustpayments.clock import GatewayClock
from paynotify.sandbox.simulators.trustpayments.query import GatewayRecord
from paynotify.sandbox.simulators.trustpayments.records import base_record, child_of, opened
from paynotify.sandbox.simulators.trustpayments.responses import MESSAGES
from paynotify.sandbox.simulators.trustpayments.rules import RULES
from paynotify.sandbox.simulators.trustpayments.settings import (
    Night,
    TrustPaymentsChange,
    TrustPaymentsPayment,
    TrustPaymentsSettings,
    TrustPaymentsShop,
)
from paynotify.sandbox.simulators.trustpayments.signature import security_hash
from paynotify.sandbox.simulators.trustpayments.truth import judge, status_of
from paynotify.sandbox.simulators.trustpayments.webservices import Entries, Entry, WebServices
from paynotify.sandbox.simulators.webhooks import Delivery
from paynotify.schemas.errors import ProviderRefusedError

_DEFAULT_FIELDS: Final = (
    "transactionreference",
    "requestreference",
    "orderreference",
    "sitereference",
    "errorcode",
    "settlestatus",
    "paymenttypedescription",
)
_FORM: Final = "application/x-www-form-urlencoded; charset=UTF-8"
_RESEND_GROWTH: Final = 2.0
_MAX_RESEND_SECONDS: Final = 3600.0


class TrustPaymentsSimulator(Simulator[TrustPaymentsSettings]):
    """Requests are told of as the site's rules say, and settle at night without a word; queries see them late."""

    provider = "trustpayments"

    def __init__(self, settings: TrustPaymentsSettings) -> None:
        super().__init__(settings)
        self._shops = {shop.merchant: shop for shop in settings.shops}
        self._entries = Entries()
        self._clock = GatewayClock(settings.day_seconds, settings.first_day_at)
        self._web_services = WebServices(settings.shops, self._entries, self.book.counters)
        self._reversed: set[str] = set()
        self._number = 2_000_000 + self.chance.randrange(100_000)
        self._notification_number = 0xA00000

    def api(self, request: SimulatorRequest) -> SimulatorResponse:
        self._settle_due()
        return self._web_services.answer(request)

    # --- control -------------------------------------------------------------------------------------------

    def create(self, order: dict[str, Any]) -> dict[str, Any]:
        new = msgspec.convert(order, TrustPaymentsPayment)
        self._settle_due()
        shop = self._shops.get(new.merchant) or next(iter(self._shops.values()))
        if new.merchant and new.merchant != shop.merchant:
            raise ProviderRefusedError("refused", f"no site for {new.merchant}")
        kind = "ACCOUNTCHECK" if new.request == "ACCOUNTCHECK" else "AUTH"
        record = opened(self._record(shop, kind, new.amount), new)
        late_seconds = new.visible_after_seconds
        if late_seconds is None:
            late_seconds = self.scaled(self.chance.uniform(0, self.settings.visible_within_seconds))
        is_payment = new.request == "AUTH" and not new.refused
        truth = self._opened(record, shop, new.amount, new.currency) if is_payment else None
        entry = Entry(record, shop, truth, time.monotonic() + late_seconds, refused=new.refused)
        self._settled(self._entries.add(entry))
        self._tell_of_request(entry, new.notify, new.copies, new.notify_after_seconds)
        return {"payment_id": entry.reference}

    def change(self, payment_id: str, change: dict[str, Any]) -> dict[str, Any]:
        wanted = msgspec.convert(change, TrustPaymentsChange)
        self._settle_due()
        entry = self._entries.by_reference.get(payment_id)
        if entry is None:
            raise ProviderRefusedError("refused", f"no transaction {payment_id}")
        child = self._child(entry, wanted)
        if child is not None:
            self._tell_of_request(child, wanted.notify, wanted.copies, wanted.notify_after_seconds)
        elif wanted.reversed:
            self._reversed.add(entry.reference)
            self._settled(entry)
        else:
            self._update(entry, wanted)
        told = child or entry
        return {
            "payment_id": told.truth.payment_id if told.truth else told.reference,
            "transactionreference": told.reference,
        }

    def night(self, details: dict[str, Any]) -> dict[str, Any]:
        """Let nights pass: the batch settles what is due, and only a rule on the settle status tells of it."""
        settled = self._settle_due()
        for _ in range(msgspec.convert(details, Night).days):
            self._clock.next_day()
            settled += self._settle_due()
        return {"today": self._clock.today.isoformat(), "settled": settled}

    def summary(self) -> dict[str, Any]:
        """The gateway's date and, where nights come by themselves, how many requests one of the next will change."""
        self._settle_due()
        today = {"today": self._clock.today.isoformat()}
        if self.settings.day_seconds is None:
            return today
        open_still = sum(after_night(one.record, date.max) is not None for one in self._entries.by_reference.values())
        return {**today, "unsettled": open_still}

    # --- requests ------------------------------------------------------------------------------------------

    def _record(self, shop: TrustPaymentsShop, kind: str, amount: int) -> GatewayRecord:
        self._number += self.chance.randint(1, 9)
        record = base_record(shop, f"57-9-{self._number}", kind, amount, self.chance, self._clock.text())
        return record | self.settings.planted

    def _opened(self, record: GatewayRecord, shop: TrustPaymentsShop, amount: int, currency: str) -> Truth:
        return self.book.open(
            Truth(
                payment_id=record["transactionreference"],
                merchant=shop.merchant,
                order_id=record["orderreference"],
                status=status_of(record),
                amount=amount,
                currency=currency,
            )
        )

    def _child(self, parent: Entry, wanted: TrustPaymentsChange) -> Entry | None:
        """The child that the change asks for; None where it asks for none."""
        if wanted.refund is not None:
            return self._add_child(parent, "REFUND", wanted.refund, {"settlestatus": wanted.refund_settlestatus})
        if wanted.payout is not None:
            return self._add_child(parent, "REFUND", wanted.payout, {"accounttypedescription": "CFT"})
        if wanted.chargeback:
            truth = parent.truth
            left = truth.paid - truth.refunded - truth.charged_back if truth else 0
            amount = left if wanted.chargeback is True else int(wanted.chargeback)
            return self._add_child(parent, "CHARGEBACK", amount, {"settlestatus": "100"})
        if wanted.shipment is not None:
            split = {name: parent.record[name] for name in ("authmethod", "splitfinalnumber")}
            return self._add_payment(parent, wanted.shipment, split)
        if wanted.repeat is not None:
            kind = "INSTALLMENT" if wanted.installment else "RECURRING"
            number = str(2 + sum("subscriptionnumber" in one.record for one in parent.children))
            recur = {"accounttypedescription": "RECUR", "subscriptionnumber": number, "subscriptiontype": kind}
            return self._add_payment(parent, wanted.repeat, recur)
        return None

    def _add_child(self, parent: Entry, kind: str, amount: int, changes: Mapping[str, str]) -> Entry:
        record = child_of(parent.record, self._record(parent.shop, kind, amount), changes)
        child = Entry(record, parent.shop, parent.truth, time.monotonic(), parent=parent)
        self._settled(self._entries.add(child))
        return child

    def _add_payment(self, parent: Entry, amount: int, changes: Mapping[str, str]) -> Entry:
        """A child that is a payment of its own, of the parent's order."""
        record = child_of(parent.record, self._record(parent.shop, "AUTH", amount), changes)
        currency = parent.truth.currency if parent.truth else record["currencyiso3a"]
        truth = self._opened(record, parent.shop, amount, currency)
        return self._entries.add(Entry(record, parent.shop, truth, time.monotonic(), parent=parent))

    def _update(self, entry: Entry, wanted: TrustPaymentsChange) -> None:
        """Change the request itself, and tell of it if the change or a rule of the site says so."""
        if wanted.errorcode is not None:
            entry.record.update(errorcode=wanted.errorcode, errormessage=MESSAGES.get(wanted.errorcode, "Other"))
        if wanted.settles is not None:
            entry.record["settlebaseamount"] = str(wanted.settles)
        if wanted.settlestatus is not None:
            entry.record["settlestatus"] = wanted.settlestatus
        self._settled(entry)
        if self._wanted_by_rules(entry, wanted.notify):
            self._notify(entry, wanted.copies, wanted.notify_after_seconds)

    # --- settlement ----------------------------------------------------------------------------------------

    def _settle_due(self) -> int:
        """The batch of every night that is over; returns how many requests it changed."""
        changed = 0
        for night in self._clock.nights_over():
            for entry in self._entries.by_reference.values():
                settlestatus = after_night(entry.record, night)
                if settlestatus is not None:
                    changed += 1
                    self._update(entry, TrustPaymentsChange(settlestatus=settlestatus))
        return changed

    def _settled(self, entry: Entry) -> None:
        """The ledger's payment follows from this record and its relatives."""
        if entry.record["settlestatus"] == "100" and "settledtimestamp" not in entry.record:
            entry.record["settledtimestamp"] = self._clock.text()
        if entry.truth is None:
            return
        payment = self._entries.by_reference[entry.truth.payment_id]
        family = [*payment.children, *(grandchild for child in payment.children for grandchild in child.children)]
        own = [one.record for one in family if one.truth is entry.truth]
        judge(entry.truth, payment.record, own, self._reversed)

    # --- notifications -------------------------------------------------------------------------------------

    def _tell_of_request(self, entry: Entry, notify: bool | None, copies: int, after_seconds: float) -> None:
        for rule in entry.shop.rules if notify is not False else ():
            if RULES[rule].tells_of_request(entry.record):
                self._notify(entry, copies, after_seconds)
                notify = None
        if notify:
            self._notify(entry, copies, after_seconds)

    def _wanted_by_rules(self, entry: Entry, notify: bool | None) -> bool:
        """Whether a changed settle status is told of."""
        if notify is not None:
            return notify
        return any(RULES[rule].tells_of_settlement(entry.record) for rule in entry.shop.rules)

    def _notify(self, entry: Entry, copies: int, after_seconds: float) -> None:
        body = self._form(entry.shop, entry.record)
        for _ in range(copies):
            self.webhooks.send(
                Delivery(
                    merchant=entry.shop.merchant,
                    body=body,
                    content_type=_FORM,
                    about=entry.reference,
                    done=self._delivered,
                ),
                after_seconds=after_seconds,
            )

    def _form(self, shop: TrustPaymentsShop, record: GatewayRecord) -> bytes:
        """The form as it is sent now; a re-send repeats it byte for byte, although the record may have changed."""
        names = dict.fromkeys((*_DEFAULT_FIELDS, *shop.extra_fields, *shop.custom_fields))
        fields = {name: record[name] for name in names if name in record}
        self._notification_number += 1
        fields["notificationreference"] = f"57-{self._notification_number:X}"
        if shop.site_security:
            fields["responsesitesecurity"] = security_hash(fields, shop.notification_password)
        self.book.counters["notifications"] += 1
        return urlencode(sorted(fields.items())).encode()

    def _delivered(self, delivery: Delivery, status: int | None) -> None:
        if status == 200:
            return
        if delivery.age_seconds > self.scaled(self.settings.resend_until_seconds):
            self.book.counters["notifications.given_up"] += 1
            return
        growth = _RESEND_GROWTH ** min(delivery.attempts - 1, 10)
        after_seconds = min(self.settings.resend_after_seconds * growth, _MAX_RESEND_SECONDS)
        self.book.counters["notifications.resent"] += 1
        self.webhooks.again(delivery, after_seconds=self.scaled(after_seconds))
