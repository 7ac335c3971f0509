"""Trust Payments as its help pages describe it: signed form posts that are re-sent, and TRANSACTIONQUERY."""

from __future__ import annotations

import hmac
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from sandbox.simulators.base import Simulator, SimulatorRequest, SimulatorResponse
from sandbox.simulators.ledger import Truth
from sandbox.simulators.trustpayments.query import GatewayRecord, filter_values, matches
from sandbox.simulators.trustpayments.responses import (
    MESSAGES,
    UNCERTAIN,
    error,
    gateway_time,
    query_response,
    status_of,
)
from sandbox.simulators.trustpayments.settings import (
    TrustPaymentsChange,
    TrustPaymentsPayment,
    TrustPaymentsSettings,
    TrustPaymentsShop,
)
from sandbox.simulators.trustpayments.signature import security_hash
from sandbox.simulators.webhooks import Delivery
from schemas.errors import ProviderRefusedError

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
_MAX_RECORDS: Final = 500
_RESEND_GROWTH: Final = 2.0
_MAX_RESEND_SECONDS: Final = 3600.0

_RULES: Final[Mapping[str, Callable[[GatewayRecord], bool]]] = {
    "STR-8": lambda record: record["errorcode"] == "0",
    "STR-9": lambda record: record["errorcode"] != "0",
    "STR-10": lambda record: True,
}


@dataclass(slots=True)
class _Entry:
    """One request at the gateway: its record, and whose payment it belongs to."""

    record: GatewayRecord
    truth: Truth
    visible_seconds: float


class TrustPaymentsSimulator(Simulator[TrustPaymentsSettings]):
    """Payments are authorised, settled, cancelled, refunded; each step may notify; queries see them late."""

    provider = "trustpayments"

    def __init__(self, settings: TrustPaymentsSettings) -> None:
        super().__init__(settings)
        self._shops = {shop.merchant: shop for shop in settings.shops}
        self._entries: dict[str, _Entry] = {}
        self._of_order: dict[str, list[_Entry]] = defaultdict(list)
        self._number = 2_000_000 + self.chance.randrange(100_000)
        self._notification_number = 0xA00000

    # --- control -------------------------------------------------------------------------------------------

    def create(self, order: dict[str, Any]) -> dict[str, Any]:
        new = msgspec.convert(order, TrustPaymentsPayment)
        shop = self._shops.get(new.merchant) or next(iter(self._shops.values()))
        if new.merchant and new.merchant != shop.merchant:
            raise ProviderRefusedError("refused", f"no site for {new.merchant}")
        settlestatus = new.settlestatus or ("0" if new.errorcode in {"0", *UNCERTAIN} else "3")
        truth = Truth(
            payment_id=self._reference(),
            merchant=shop.merchant,
            order_id=new.order_id,
            status="pending",
            amount=new.amount,
            currency=new.currency,
        )
        record = self._record(shop, truth.payment_id, truth, "AUTH", new.amount)
        record.update(
            errorcode=new.errorcode,
            settlestatus=settlestatus,
            paymenttypedescription=new.payment_type,
            errormessage=MESSAGES.get(new.errorcode, "Other"),
        )
        if new.started_at is not None:
            record["transactionstartedtimestamp"] = new.started_at
        if new.errorcode != "0":
            record.update(authcode="", acquirerresponsecode="05")
        truth.status = status_of(record)
        self.book.open(truth)
        late_seconds = new.visible_after_seconds
        if late_seconds is None:
            late_seconds = self.scaled(self.chance.uniform(0, self.settings.visible_within_seconds))
        entry = self._enter(_Entry(record, truth, time.monotonic() + late_seconds))
        self._settled(entry)
        if new.notify:
            self._notify(shop, record, new.copies, new.notify_after_seconds)
        return {"payment_id": truth.payment_id}

    def change(self, payment_id: str, change: dict[str, Any]) -> dict[str, Any]:
        wanted = msgspec.convert(change, TrustPaymentsChange)
        entry = self._entries.get(payment_id)
        if entry is None:
            raise ProviderRefusedError("refused", f"no transaction {payment_id}")
        shop = self._shops[entry.truth.merchant]
        if wanted.refund is not None:
            entry = self._child(shop, entry, "REFUND", wanted.refund, wanted.refund_settlestatus)
        elif wanted.chargeback:
            entry = self._child(shop, entry, "CHARGEBACK", entry.truth.paid - entry.truth.refunded, "100")
        else:
            if wanted.errorcode is not None:
                entry.record.update(errorcode=wanted.errorcode, errormessage=MESSAGES.get(wanted.errorcode, "Other"))
            if wanted.settlestatus is not None:
                entry.record["settlestatus"] = wanted.settlestatus
            self._settled(entry)
        if wanted.notify:
            self._notify(shop, entry.record, wanted.copies, wanted.notify_after_seconds)
        return {
            "payment_id": entry.truth.payment_id,
            "transactionreference": entry.record["transactionreference"],
        }

    def _settled(self, entry: _Entry) -> None:
        """The payment's true state follows from this record."""
        record, truth = entry.record, entry.truth
        if record["settlestatus"] == "100" and "settledtimestamp" not in record:
            record["settledtimestamp"] = gateway_time()
        kind = record["requesttypedescription"]
        if kind == "AUTH":
            if truth.refunded == 0 and truth.status != "charged_back":
                truth.becomes(status_of(record))
            truth.paid = truth.amount if record["settlestatus"] == "100" else 0
        elif kind == "CHARGEBACK":
            truth.becomes("charged_back")
        elif record["settlestatus"] == "100":
            truth.refunded += int(record["baseamount"])
            truth.becomes("refunded" if truth.refunded >= truth.paid else "partially_refunded")

    def _child(self, shop: TrustPaymentsShop, parent: _Entry, kind: str, amount: int, settlestatus: str) -> _Entry:
        reference = self._reference()
        record = self._record(shop, reference, parent.truth, kind, amount)
        record.update(
            parenttransactionreference=parent.record["transactionreference"],
            settlestatus=settlestatus,
            paymenttypedescription=parent.record["paymenttypedescription"],
        )
        child = self._enter(_Entry(record, parent.truth, time.monotonic()))
        self._settled(child)
        return child

    def _enter(self, entry: _Entry) -> _Entry:
        self._entries[entry.record["transactionreference"]] = entry
        self._of_order[entry.record["orderreference"]].append(entry)
        return entry

    def _reference(self) -> str:
        self._number += self.chance.randint(1, 9)
        return f"57-9-{self._number}"

    def _record(self, shop: TrustPaymentsShop, reference: str, truth: Truth, kind: str, amount: int) -> GatewayRecord:
        now = gateway_time()
        return {
            "requesttypedescription": kind,
            "transactionreference": reference,
            "orderreference": truth.order_id,
            "sitereference": shop.site_reference,
            "errorcode": "0",
            "errormessage": "Ok",
            "settlestatus": "0",
            "baseamount": str(amount),
            "settlebaseamount": str(amount),
            "currencyiso3a": truth.currency,
            "accounttypedescription": "ECOM",
            "paymenttypedescription": "VISA",
            "settleduedate": now[:10],
            "transactionstartedtimestamp": now,
            "interface": "PASS-JSON-JSON",
            "acquirerresponsecode": "00",
            "authcode": "TEST" + str(self.chance.randrange(10, 99)),
            "livestatus": "0",
            "maskedpan": "400000######1000",
            "expirydate": "12/2031",
            "issuer": "TEST ISSUER",
            "issuercountryiso2a": "ZZ",
            "merchantname": "Sandbox",
            "merchantcountryiso2a": "GB",
            "merchantnumber": "00000000",
            "operatorname": shop.username,
            "tid": "27880001",
            "dccenabled": "0",
            "splitfinalnumber": "1",
            "securityresponseaddress": "2",
            "securityresponsepostcode": "2",
            "securityresponsesecuritycode": "2",
            "requestreference": "A" + self.chance.randbytes(4).hex(),
            **self.settings.planted,
        }

    # --- notifications -------------------------------------------------------------------------------------

    def _notify(self, shop: TrustPaymentsShop, record: GatewayRecord, copies: int, after_seconds: float) -> None:
        for rule in shop.rules:
            if _RULES[rule](record):
                body = self._form(shop, record)
                for _ in range(copies):
                    self.webhooks.send(
                        Delivery(
                            merchant=shop.merchant,
                            body=body,
                            content_type=_FORM,
                            about=record["transactionreference"],
                            done=self._delivered,
                        ),
                        after_seconds=after_seconds,
                    )

    def _form(self, shop: TrustPaymentsShop, record: GatewayRecord) -> bytes:
        """The form as it is sent now; a re-send repeats it byte for byte, although the record may have changed."""
        names = (*_DEFAULT_FIELDS, *shop.extra_fields)
        fields = {name: record[name] for name in names if name in record}
        self._notification_number += 1
        fields["notificationreference"] = f"57-{self._notification_number:X}"
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

    # --- TRANSACTIONQUERY ----------------------------------------------------------------------------------

    def api(self, request: SimulatorRequest) -> SimulatorResponse:
        if request.path != "/json/" or request.method != "POST":
            return SimulatorResponse(404, b"", "text/plain")
        shop = self._authenticated(request)
        if shop is None:
            self.book.counters["unauthorised"] += 1
            return SimulatorResponse(401, b"Unauthorized", "text/plain")
        try:
            body = json.loads(request.body)
            asked = body["request"]
            requests = asked if isinstance(asked, list) else [asked]
            alias, reference = body.get("alias"), requests[0].get("requestreference", "")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return query_response("", [error("60018", "Invalid request")])
        if alias not in (None, shop.username):
            return query_response(reference, [error("30000", "Invalid field", "alias")])
        self.book.counters["queries"] += 1
        return query_response(reference, [self._query(one, shop) for one in requests])

    def _authenticated(self, request: SimulatorRequest) -> TrustPaymentsShop | None:
        offered = request.basic()
        for shop in self._shops.values():
            wanted = (shop.username, shop.password)
            if offered and all(
                hmac.compare_digest(a.encode(), b.encode()) for a, b in zip(offered, wanted, strict=True)
            ):
                return shop
        return None

    def _query(self, query: Any, shop: TrustPaymentsShop) -> dict[str, Any]:
        if not isinstance(query, dict):
            return error("60018", "Invalid request")
        kinds = query.get("requesttypedescriptions")
        if "requesttypedescription" in query and kinds is not None:
            return error("60040", "Conflicting request types")
        if (kinds or [query.get("requesttypedescription")]) != ["TRANSACTIONQUERY"]:
            return error("60023", "Unsupported request type")
        try:
            wanted = filter_values(query.get("filter"))
        except ValueError as wrong:
            return error("60019", "Invalid filter", str(wrong))
        if not wanted:
            return error("60019", "No filter")
        if any(site != shop.site_reference for site in wanted.get("sitereference", ())):
            return error("30000", "Invalid field", "sitereference")
        found = self._found(wanted, shop)
        self.book.counters["records"] += len(found)
        answer: dict[str, Any] = {
            "errorcode": "0",
            "errormessage": "Ok",
            "requesttypedescription": "TRANSACTIONQUERY",
            "transactionstartedtimestamp": gateway_time(),
            "found": str(len(found)),
        }
        if found:  # no records at all is how the gateway says "not found"
            answer["records"] = found
        return answer

    def _found(self, wanted: Mapping[str, list[str]], shop: TrustPaymentsShop) -> list[GatewayRecord]:
        if "transactionreference" in wanted:
            references = dict.fromkeys(wanted["transactionreference"])
            candidates = [self._entries[one] for one in references if one in self._entries]
        elif "orderreference" in wanted:
            candidates = [entry for one in dict.fromkeys(wanted["orderreference"]) for entry in self._of_order[one]]
        else:
            candidates = list(self._entries.values())
        now = time.monotonic()
        found = []
        for entry in candidates:
            own = entry.truth.merchant == shop.merchant
            if own and entry.visible_seconds <= now and matches(entry.record, wanted):
                found.append(entry.record)
        return found[:_MAX_RECORDS]
