"""BIG FISH Payment Gateway / Nevogate: unsigned calls with an id, one ``Result`` for each of them.

Sources: the vendor's pages on Result, StartRP, Details and PayAlert, and its PHP SDK 5.0.1. The vendor wants exactly
one Result after every NotificationUrl and ResponseUrl call and none without cause, so nothing is deduplicated before
the fetch, and a lookup that was answered is never asked again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from processors.providers.base import (
    Account,
    Answer,
    Authenticity,
    Call,
    CallContext,
    Failed,
    LookupOutcome,
    Notification,
    ParsedNotification,
    Policy,
    Response,
    Store,
    Succeeded,
    WaitingLookup,
)
from processors.providers.form import fields
from processors.providers.http import json_object
from processors.providers.nevogate.client import ask
from schemas.errors import ProviderRefusedError, ProviderUnavailableError, RejectedNotificationError, UnreadableError
from schemas.messages import Lookup, Observation
from schemas.money import Money, from_major, from_minor
from schemas.status import Status
from schemas.times import parse_time, rfc3339

#: ResultCodes that speak of the payment; SUCCESSFUL needs a second look. All others speak of the request.
STATUSES: Final[Mapping[str, Status | None]] = {
    "SUCCESSFUL": None,
    "PENDING": "pending",
    "OPEN": "pending",
    "CANCELED": "cancelled",
    "TIMEOUT": "expired",
    "ERROR": "failed",
}

#: ``(AutoCommit, CommitState)`` of a two-step payment. DECLINED is the only word for a released hold that is known,
#: though no vendor page shows it; any other word is left unknown rather than taken for a release.
TWO_STEP: Final[Mapping[tuple[str, str], Status]] = {
    ("false", "PENDING"): "authorised",
    ("false", "DECLINED"): "cancelled",
}

CREDENTIALS: Final = frozenset(
    ("WrongApikey", "UnauthorizedAccess", "UnauthorizedRemoteAddress", "MissingRemoteAddress")
)

#: The other documented error codes; a provider's own code may come too and is treated alike.
REFUSALS: Final = frozenset(
    (
        "InactiveStore",
        "InactiveProvider",
        "MissingParameter",
        "UnknownParameter",
        "UnknownProvider",
        "UnknownProviderForStore",
        "UnknownReferenceTransaction",
        "UnknownStore",
        "WrongParameter",
        "WrongProviderSettings",
        "WrongReferenceTransactionStatus",
        "WrongTransactionStatus",
    )
)

#: The gateway's method for each operation, and what is sent beside the id. Earlier transactions of the order are
#: other payments, each with a lookup of its own.
_METHODS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "result": ("Result", {}),
    "details": ("Details", {"GetRelatedTransactions": False}),
}

_TRANSACTION: Final = re.compile(r"[0-9a-f]{32}\Z")
#: Names of alerts that are told as they are; any other single member that begins so is an alert without a name.
_ALERT: Final = re.compile(r"alert[A-Za-z]{1,60}\Z")
_WORD: Final = re.compile(r"[A-Za-z_]{1,40}\Z")
#: Tables call AutoCommit a boolean, samples show it as text.
_TRUTHS: Final = {"true": "true", "1": "true", "false": "false", "0": "false"}
#: The fact a stored answer carries of when it was asked for; former releases' answers have none.
ASKED_AT: Final = "asked-at"
_LONGEST_CALL: Final = timedelta(minutes=5)


def is_transaction(text: str) -> bool:
    """Whether the text has the form of a transaction's id: 32 lower-case hex digits."""
    return bool(_TRANSACTION.match(text))


class NevogateProvider:
    """The provider ``nevogate``."""

    name = "nevogate"
    policy = Policy(retries={"unavailable": 24, "rate_limited": 24}, remembers_answered=True, unsigned=True)

    def parse(self, notification: Notification, account: Account) -> ParsedNotification:
        """The transaction's id from the JSON body or the query; a PayAlert has none.

        A body that says nothing takes nothing from a query that names the transaction: the call is owed its Result.
        """
        in_query = _id_in_query(notification.query)
        try:
            body = _json_of(notification)
        except RejectedNotificationError:
            if in_query is None:
                raise
            body = {}
        if len(body) == 1 and (name := next(iter(body))).startswith("alert"):
            return ParsedNotification(
                reference=None, duplicate_key=None, detail=None, alert=name if _ALERT.match(name) else "alert"
            )
        transaction = _id_in(body) or in_query
        if transaction is None:
            raise RejectedNotificationError(
                "malformed", "no transaction id of 32 lower-case hex digits in body or query"
            )
        return ParsedNotification(reference=transaction, duplicate_key=None, detail=None)

    def verify(self, claim: ParsedNotification, notification: Notification, account: Account) -> Authenticity:
        """The vendor signs nothing: the call is a hint, and the Result is asked for over TLS with our credentials."""
        return "unsigned"

    def plan(self, claim: ParsedNotification, notification: Notification) -> Lookup:
        """The Result of the transaction the call names."""
        return Lookup(
            provider=self.name,
            merchant=notification.merchant,
            operation="result",
            reference=claim.reference,
            notification_id=notification.notification_id,
            received_at=rfc3339(notification.received_at),
        )

    def calls(self, lookups: Sequence[WaitingLookup], outside: CallContext) -> Iterable[Call]:
        """One for each lookup: every call is owed its own Result. Those of one transaction keep their order."""
        return [Call(one.lookup.reference or "", (one,)) for one in lookups]

    async def fetch(
        self, call: Call, account: Account, outside: CallContext, store: Store
    ) -> Mapping[str, LookupOutcome]:
        """Ask for one Result, or in recovery for the Details that say the same without being owed to a call."""
        waiting = call.lookups[0]
        transaction = waiting.lookup.reference or ""
        if not is_transaction(transaction):
            return {waiting.lookup_id: Failed("unreadable_lookup", "the lookup names no transaction")}
        method, more = _METHODS.get(waiting.lookup.operation, _METHODS["result"])
        arguments = {"TransactionId": transaction, **more}
        # a proxy or simulator can tell the retry of one lookup from the lookup of another call
        reply = await ask(method, arguments, account, outside, request_id=waiting.lookup_id)
        answer = _common(json_object(reply.body))
        code = answer.get("ResultCode")
        if not isinstance(code, str) or not code:
            raise ProviderUnavailableError("the answer has no ResultCode")
        if code == "UnknownTransaction":
            return {
                waiting.lookup_id: Failed("not_found", "the gateway doesn't know it: forged, or another environment's")
            }
        if code not in STATUSES:
            raise ProviderRefusedError("credentials" if code in CREDENTIALS else "refused", _refusal(code))
        if answer.get("TransactionId") != transaction:
            raise ProviderUnavailableError("the answer is about another transaction")
        await store(
            Answer(
                body=reply.body,
                content_type=reply.content_type,
                http_status=reply.status,
                received_at=reply.received_at,
                reference=transaction,
                answers=call.lookups,
                facts={ASKED_AT: rfc3339(reply.asked_at)},
            )
        )
        return {waiting.lookup_id: Succeeded()}

    def interpret(self, response: Response, account: Account) -> tuple[Observation, ...]:
        """The state of the answer's transaction; a Details answer holds the same data as ``CommonData``.

        The answer to a Close says only that it was done, so what was asked for is among the response's facts.
        """
        try:
            answer = json_object(response.body)
        except ProviderUnavailableError as error:
            raise UnreadableError(str(error)) from None
        if response.facts.get("method") == "Close":
            return (_closed(answer, response),)
        common = _common(answer)
        if _word(common.get("ResultCode")) not in STATUSES:
            raise UnreadableError("the ResultCode speaks of the request, not of a payment")
        transaction = common.get("TransactionId")
        if not isinstance(transaction, str) or not is_transaction(transaction):
            raise UnreadableError("the answer names no transaction")
        if response.reference not in (None, transaction):
            raise UnreadableError("the answer is about another transaction than the one asked for")
        return (_observation(common, transaction, response),)


def _json_of(notification: Notification) -> Mapping[str, Any]:
    """The body's JSON object, empty where there is no body; a ResponseUrl call has none."""
    if notification.method == "GET" or not notification.body.strip():
        return {}
    try:
        body = orjson.loads(notification.body)
    except orjson.JSONDecodeError:
        raise RejectedNotificationError("malformed", "the body is not JSON") from None
    if not isinstance(body, dict):
        raise RejectedNotificationError("malformed", "the body is not a JSON object")
    return body


def _either(holder: Mapping[str, Any], name: str) -> Any:
    """A member whose first letter may be of either case; an empty one is none."""
    return holder.get(name) or holder.get(name[0].lower() + name[1:])


def _id_in(body: Mapping[str, Any]) -> str | None:
    """The first place's that holds one; what is none says nothing."""
    common = _either(body, "CommonData")
    nested = _either(common, "TransactionId") if isinstance(common, dict) else None
    ids = (one for one in (nested, _either(body, "TransactionId")) if isinstance(one, str) and is_transaction(one))
    return next(ids, None)


def _id_in_query(query: str) -> str | None:
    """The query's one transaction id; several different ones are none."""
    named = fields(query.encode("utf-8", "surrogatepass"))  # a shell's argument may hold bytes that are no UTF-8
    texts = {value.decode("ascii", "replace") for name, value in named if name in (b"TransactionId", b"transactionId")}
    found = [text for text in texts if is_transaction(text)]
    return found[0] if len(found) == 1 else None


def _common(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is said of the transaction: a Details answer has it as ``CommonData``, its errors stand beside it."""
    common = answer.get("CommonData")
    if common is None:
        return answer
    return common if isinstance(common, dict) else {}


def _refusal(code: str) -> str:
    return f"the gateway answers {code}" if code in CREDENTIALS | REFUSALS else "the gateway answers a code of its own"


def _observation(answer: Mapping[str, Any], transaction: str, response: Response) -> Observation:
    words = {name: _word(answer.get(name)) for name in ("ResultCode", "CommitState")}
    commits = answer.get("AutoCommit")
    # nothing but these is made text: of a deeply nested value that would fail
    words["AutoCommit"] = _TRUTHS.get(str(commits).lower(), "") if isinstance(commits, str | int) else ""
    status = _status(words["ResultCode"], words["AutoCommit"], words["CommitState"])
    amount = _money(answer)
    order_id = answer.get("OrderId")
    return Observation(
        provider="nevogate",
        merchant=response.merchant,
        payment_id=transaction,
        order_id=str(order_id) if isinstance(order_id, str | int) and order_id != "" else None,
        status=status,
        amount=amount,
        paid=amount if status == "captured" else None,
        provider_status={name: text for name, text in words.items() if text},
        source=response.facts.get("method", "Result"),
        # Created is when the transaction was made, in a zone nobody names: no time of this state
        provider_time=None,
        # by when they were asked for: a slow answer may tell what was true long before a quick one that overtook it,
        # while the Result of the newest call was asked for after the last change
        observed_at=rfc3339(_asked_at(response)),
    )


def _asked_at(response: Response) -> datetime:
    """By the brokers' clock; when it was received, where the worker's clock has jumped while it waited."""
    asked_at = parse_time(response.facts.get(ASKED_AT, ""))
    if asked_at is None or not timedelta(0) <= response.received_at - (asked_at + response.behind) <= _LONGEST_CALL:
        return response.received_at
    return asked_at + response.behind


def _closed(answer: Mapping[str, Any], response: Response) -> Observation:
    """What the answer to our own Close means: all of the hold is captured, a part and the rest is free, or all is."""
    if answer.get("ResultCode") != "SUCCESSFUL":
        raise UnreadableError("the hold was not closed")
    if response.reference is None or answer.get("TransactionId", response.reference) != response.reference:
        raise UnreadableError("the answer is about another transaction than the one closed")
    captured = response.facts.get("asked") == "capture"
    value, currency = response.facts.get("value"), response.facts.get("currency")
    return Observation(
        provider="nevogate",
        merchant=response.merchant,
        payment_id=response.reference,
        order_id=None,
        status="captured" if captured else "cancelled",
        paid=from_minor(value, currency) if captured and value is not None else None,
        provider_status={"ResultCode": "SUCCESSFUL"},
        source="Close",
        observed_at=rfc3339(response.received_at),
    )


def _status(code: str, auto_commit: str, commit_state: str) -> Status:
    status = STATUSES[code]
    if status is not None:
        return status
    if auto_commit == "true" or commit_state == "APPROVED":
        return "captured"
    return TWO_STEP.get((auto_commit, commit_state), "unknown")


def _word(value: object) -> str:
    """A word of the gateway; anything that may be free text is left out."""
    return value if isinstance(value, str) and _WORD.match(value) else ""


def _money(answer: Mapping[str, Any]) -> Money | None:
    """The amount in minor units, or none: older answers lack it, and an odd one must not hide the state."""
    try:
        return from_major(answer.get("Amount"), answer.get("Currency"))
    except UnreadableError:
        return None
