"""BIG FISH Payment Gateway / Nevogate: unsigned calls with an id, one ``Result`` for each of them.

Sources: the vendor's pages on Result, StartRP, Details and PayAlert, and its PHP SDK 5.0.1. The vendor requires exactly
one Result after every NotificationUrl and ResponseUrl call and none without a call. So nothing is deduplicated before
the fetch, and a lookup that was answered is never repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import (
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
from paynotify.processors.providers.http import response_object
from paynotify.processors.providers.nevogate import client
from paynotify.processors.providers.nevogate.call_content import content_of
from paynotify.processors.providers.nevogate.contract import DETAILS, NAME, RESULT, NevogateMerchant
from paynotify.processors.providers.nevogate.interpretation import (
    ASKED_AT,
    STATUSES,
    common_data,
    interpreted,
    is_transaction,
    needs_details,
)
from paynotify.processors.providers.nevogate.pay_alert import alert_in
from paynotify.processors.providers.outcomes import Failed, FurtherLookup, LookupOutcome, Succeeded
from paynotify.schemas.errors import ProviderRefusedError, ProviderUnavailableError, RejectedNotificationError
from paynotify.schemas.messages import AMOUNT_MISSING, CAUSE, Lookup
from paynotify.schemas.times import rfc3339

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

#: Why Details are read after a Result.
_FOR_THE_AMOUNT: Final = {CAUSE: AMOUNT_MISSING}


class NevogateProvider:
    """The provider ``nevogate``."""

    name = NAME
    policy = Policy(retries={"unavailable": 24, "rate_limited": 24}, remembers_answered=True, unsigned=True)

    def parse(self, notification: Notification, account: Account[NevogateMerchant]) -> ParsedNotification:
        """The transaction's id from the body or the query; a PayAlert has none.

        An unreadable body does not matter if the query names the transaction: the call needs its Result.
        """
        content = content_of(notification)
        if content.transaction is not None:
            return ParsedNotification(reference=content.transaction, duplicate_key=None, detail=None)
        alert = alert_in(content)
        if alert is not None:
            return ParsedNotification(reference=None, duplicate_key=None, detail=None, alert=alert)
        raise RejectedNotificationError(
            "malformed", f"{content.problem}no transaction id of 32 lower-case hex digits in body or query"
        )

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
        if method == "Result" and needs_details(data, account.merchant):
            return {waiting.lookup_id: Succeeded(further=(FurtherLookup(DETAILS, transaction, _FOR_THE_AMOUNT),))}
        return {waiting.lookup_id: Succeeded()}

    def interpret(self, response: ProviderResponse, account: Account[NevogateMerchant]) -> Interpretation:
        """The state of the response's transaction, as of a Result, StartRP, Close or Details."""
        observation = interpreted(response, account.merchant)
        return Interpretation(() if observation is None else (observation,))


def _refusal(code: str) -> str:
    return f"the gateway returns {code}" if code in CREDENTIALS | REFUSALS else "the gateway returns a code of its own"
