"""BIG FISH Payment Gateway / Nevogate: unsigned calls with an id, one ``Result`` for each of them.

Sources: the vendor's pages on Result, StartRP, Details and PayAlert, and its PHP SDK 5.0.1. The vendor requires exactly
one Result after every NotificationUrl and ResponseUrl call and none without a call. So nothing is deduplicated before
the fetch, and a lookup that was answered is never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from processors.providers.account import Account
from processors.providers.base import (
    Authenticity,
    Call,
    CallContext,
    Interpretation,
    Notification,
    ParsedNotification,
    Policy,
    ProviderResponse,
    Store,
    WaitingLookup,
)
from processors.providers.form import fields
from processors.providers.http import response_object
from processors.providers.json_body import json_object
from processors.providers.nevogate import client
from processors.providers.nevogate.contract import DETAILS, NAME, RESULT, NevogateMerchant
from processors.providers.nevogate.interpretation import ASKED_AT, STATUSES, common_data, interpreted, is_transaction
from processors.providers.outcomes import Failed, LookupOutcome, Succeeded
from schemas.errors import ProviderRefusedError, ProviderUnavailableError, RejectedNotificationError
from schemas.messages import Lookup
from schemas.times import rfc3339

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
    RESULT: ("Result", {}),
    DETAILS: ("Details", {"GetRelatedTransactions": False}),
}

#: Names of alerts that are published as they are; any other single member with this prefix is an alert without a name.
_ALERT: Final = re.compile(r"alert[A-Za-z]{1,60}\Z")


class NevogateProvider:
    """The provider ``nevogate``."""

    name = NAME
    policy = Policy(retries={"unavailable": 24, "rate_limited": 24}, remembers_answered=True, unsigned=True)

    def parse(self, notification: Notification, account: Account[NevogateMerchant]) -> ParsedNotification:
        """The transaction's id from the JSON body or the query; a PayAlert has none.

        An unreadable body does not matter if the query names the transaction: the call needs its Result.
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

    def verify(
        self, parsed: ParsedNotification, notification: Notification, account: Account[NevogateMerchant]
    ) -> Authenticity:
        """The vendor signs nothing: the call is a hint, and the Result is fetched with the merchant's credentials."""
        return "unsigned"

    def plan(self, parsed: ParsedNotification, notification: Notification) -> Lookup:
        """The Result of the transaction the call names."""
        return Lookup(
            provider=self.name,
            merchant=notification.merchant,
            operation=RESULT,
            reference=parsed.reference,
            notification_id=notification.notification_id,
            received_at=rfc3339(notification.received_at),
        )

    def calls(self, lookups: Sequence[WaitingLookup], context: CallContext) -> Iterable[Call]:
        """One for each lookup: every call is owed its own Result. Those of one transaction keep their order."""
        return [Call(one.lookup.reference or "", (one,)) for one in lookups]

    async def fetch(
        self, call: Call, account: Account[NevogateMerchant], context: CallContext, store: Store
    ) -> Mapping[str, LookupOutcome]:
        """Call Result once; for a recovery lookup Details, which returns the same and needs no notification."""
        waiting = call.lookups[0]
        transaction = waiting.lookup.reference or ""
        if not is_transaction(transaction):
            return {waiting.lookup_id: Failed("unreadable_lookup", "the lookup names no transaction")}
        method, more = _METHODS.get(waiting.lookup.operation, _METHODS[RESULT])
        arguments = {"TransactionId": transaction, **more}
        # a proxy or simulator can distinguish the retry of one lookup from the lookup of another call
        response = await client.call(method, arguments, account, context, request_id=waiting.lookup_id)
        data = common_data(response_object(response))
        code = data.get("ResultCode")
        if not isinstance(code, str) or not code:
            raise ProviderUnavailableError("the response has no ResultCode")
        if code == "UnknownTransaction":
            return {
                waiting.lookup_id: Failed("not_found", "the gateway doesn't know it: forged, or another environment's")
            }
        if code not in STATUSES:
            raise ProviderRefusedError("credentials" if code in CREDENTIALS else "refused", _refusal(code))
        if data.get("TransactionId") != transaction:
            raise ProviderUnavailableError("the response is about another transaction")
        assert response.asked_at is not None
        facts = {ASKED_AT: rfc3339(response.asked_at)}
        await store(replace(response, reference=transaction, facts=facts), call.lookups)
        return {waiting.lookup_id: Succeeded()}

    def interpret(self, response: ProviderResponse, account: Account[NevogateMerchant]) -> Interpretation:
        """The state of the response's transaction, as of a Result, StartRP, Close or Details."""
        return Interpretation((interpreted(response, account.merchant),))


def _json_of(notification: Notification) -> Mapping[str, Any]:
    """The body's JSON object, empty where there is no body; a ResponseUrl call has none."""
    if notification.method == "GET" or not notification.body.strip():
        return {}
    return json_object(notification.body, lambda problem: RejectedNotificationError("malformed", f"the body {problem}"))


def _either(holder: Mapping[str, Any], name: str) -> Any:
    """A member whose first letter may be of either case; an empty one counts as missing."""
    return holder.get(name) or holder.get(name[0].lower() + name[1:])


def _id_in(body: Mapping[str, Any]) -> str | None:
    """The id in the first place that holds one; anything else is ignored."""
    common = _either(body, "CommonData")
    nested = _either(common, "TransactionId") if isinstance(common, dict) else None
    ids = (one for one in (nested, _either(body, "TransactionId")) if isinstance(one, str) and is_transaction(one))
    return next(ids, None)


def _id_in_query(query: str) -> str | None:
    """The query's one transaction id; None where it names several different ones."""
    named = fields(query.encode("utf-8", "surrogatepass"))  # a shell's argument may hold bytes that are no UTF-8
    texts = {value.decode("ascii", "replace") for name, value in named if name in (b"TransactionId", b"transactionId")}
    found = [text for text in texts if is_transaction(text)]
    return found[0] if len(found) == 1 else None


def _refusal(code: str) -> str:
    return f"the gateway returns {code}" if code in CREDENTIALS | REFUSALS else "the gateway returns a code of its own"
