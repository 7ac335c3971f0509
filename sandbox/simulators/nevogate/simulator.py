"""BIG FISH / Nevogate as its documents describe it: unsigned calls, and a ``Result`` owed for each."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from paynotify.sandbox.simulators.base import Simulator, SimulatorRequest, SimulatorResponse, json_reply
from paynotify.sandbox.simulators.ledger import Truth
from paynotify.sandbox.simulators.nevogate.call_bodies import alert_body, call_body, drawn_form
from paynotify.sandbox.simulators.nevogate.form_fields import form_fields
from paynotify.sandbox.simulators.nevogate.recurring import Recurring
from paynotify.sandbox.simulators.nevogate.settings import (
    NevogateAlert,
    NevogateChange,
    NevogatePayment,
    NevogateSettings,
    NevogateShop,
)
from paynotify.sandbox.simulators.nevogate.transaction import UNDECIDED, Transaction, response_id, without_amount
from paynotify.sandbox.simulators.webhooks import Delivery
from paynotify.schemas.errors import ProviderRefusedError

_USER_AGENT: Final = re.compile(r"(\w+) \| [^|\s]+ \| [^|]+ \| [^|\s]+\Z")
_RESENDS: Final = 10
_LOOPBACK: Final = frozenset(("127.0.0.1", "localhost", "::1"))


class NevogateSimulator(Simulator[NevogateSettings]):
    """Two calls for each payment, in any order, and a count of the ``Result`` calls owed for them.

    It is as silent as the gateway: about what is not final, about a Close, and about all that is done by hand.
    """

    provider = "nevogate"

    def __init__(self, settings: NevogateSettings) -> None:
        super().__init__(settings)
        self._shops = {shop.merchant: shop for shop in settings.shops}
        self._transactions: dict[str, Transaction] = {}
        self._step = 0
        self._recurring = Recurring(
            self._transactions,
            self.book,
            self.chance,
            self._tell,
            self._later,
            start_within_seconds=settings.start_within_seconds,
            pending_seconds=settings.pending_seconds,
            outcomes=settings.outcomes,
            checks_reference_at_init=settings.checks_reference_at_init,
        )

    # --- control -------------------------------------------------------------------------------------------

    def create(self, order: dict[str, Any]) -> dict[str, Any]:
        if "alert" in order:
            return self._alert(msgspec.convert(order, NevogateAlert))
        new = msgspec.convert(order, NevogatePayment)
        shop = self._shop(new.merchant)
        verified = new.verification if new.amount else "zero"
        truth = Truth(
            payment_id=self.chance.randbytes(16).hex(),
            merchant=shop.merchant,
            order_id=new.order_id,
            status="pending",
            amount=new.amount if verified == "none" else 0,
            currency=new.currency,
        )
        if verified == "none":
            self.book.open(truth)
        else:
            self.book.counters["verifications"] += 1
        transaction = Transaction(
            truth=truth,
            verification=verified,
            form=new.form,
            auto_commit=new.auto_commit,
            user_id=new.user_id,
            registration=new.registration,
            outcome=new.outcome or "",
        )
        self._transactions[truth.payment_id] = transaction
        transaction.becomes(new.result)
        if new.notify is not False:
            self._signal(transaction, new.copies, response_url=new.response_url, always=new.notify is True)
        return {"payment_id": truth.payment_id}

    def _shop(self, merchant: str) -> NevogateShop:
        shop = self._shops.get(merchant) or next(iter(self._shops.values()))
        if merchant and merchant != shop.merchant:
            raise ProviderRefusedError("refused", f"no store for {merchant}")
        return shop

    def _alert(self, wanted: NevogateAlert) -> dict[str, Any]:
        shop = self._shop(wanted.merchant)
        self.book.counters["alerts"] += 1
        body = alert_body(wanted.alert, shop.store_name, over=wanted.over)
        self.webhooks.send(Delivery(merchant=shop.merchant, body=body))
        return {"payment_id": ""}

    def change(self, payment_id: str, change: dict[str, Any]) -> dict[str, Any]:
        wanted = msgspec.convert(change, NevogateChange)
        transaction = self._transactions.get(payment_id)
        if transaction is None:
            raise ProviderRefusedError("refused", f"no transaction {payment_id}")
        if wanted.foreign_calls:
            transaction.calls_attempted += wanted.foreign_calls
            return {"payment_id": payment_id}
        transaction.registration = wanted.registration or transaction.registration
        transaction.outcome = wanted.outcome or transaction.outcome
        if wanted.result is not None:
            # a charge that was never started
            if payment_id not in self.book.payments and transaction.verification == "none":
                self.book.open(transaction.truth)
            transaction.becomes(wanted.result)
        captured = min(wanted.captured or transaction.truth.amount, transaction.truth.amount) if wanted.close else 0
        if wanted.close is not None and not transaction.close(captured):
            raise ProviderRefusedError("refused", f"{payment_id} holds no money")
        if wanted.notify is not False and not wanted.quiet:
            always = wanted.notify is True
            self._signal(transaction, wanted.copies, response_url=wanted.response_url, always=always)
        return {"payment_id": payment_id}

    def summary(self) -> dict[str, Any]:
        """Per transaction: the notifications sent, acknowledged and followed by a ``Result``, and what is wrong. For
        each recurring charge: the money it moved, and whether it was opened and never started.
        """
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
        charges = {name: one for name, one in self._transactions.items() if one.reference}
        return {
            "calls": calls,
            "unanswered": unanswered,
            "uncaused": uncaused,
            "money": {name: _money(one) for name, one in charges.items()},
            "orphans": [name for name, one in charges.items() if one.orphan],
        }

    # --- notifications -------------------------------------------------------------------------------------------

    def _signal(self, transaction: Transaction, copies: int, *, response_url: bool, always: bool = False) -> None:
        truth = transaction.truth
        common = {**self.settings.planted, "transactionId": truth.payment_id, "resultCode": transaction.result}
        form = transaction.form or drawn_form(self.settings.form_share, self.settings.multipart_share, self.chance)
        body, content_type = call_body(form, common, self.chance)
        silent = transaction.result in UNDECIDED and not always
        signals = [
            Delivery(merchant=truth.merchant, body=body, content_type=content_type)
            for _ in range(0 if silent else copies)
        ]
        for delivery in signals:
            delivery.goes_to(*_target(transaction.notification_url))
        if response_url:
            delivery = Delivery(merchant=truth.merchant, method="GET")
            delivery.goes_to(*_target(transaction.response_url), TransactionId=truth.payment_id)
            signals.append(delivery)
        for delivery in signals:
            delivery.about = truth.payment_id
            delivery.started = self._calling
            delivery.done = self._called
            within_seconds = self.scaled(self.chance.uniform(0, self.settings.signals_within_seconds))
            self.webhooks.send(delivery, after_seconds=within_seconds)

    def _tell(self, transaction: Transaction, response_url: bool) -> None:
        copies = 2 if self.chance.random() < self.settings.doubled_share else 1
        self._signal(transaction, copies, response_url=response_url)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(self.scaled(seconds), action)

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

    def api(self, request: SimulatorRequest) -> SimulatorResponse:
        if request.path != "/api/payment/" or request.method != "POST":
            return SimulatorResponse(404, b"<html>Not Found</html>", "text/html")
        fields = form_fields(request)
        method = fields.get("method", "")
        self.book.counters[f"methods.{method if method in _METHODS else 'other'}"] += 1
        agent = _USER_AGENT.match(request.headers.get("user-agent", ""))
        if agent is None or agent[1] != method:
            self.book.violation("user agent", method if method in _METHODS else "other")
        shop = self._authenticated(request)
        if isinstance(shop, str):
            return self.refuse(shop)
        operation = _METHODS.get(method)
        if operation is None:
            return self.refuse("WrongParameter")
        try:
            arguments = json.loads(fields.get("json", ""))
            return operation(self, request, shop, arguments)
        except ProviderRefusedError as error:
            return self.refuse(str(error))
        except (ValueError, KeyError, TypeError, AttributeError):
            return self.refuse("MissingParameter")

    def arrived(self, request: SimulatorRequest) -> str:
        """The path followed by the method, so that a fault can hit StartRP alone."""
        fields = form_fields(request)
        method = fields.get("method", "")
        if method in _COUNTED:
            try:
                about = self._transactions.get(json.loads(fields["json"])["TransactionId"])
            except (ValueError, KeyError, TypeError):
                about = None
            if about is not None:
                about.money.starts += method == "StartRP"
                about.money.closes += method == "Close"
        return request.path + method

    def _authenticated(self, request: SimulatorRequest) -> NevogateShop | str:
        offered = request.basic()
        if offered is None:
            return "UnauthorizedAccess"
        shop = next((shop for shop in self._shops.values() if shop.store_name == offered[0]), None)
        if shop is None:
            return "UnknownStore"
        return shop if hmac.compare_digest(shop.api_key.encode(), offered[1].encode()) else "WrongApikey"

    def refuse(self, code: str) -> SimulatorResponse:
        """The gateway's response with an error code; nothing else is done."""
        self.book.counters[f"errors.{code}"] += 1
        return json_reply(200, {"TransactionId": None, "ResultCode": code, "ResultMessage": None, **response_id()})

    def _known(self, shop: NevogateShop, arguments: Mapping[str, Any]) -> Transaction | None:
        transaction = self._transactions.get(str(arguments["TransactionId"]))
        return transaction if transaction and transaction.truth.merchant == shop.merchant else None

    def _result(self, request: SimulatorRequest, shop: NevogateShop, arguments: dict[str, Any]) -> SimulatorResponse:
        transaction = self._known(shop, arguments)
        if transaction is None:
            return self.refuse("UnknownTransaction")
        self._step += 1
        transaction.last_result = self._step
        request_id = request.headers.get("x-request-id", "")
        # a call repeated after a crash or a lost response counts once
        if not request_id or request_id not in transaction.request_ids:
            transaction.results += 1
        if request_id:
            transaction.request_ids.add(request_id)
        common = self._common(transaction, shop)
        return json_reply(200, without_amount(common) if self.settings.old_results else common)

    def _details(self, request: SimulatorRequest, shop: NevogateShop, arguments: dict[str, Any]) -> SimulatorResponse:
        transaction = self._known(shop, arguments)
        if transaction is None:
            return self.refuse("UnknownTransaction")
        common = self._common(transaction, shop)
        specific = {"CardPan": "400000******1000"}
        specific.update((name, common[name]) for name in ("Amount", "Currency") if name in common)
        return json_reply(200, {"CommonData": common, "ProviderSpecificData": specific})

    def _init_recurring(
        self, request: SimulatorRequest, shop: NevogateShop, arguments: dict[str, Any]
    ) -> SimulatorResponse:
        made = self._recurring.init(shop.merchant, shop.store_name, arguments)
        return self._done(made)

    def _start_recurring(
        self, request: SimulatorRequest, shop: NevogateShop, arguments: dict[str, Any]
    ) -> SimulatorResponse:
        transaction = self._known(shop, arguments)
        if transaction is None:
            return self.refuse("UnknownTransaction")
        self._recurring.start(transaction)
        return json_reply(200, self._common(transaction, shop))

    def _close_two_step(
        self, request: SimulatorRequest, shop: NevogateShop, arguments: dict[str, Any]
    ) -> SimulatorResponse:
        transaction = self._known(shop, arguments)
        if transaction is None:
            return self.refuse("UnknownTransaction")
        self._recurring.close(transaction, arguments)
        if self.settings.signals_close:
            self._tell(transaction, False)
        return self._done(transaction)

    def _done(self, transaction: Transaction) -> SimulatorResponse:
        answer = {"TransactionId": transaction.truth.payment_id, "ResultCode": "SUCCESSFUL", "ResultMessage": None}
        return json_reply(200, {**answer, **response_id()})

    def _common(self, transaction: Transaction, shop: NevogateShop) -> dict[str, str]:
        return {**transaction.common(shop.store_name), **self.settings.planted}


_Operation = Callable[[NevogateSimulator, SimulatorRequest, NevogateShop, dict[str, Any]], SimulatorResponse]

_METHODS: Final[Mapping[str, _Operation]] = {
    "Result": NevogateSimulator._result,
    "Details": NevogateSimulator._details,
    "InitRP": NevogateSimulator._init_recurring,
    "StartRP": NevogateSimulator._start_recurring,
    "Close": NevogateSimulator._close_two_step,
}

#: The calls that move money. Each is counted when it arrives, even if its connection breaks.
_COUNTED: Final = frozenset(("StartRP", "Close"))


def _money(transaction: Transaction) -> dict[str, Any]:
    truth = transaction.truth
    about = {"merchant": truth.merchant, "order_id": truth.order_id, "currency": truth.currency}
    return {**about, **asdict(transaction.money)}


def _target(url: str) -> tuple[str, str, str]:
    """Base, path and query of a URL of the merchant. Without a base on this machine, the target is used."""
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.netloc}" if parts.hostname in _LOOPBACK else ""
    return base, parts.path, parts.query
