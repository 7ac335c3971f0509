"""Charges of a registered payment method, as the gateway's pages describe them: InitRP, StartRP, Close.

InitRP moves no money and may be repeated. StartRP moves money once, and Close captures or voids the authorisation once.
The response to a second StartRP or Close is WrongTransactionStatus, and both are counted.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final, Literal, NoReturn, cast, get_args
from urllib.parse import urlsplit

from paynotify.sandbox.simulators.ledger import Ledger, Truth
from paynotify.sandbox.simulators.nevogate.transaction import ResultCode, Transaction
from paynotify.schemas.errors import ProviderRefusedError, UnreadableError
from paynotify.schemas.money import Money, from_major

#: Outcomes of a started charge. One that begins with PENDING ends as its second part says, or never.
ChargeScript = Literal[
    "SUCCESSFUL",
    "ERROR",
    "TIMEOUT",
    "CANCELED",
    "PENDING-SUCCESSFUL",
    "PENDING-ERROR",
    "PENDING-TIMEOUT",
    "PENDING-CANCELED",
    "PENDING-NEVER",
]
OUTCOMES: Final[tuple[ChargeScript, ...]] = get_args(ChargeScript)

_REFERENCE: Final = re.compile(r"[0-9a-f]{32}\Z")
#: InitRP's required parameters, and below its optional ones, with their maximum length.
_REQUIRED: Final[Mapping[str, int]] = {
    "StoreName": 255,
    "ReferenceTransactionId": 32,
    "ResponseUrl": 255,
    "NotificationUrl": 255,
}
_OPTIONAL: Final[Mapping[str, int]] = {"OrderId": 255, "UserId": 255, "ModuleName": 32, "ModuleVersion": 8}
_KNOWN: Final = {*_REQUIRED, *_OPTIONAL, "Amount", "Currency", "Info", "ProviderName"}
_APPROVED: Final[Mapping[str, bool]] = {"true": True, "false": False}

#: Notifies the merchant of a transaction's new state; with true, on the ResponseUrl too.
Signal = Callable[[Transaction, bool], None]
#: Calls a function after so many of the gateway's seconds.
Schedule = Callable[[float, Callable[[], None]], None]


class Recurring:
    """The three calls. Each raises `ProviderRefusedError` with the gateway's error code as its text."""

    def __init__(
        self,
        transactions: MutableMapping[str, Transaction],
        book: Ledger,
        chance: random.Random,
        signal: Signal,
        later: Schedule,
        *,
        start_within_seconds: float,
        pending_seconds: float,
        outcomes: Mapping[ChargeScript, float],
        checks_reference_at_init: bool,
    ) -> None:
        self._transactions = transactions
        self._book = book
        self._chance = chance
        self._signal = signal
        self._later = later
        self._start_within_seconds = start_within_seconds
        self._pending_seconds = pending_seconds
        self._outcomes = outcomes
        self._checks_reference_at_init = checks_reference_at_init

    # --- InitRP --------------------------------------------------------------------------------------------

    def init(self, merchant: str, store_name: str, arguments: Mapping[str, Any]) -> Transaction:
        """A new transaction; it expires if it is not started in time."""
        _check_parameters(arguments, store_name)
        reference = self._reference_of(merchant, str(arguments["ReferenceTransactionId"]))
        if self._checks_reference_at_init:
            _check_registration(reference)
        amount = _amount(arguments, reference)
        user_id = str(arguments.get("UserId") or (reference.user_id if reference else "SANDBOX-USER"))
        if reference is not None and (amount.currency, user_id) != (reference.truth.currency, reference.user_id):
            _refuse("WrongParameter")
        truth = Truth(
            payment_id=self._chance.randbytes(16).hex(),
            merchant=merchant,
            order_id=str(arguments.get("OrderId", "")),
            status="pending",
            amount=amount.value,
            currency=amount.currency,
        )
        made = Transaction(
            truth=truth,
            auto_commit=False,
            user_id=user_id,
            reference=str(arguments["ReferenceTransactionId"]),
            notification_url=str(arguments["NotificationUrl"]),
            response_url=str(arguments["ResponseUrl"]),
        )
        self._transactions[truth.payment_id] = made
        self._book.counters["charges.opened"] += 1
        self._later(self._start_within_seconds, lambda: self._give_up(made))
        return made

    def _reference_of(self, merchant: str, name: str) -> Transaction | None:
        reference = self._transactions.get(name)
        return reference if reference is not None and reference.truth.merchant == merchant else None

    def _give_up(self, transaction: Transaction) -> None:
        if transaction.started or transaction.result != "OPEN":
            return
        self._book.counters["charges.never_started"] += 1
        self._book.open(transaction.truth)
        transaction.becomes("TIMEOUT")
        self._signal(transaction, False)

    # --- StartRP -------------------------------------------------------------------------------------------

    def start(self, transaction: Transaction) -> None:
        """Charge; the outcome is that of the reference's payment method, or else drawn at random."""
        if transaction.started:
            self._book.counters["charges.started_again"] += 1
        if not transaction.reference or transaction.started or transaction.result != "OPEN":
            _refuse("WrongTransactionStatus")
        reference = self._reference_of(transaction.truth.merchant, transaction.reference)
        _check_registration(reference)
        assert reference is not None
        transaction.started = True
        self._book.open(transaction.truth)
        self._book.counters["charges.started"] += 1
        pending, _, end = (reference.outcome or self._chosen()).rpartition("-")
        if pending:
            transaction.becomes("PENDING")
            if end != "NEVER":
                self._later(self._pending_seconds, lambda: self._end(transaction, cast(ResultCode, end)))
        else:
            transaction.becomes(cast(ResultCode, end))
            self._signal(transaction, False)

    def _end(self, transaction: Transaction, result: ResultCode) -> None:
        if transaction.result == "PENDING":
            transaction.becomes(result)
            self._signal(transaction, True)

    def _chosen(self) -> ChargeScript:
        drawn = self._chance.random()
        for outcome, share in self._outcomes.items():
            drawn -= share
            if drawn < 0:
                return outcome
        return "SUCCESSFUL"

    # --- Close ---------------------------------------------------------------------------------------------

    def close(self, transaction: Transaction, arguments: Mapping[str, Any]) -> None:
        """Capture the authorisation, or a part of it and void the rest, or void it; ApprovedAmount 0 captures all."""
        approved = _APPROVED.get(str(arguments.get("Approved", "true")).lower())
        if approved is None:
            _refuse("WrongParameter")
        truth = transaction.truth
        part = _parsed(arguments.get("ApprovedAmount") or 0, truth.currency).value
        if part > truth.amount or (part and not approved):
            _refuse("WrongParameter")
        if transaction.money.closed:
            self._book.counters["holds.closed_again"] += 1
        if not transaction.close((part or truth.amount) if approved else 0):
            _refuse("WrongTransactionStatus")
        self._book.counters["holds.closed"] += 1


def _refuse(code: str) -> NoReturn:
    raise ProviderRefusedError("refused", code)


def _check_parameters(arguments: Mapping[str, Any], store_name: str) -> None:
    if any(arguments.get(name) in (None, "") for name in _REQUIRED):
        _refuse("MissingParameter")
    if not _KNOWN.issuperset(arguments):
        _refuse("UnknownParameter")
    for name, limit in {**_REQUIRED, **_OPTIONAL}.items():
        value = arguments.get(name)
        if value is not None and (not isinstance(value, str) or len(value) > limit):
            _refuse("WrongParameter")
    right_store = arguments["StoreName"] == store_name
    if not right_store or not _REFERENCE.match(arguments["ReferenceTransactionId"]):
        _refuse("WrongParameter")
    if not all(_is_url(arguments[name]) for name in ("ResponseUrl", "NotificationUrl")):
        _refuse("WrongParameter")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_registration(reference: Transaction | None) -> None:
    if reference is None:
        _refuse("UnknownReferenceTransaction")
    if reference.registration != "active" or reference.result != "SUCCESSFUL":
        _refuse("WrongReferenceTransactionStatus")


def _amount(arguments: Mapping[str, Any], reference: Transaction | None) -> Money:
    currency = arguments.get("Currency") or (reference.truth.currency if reference else "HUF")
    if arguments.get("Amount") in (None, "", 0):
        return Money(reference.truth.amount if reference else 0, str(currency))
    return _parsed(arguments["Amount"], currency)


def _parsed(amount: object, currency: object) -> Money:
    try:
        return from_major(amount, currency)
    except UnreadableError:
        _refuse("WrongParameter")
