"""BIG FISH / Nevogate as its documents describe it: unsigned calls, and a ``Result`` owed for each."""

from __future__ import annotations

import hmac
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from sandbox.simulators.book import Truth
from sandbox.simulators.server import Reply, Request, Settings, Shop, Simulator, json_reply
from sandbox.simulators.webhooks import Delivery
from schemas.errors import ProviderRefused
from schemas.money import exponent
from schemas.status import Status

_USER_AGENT: Final = re.compile(r"(\w+) \| [^|\s]+ \| [^|]+ \| [^|\s]+\Z")
_RESENDS: Final = 10

ResultCode = Literal["SUCCESSFUL", "PENDING", "OPEN", "CANCELED", "TIMEOUT", "ERROR"]
_STATUS: Final[Mapping[str, Status]] = {
    "PENDING": "pending", "OPEN": "pending", "CANCELED": "cancelled", "TIMEOUT": "expired", "ERROR": "failed",
}  # fmt: skip
_MESSAGES: Final[Mapping[str, str]] = {
    "SUCCESSFUL": "Sikeres tranzakció", "PENDING": "Függőben lévő tranzakció",
    "CANCELED": "A tranzakciót a felhasználó megszakította",
}  # fmt: skip


class NevogateShop(Shop):
    """A store and its API key."""

    store_name: str
    api_key: str


class NevogateSettings(Settings):
    """The gateway's rules, in its own seconds. How often it re-sends is not documented; here ten times."""

    shops: tuple[NevogateShop, ...]
    resend_after_seconds: float = 30.0
    signals_within_seconds: float = 2.0


class _NewPayment(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    merchant: str = ""
    order_id: str
    amount: Annotated[int, Meta(ge=0)]
    currency: str = "HUF"
    result: ResultCode = "SUCCESSFUL"
    auto_commit: bool = True
    notify: bool = True
    response_url: bool = True
    copies: Annotated[int, Meta(ge=1, le=20)] = 1


class _Change(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A new result, a hold closed (true charges it, false releases it), or calls somebody else made."""

    result: ResultCode | None = None
    close: bool | None = None
    foreign_calls: Annotated[int, Meta(ge=0)] = 0
    notify: bool = True
    response_url: bool = True
    copies: Annotated[int, Meta(ge=1, le=20)] = 1


@dataclass(slots=True)
class _Transaction:
    truth: Truth
    result: ResultCode
    auto_commit: bool
    commit_state: str
    created: str
    reference: str = ""
    calls_attempted: int = 0
    calls_acknowledged: int = 0
    results: int = 0
    request_ids: set[str] = field(default_factory=set)
    #: the order of things: a Result must come after the last acknowledged call began
    last_call: int = 0
    last_result: int = 0


class Nevogate(Simulator[NevogateSettings]):
    """Two signals for each payment, in no order, and a count of what the merchant owes for them."""

    provider = "nevogate"

    def __init__(self, settings: NevogateSettings) -> None:
        super().__init__(settings)
        self._shops = {shop.merchant: shop for shop in settings.shops}
        self._transactions: dict[str, _Transaction] = {}
        self._step = 0

    # --- control -------------------------------------------------------------------------------------------

    def create(self, order: dict[str, Any]) -> dict[str, Any]:
        new = msgspec.convert(order, _NewPayment)
        shop = self._shops.get(new.merchant) or next(iter(self._shops.values()))
        if new.merchant and new.merchant != shop.merchant:
            raise ProviderRefused("refused", f"no store for {new.merchant}")
        transaction = self._open(shop.merchant, new.order_id, new.amount, new.currency, auto_commit=new.auto_commit)
        self._becomes(transaction, new.result)
        if new.notify:
            self._signal(transaction, new.copies, response_url=new.response_url)
        return {"payment_id": transaction.truth.payment_id}

    def change(self, payment_id: str, change: dict[str, Any]) -> dict[str, Any]:
        wanted = msgspec.convert(change, _Change)
        transaction = self._transactions.get(payment_id)
        if transaction is None:
            raise ProviderRefused("refused", f"no transaction {payment_id}")
        if wanted.foreign_calls:
            transaction.calls_attempted += wanted.foreign_calls
            return {"payment_id": payment_id}
        if wanted.result is not None:
            self._becomes(transaction, wanted.result)
        if wanted.close is not None and not self._close(transaction, approved=wanted.close):
            raise ProviderRefused("refused", f"{payment_id} holds no money")
        if wanted.notify:
            self._signal(transaction, wanted.copies, response_url=wanted.response_url)
        return {"payment_id": payment_id}

    def summary(self) -> dict[str, Any]:
        """Per transaction: calls made, acknowledged and answered by a ``Result``; and where that is wrong."""
        calls, unanswered, uncaused = {}, [], []
        for name, one in self._transactions.items():
            calls[name] = {
                "attempted": one.calls_attempted,
                "acknowledged": one.calls_acknowledged,
                "results": one.results,
            }
            if one.calls_acknowledged > one.results or (one.calls_acknowledged and one.last_result < one.last_call):
                unanswered.append(name)
            if one.results > one.calls_attempted:
                uncaused.append(name)
        return {"calls": calls, "unanswered": unanswered, "uncaused": uncaused}

    def _open(
        self,
        merchant: str,
        order_id: str,
        amount: int,
        currency: str,
        *,
        auto_commit: bool,
        reference: str = "",
    ) -> _Transaction:
        truth = Truth(
            payment_id=self.chance.randbytes(16).hex(), merchant=merchant, order_id=order_id,
            status="pending", amount=amount, currency=currency,
        )  # fmt: skip
        created = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        transaction = _Transaction(self.book.open(truth), "OPEN", auto_commit, "", created, reference)
        self._transactions[truth.payment_id] = transaction
        return transaction

    def _becomes(self, transaction: _Transaction, result: ResultCode) -> None:
        transaction.result = result
        truth = transaction.truth
        if result != "SUCCESSFUL":
            truth.becomes(_STATUS[result])
        elif transaction.auto_commit:
            truth.paid = truth.amount
            truth.becomes("captured")
        else:
            transaction.commit_state = "PENDING"
            truth.becomes("authorised")

    def _close(self, transaction: _Transaction, *, approved: bool) -> bool:
        if transaction.commit_state != "PENDING":
            return False
        transaction.commit_state = "APPROVED" if approved else "DECLINED"
        truth = transaction.truth
        truth.paid = truth.amount if approved else 0
        truth.becomes("captured" if approved else "cancelled")
        return True

    # --- signals -------------------------------------------------------------------------------------------

    def _signal(self, transaction: _Transaction, copies: int, *, response_url: bool) -> None:
        name = transaction.truth.payment_id
        common = {**self.settings.planted, "transactionId": name, "resultCode": transaction.result}
        body = json.dumps({"commonData": common}).encode()
        signals = [Delivery(merchant=transaction.truth.merchant, body=body) for _ in range(copies)]
        if response_url:
            query = f"TransactionId={name}"
            signals.append(Delivery(merchant=transaction.truth.merchant, method="GET", query=query))
        for delivery in signals:
            delivery.about = name
            delivery.started = self._calling
            delivery.done = self._called
            within_seconds = self.scaled(self.chance.uniform(0, self.settings.signals_within_seconds))
            self.webhooks.send(delivery, after_seconds=within_seconds)

    def _calling(self, delivery: Delivery) -> None:
        self._step += 1
        delivery.mark = self._step
        self._transactions[delivery.about].calls_attempted += 1

    def _called(self, delivery: Delivery, status: int | None) -> None:
        if status == 200:
            transaction = self._transactions[delivery.about]
            transaction.calls_acknowledged += 1
            transaction.last_call = max(transaction.last_call, delivery.mark)
        elif delivery.attempts <= _RESENDS:
            self.book.counters["notifications.resent"] += 1
            self.webhooks.again(delivery, after_seconds=self.scaled(self.settings.resend_after_seconds))

    # --- the gateway's own API -----------------------------------------------------------------------------

    def api(self, request: Request) -> Reply:
        if request.path != "/api/payment/" or request.method != "POST":
            return Reply(404, b"<html>Not Found</html>", "text/html")
        fields = _form(request)
        method = fields.get("method", "")
        self.book.counters[f"methods.{method if method in _METHODS else 'other'}"] += 1
        agent = _USER_AGENT.match(request.headers.get("user-agent", ""))
        if agent is None or agent[1] != method:
            self.book.violation("user agent", method if method in _METHODS else "other")
        shop = self._authenticated(request)
        if isinstance(shop, str):
            return self._refuse(shop)
        operation = _METHODS.get(method)
        if operation is None:
            return self._refuse("WrongParameter")
        try:
            arguments = json.loads(fields.get("json", ""))
            return operation(self, request, shop, arguments)
        except (ValueError, KeyError, TypeError, AttributeError):
            return self._refuse("MissingParameter")

    def _authenticated(self, request: Request) -> NevogateShop | str:
        offered = request.basic()
        if offered is None:
            return "UnauthorizedAccess"
        shop = next((shop for shop in self._shops.values() if shop.store_name == offered[0]), None)
        if shop is None:
            return "UnknownStore"
        return shop if hmac.compare_digest(shop.api_key.encode(), offered[1].encode()) else "WrongApikey"

    def _refuse(self, code: str) -> Reply:
        self.book.counters[f"errors.{code}"] += 1
        return json_reply(200, {"TransactionId": None, "ResultCode": code, "ResultMessage": None, **self._id()})

    def _id(self) -> dict[str, str]:
        return {"ResponseId": f"3{time.time_ns() // 1000}"}

    def _known(self, shop: NevogateShop, arguments: Mapping[str, Any]) -> _Transaction | None:
        transaction = self._transactions.get(str(arguments["TransactionId"]))
        return transaction if transaction and transaction.truth.merchant == shop.merchant else None

    def _result(self, request: Request, shop: NevogateShop, arguments: dict[str, Any]) -> Reply:
        transaction = self._known(shop, arguments)
        if transaction is None:
            return self._refuse("UnknownTransaction")
        self._step += 1
        transaction.last_result = self._step
        request_id = request.headers.get("x-request-id", "")
        # the same call tried again, after a crash or a lost answer, is one call
        if not request_id or request_id not in transaction.request_ids:
            transaction.results += 1
        if request_id:
            transaction.request_ids.add(request_id)
        return json_reply(200, self._common(transaction, shop))

    def _details(self, request: Request, shop: NevogateShop, arguments: dict[str, Any]) -> Reply:
        transaction = self._known(shop, arguments)
        if transaction is None:
            return self._refuse("UnknownTransaction")
        common = self._common(transaction, shop)
        specific = {"Amount": common["Amount"], "Currency": common["Currency"], "CardPan": "400000******1000"}
        return json_reply(200, {"CommonData": common, "ProviderSpecificData": specific})

    def _init_recurring(self, request: Request, shop: NevogateShop, arguments: dict[str, Any]) -> Reply:
        if arguments["StoreName"] != shop.store_name or not all(
            arguments[name] for name in ("ReferenceTransactionId", "ResponseUrl", "NotificationUrl")
        ):
            return self._refuse("WrongParameter")
        reference = self._transactions.get(str(arguments["ReferenceTransactionId"]))
        currency = str(arguments.get("Currency") or (reference.truth.currency if reference else "HUF"))
        amount = arguments.get("Amount")
        minor = (
            int(Decimal(str(amount)).scaleb(exponent(currency)))
            if amount
            else (reference.truth.amount if reference else 0)
        )
        opened = self._open(
            shop.merchant, str(arguments.get("OrderId", "")), minor, currency, auto_commit=False,
            reference=str(arguments["ReferenceTransactionId"]),
        )  # fmt: skip
        answer = {"TransactionId": opened.truth.payment_id, "ResultCode": "SUCCESSFUL", "ResultMessage": None}
        return json_reply(200, {**answer, **self._id()})

    def _start_recurring(self, request: Request, shop: NevogateShop, arguments: dict[str, Any]) -> Reply:
        transaction = self._known(shop, arguments)
        if transaction is None:
            return self._refuse("UnknownTransaction")
        if transaction.result != "OPEN" or not transaction.reference:
            return self._refuse("WrongTransactionStatus")
        if transaction.reference not in self._transactions:
            return self._refuse("UnknownReferenceTransaction")
        self._becomes(transaction, "SUCCESSFUL")
        self._signal(transaction, 1, response_url=False)
        return json_reply(200, self._common(transaction, shop))

    def _close_two_step(self, request: Request, shop: NevogateShop, arguments: dict[str, Any]) -> Reply:
        transaction = self._known(shop, arguments)
        if transaction is None:
            return self._refuse("UnknownTransaction")
        part = Decimal(str(arguments.get("ApprovedAmount") or 0))
        if not self._close(transaction, approved=str(arguments.get("Approved", "true")) == "true"):
            return self._refuse("WrongTransactionStatus")
        if part and transaction.truth.paid:
            transaction.truth.paid = int(part.scaleb(exponent(transaction.truth.currency)))
        answer = {
            "TransactionId": transaction.truth.payment_id,
            "ResultCode": "SUCCESSFUL",
            "ResultMessage": "",
        }
        return json_reply(200, {**answer, **self._id()})

    def _common(self, transaction: _Transaction, shop: NevogateShop) -> dict[str, str]:
        truth = transaction.truth
        amount = Decimal(truth.amount).scaleb(-exponent(truth.currency))
        return {
            "StoreName": shop.store_name, "ProviderName": "Borgun2", "TransactionId": truth.payment_id,
            "ResultCode": transaction.result,
            "ResultMessage": _MESSAGES.get(transaction.result, "Sikertelen"),
            "Anum": "006766" if transaction.result == "SUCCESSFUL" else "",
            "Amount": f"{amount:f}" if amount % 1 else str(int(amount)), "Currency": truth.currency,
            "OrderId": truth.order_id, "UserId": "SANDBOX-USER", "Language": "HU",
            "ProviderTransactionId": "tr_" + truth.payment_id[::-1],
            "AutoCommit": "true" if transaction.auto_commit else "false",
            "CommitState": transaction.commit_state, "Created": transaction.created, **self._id(),
            **self.settings.planted,
        }  # fmt: skip


_Operation = Callable[[Nevogate, Request, NevogateShop, dict[str, Any]], Reply]

_METHODS: Final[Mapping[str, _Operation]] = {
    "Result": Nevogate._result,
    "Details": Nevogate._details,
    "InitRP": Nevogate._init_recurring,
    "StartRP": Nevogate._start_recurring,
    "Close": Nevogate._close_two_step,
}


def _form(request: Request) -> dict[str, str]:
    """The form's fields, url-encoded or multipart; empty where the body is neither."""
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    if content_type.startswith("multipart/form-data"):
        head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
        message = BytesParser(EmailMessage, policy=HTTP).parsebytes(head + request.body)
        fields = {}
        for part in message.iter_parts():
            content = part.get_payload(decode=True)
            if isinstance(content, bytes):
                name = str(part.get_param("name", header="content-disposition"))
                fields[name] = content.decode("utf-8", "replace").rstrip("\r\n")
        return fields
    return {}
