"""Trust Payments as its help pages describe it: signed form posts that are re-sent, and TRANSACTIONQUERY."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Meta

from sandbox.simulators.ledger import Truth
from sandbox.simulators.server import (
    Settings,
    SimulatedShop,
    Simulator,
    SimulatorRequest,
    SimulatorResponse,
    json_reply,
)
from sandbox.simulators.webhooks import Delivery
from schemas.errors import ProviderRefusedError
from schemas.status import Status

_DEFAULT_FIELDS: Final = (
    "transactionreference",
    "requestreference",
    "orderreference",
    "sitereference",
    "errorcode",
    "settlestatus",
    "paymenttypedescription",
)
_UNSIGNED_FIELDS: Final = ("notificationreference", "responsesitesecurity")
_FORM: Final = "application/x-www-form-urlencoded; charset=UTF-8"
_MOST_RECORDS: Final = 500
#: The gateway's own form of a time, GMT.
_TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"
_PERIOD: Final = ("starttimestamp", "endtimestamp")
_RESEND_GROWTH: Final = 2.0
_RESEND_MOST_SECONDS: Final = 3600.0

GatewayRecord = dict[str, str]
Rule = Literal["STR-8", "STR-9", "STR-10"]

_RULES: Final[Mapping[str, Callable[[GatewayRecord], bool]]] = {
    "STR-8": lambda record: record["errorcode"] == "0",
    "STR-9": lambda record: record["errorcode"] != "0",
    "STR-10": lambda record: True,
}

_MESSAGES: Final[Mapping[str, str]] = {
    "0": "Ok",
    "70000": "Decline",
    "71000": "Soft Decline",
    "60010": "Unable to process transaction",
    "60034": "Manual investigation required",
    "60022": "Not authenticated",
    "99999": "Unknown error",
}

_AFTER_AUTHORISATION: Final[Mapping[str, Status]] = {
    "0": "authorised",
    "1": "authorised",
    "2": "suspended",
    "3": "cancelled",
    "10": "authorised",
    "100": "captured",
}

_UNCERTAIN: Final = frozenset({"60010", "60034", "70001", "99999", "60020", "62000"})

_FILTERS: Final = (
    "sitereference",
    "transactionreference",
    "orderreference",
    "currencyiso3a",
    "requesttypedescription",
    "starttimestamp",
    "endtimestamp",
)


class TrustPaymentsShop(SimulatedShop):
    """A site, its notification password and its web services user."""

    site_reference: str
    notification_password: str
    username: str
    password: str
    rules: tuple[Rule, ...] = ("STR-10",)
    extra_fields: tuple[str, ...] = ()


class TrustPaymentsSettings(Settings):
    """The gateway's rules, in its own seconds. A record is found up to ``visible_within_seconds`` late."""

    shops: tuple[TrustPaymentsShop, ...]
    resend_after_seconds: float = 60.0
    resend_until_seconds: float = 48 * 3600.0
    visible_within_seconds: float = 5.0


SettleStatus = Literal["0", "1", "2", "3", "10", "100"]


class _TrustPaymentsPayment(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    merchant: str = ""
    order_id: str
    amount: Annotated[int, Meta(ge=0)]
    currency: str = "GBP"
    errorcode: Annotated[str, Meta(pattern="^[0-9]{1,5}$")] = "0"
    settlestatus: SettleStatus | None = None
    payment_type: str = "VISA"
    notify: bool = True
    copies: Annotated[int, Meta(ge=1, le=20)] = 1
    notify_after_seconds: float = 0.0
    visible_after_seconds: float | None = None
    started_at: Annotated[str, Meta(pattern=_TIME)] | None = None


class _TrustPaymentsChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A new settle status (with the code, after an uncertain answer), a refund or a chargeback."""

    settlestatus: SettleStatus | None = None
    errorcode: Annotated[str, Meta(pattern="^[0-9]{1,5}$")] | None = None
    refund: Annotated[int, Meta(ge=1)] | None = None
    refund_settlestatus: SettleStatus = "100"
    chargeback: bool = False
    notify: bool = True
    copies: Annotated[int, Meta(ge=1, le=20)] = 1
    notify_after_seconds: float = 0.0


@dataclass(slots=True)
class _Entry:
    """One request at the gateway: its record, and whose payment it belongs to."""

    record: GatewayRecord
    truth: Truth
    visible_seconds: float


class TrustPaymentsSimulator(Simulator[TrustPaymentsSettings]):
    """Payments are authorised, settled, cancelled, refunded; each step may notify; queries answer late."""

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
        new = msgspec.convert(order, _TrustPaymentsPayment)
        shop = self._shops.get(new.merchant) or next(iter(self._shops.values()))
        if new.merchant and new.merchant != shop.merchant:
            raise ProviderRefusedError("refused", f"no site for {new.merchant}")
        settlestatus = new.settlestatus or ("0" if new.errorcode in {"0", *_UNCERTAIN} else "3")
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
            errormessage=_MESSAGES.get(new.errorcode, "Other"),
        )
        if new.started_at is not None:
            record["transactionstartedtimestamp"] = new.started_at
        if new.errorcode != "0":
            record.update(authcode="", acquirerresponsecode="05")
        truth.status = _status(record)
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
        wanted = msgspec.convert(change, _TrustPaymentsChange)
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
                entry.record.update(errorcode=wanted.errorcode, errormessage=_MESSAGES.get(wanted.errorcode, "Other"))
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
        """The truth follows from what the gateway decided about this record."""
        record, truth = entry.record, entry.truth
        if record["settlestatus"] == "100" and "settledtimestamp" not in record:
            record["settledtimestamp"] = _gateway_time()
        kind = record["requesttypedescription"]
        if kind == "AUTH":
            if truth.refunded == 0 and truth.status != "charged_back":
                truth.becomes(_status(record))
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
        now = _gateway_time()
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
        """The form as it leaves now; a re-send repeats it to the byte, whatever the record has become."""
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
        after_seconds = min(self.settings.resend_after_seconds * growth, _RESEND_MOST_SECONDS)
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
            return _answer("", [_error("60018", "Invalid request")])
        if alias not in (None, shop.username):
            return _answer(reference, [_error("30000", "Invalid field", "alias")])
        self.book.counters["queries"] += 1
        return _answer(reference, [self._query(one, shop) for one in requests])

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
            return _error("60018", "Invalid request")
        kinds = query.get("requesttypedescriptions")
        if "requesttypedescription" in query and kinds is not None:
            return _error("60040", "Conflicting request types")
        if (kinds or [query.get("requesttypedescription")]) != ["TRANSACTIONQUERY"]:
            return _error("60023", "Unsupported request type")
        try:
            wanted = _values(query.get("filter"))
        except ValueError as error:
            return _error("60019", "Invalid filter", str(error))
        if not wanted:
            return _error("60019", "No filter")
        if any(site != shop.site_reference for site in wanted.get("sitereference", ())):
            return _error("30000", "Invalid field", "sitereference")
        found = self._found(wanted, shop)
        self.book.counters["records"] += len(found)
        answer: dict[str, Any] = {
            "errorcode": "0",
            "errormessage": "Ok",
            "requesttypedescription": "TRANSACTIONQUERY",
            "transactionstartedtimestamp": _gateway_time(),
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
            if own and entry.visible_seconds <= now and _matches(entry.record, wanted):
                found.append(entry.record)
        return found[:_MOST_RECORDS]


def security_hash(fields: Mapping[str, str], password: str) -> str:
    """``responsesitesecurity``: values in byte order of their names, then the password, SHA-256."""
    names = sorted(name for name in fields if name not in _UNSIGNED_FIELDS)
    return hashlib.sha256(("".join(fields[name] for name in names) + password).encode()).hexdigest()


def _status(record: GatewayRecord) -> Status:
    code = record["errorcode"]
    if code in _UNCERTAIN:
        return "pending"
    if code != "0":
        return "declined"
    return _AFTER_AUTHORISATION[record["settlestatus"]]


def _gateway_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _values(filters: Any) -> dict[str, list[str]]:
    """The filter's values by field.

    Raises:
        ValueError: naming the field that is wrong.
    """
    wanted = {}
    for name, alternatives in (filters if isinstance(filters, dict) else {}).items():
        if name not in _FILTERS:
            raise ValueError(name)
        try:
            listed = alternatives if isinstance(alternatives, list) else [alternatives]
            wanted[name] = [str(one["value"]) for one in listed]
        except (KeyError, TypeError):
            raise ValueError(name) from None
        if name in _PERIOD and not all(re.match(_TIME, value) for value in wanted[name]):
            raise ValueError(name)
    return wanted


def _matches(record: GatewayRecord, wanted: Mapping[str, list[str]]) -> bool:
    started = record["transactionstartedtimestamp"]
    for name, values in wanted.items():
        if name == "starttimestamp":
            if started < min(values):
                return False
        elif name == "endtimestamp":
            if started > max(values):
                return False
        elif record.get(name) not in values:
            return False
    return True


def _error(code: str, message: str, *data: str) -> dict[str, Any]:
    error: dict[str, Any] = {
        "errorcode": code,
        "errormessage": message,
        "requesttypedescription": "ERROR",
        "transactionstartedtimestamp": _gateway_time(),
    }
    return {**error, "errordata": list(data)} if data else error


def _answer(reference: object, responses: list[dict[str, Any]]) -> SimulatorResponse:
    return json_reply(
        200, {"requestreference": str(reference), "version": "1.00", "response": responses, "secrand": "Z0Xk"}
    )
