"""Trust Payments (STPP, formerly Secure Trading): hashed form notifications, TRANSACTIONQUERY for the payment's state.

Sources: the vendor's help pages (URL notification, settlement, error codes, transaction query), its Magento and
WooCommerce modules and its Python client 1.0.26. The hash can be made to fit a forged split of the same values
(`processors.providers.trustpayments.signature`), so of a notification only the transaction it names is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

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
from paynotify.processors.providers.form import fields
from paynotify.processors.providers.outcomes import LookupOutcome, Succeeded
from paynotify.processors.providers.trustpayments.contract import NAME, TRANSACTION, TrustPaymentsMerchant
from paynotify.processors.providers.trustpayments.gathered_query import GatheredQuery, Part, PartResponse
from paynotify.processors.providers.trustpayments.interpretation import interpreted
from paynotify.processors.providers.trustpayments.lookups import ORDERS, FoundRecords, filter_of, grouped
from paynotify.processors.providers.trustpayments.records import is_reference, read_response
from paynotify.processors.providers.trustpayments.signature import Form, check_hash, check_names, check_values, form_of
from paynotify.schemas.errors import RejectedNotificationError, UnreadableError
from paynotify.schemas.messages import Lookup
from paynotify.schemas.times import rfc3339

_MAX_FIELDS: Final = 200
#: After so many failed attempts, minutes later, one of the values may be to blame.
_SUSPICIOUS_ATTEMPTS: Final = 3


class TrustPaymentsProvider:
    """The provider ``trustpayments``."""

    name = NAME
    #: A fresh transaction may be unknown to queries for more than five minutes: five retries reach beyond an hour.
    policy = Policy(retries={"not_found": 5, "unavailable": 24, "rate_limited": 24, "uncertain": 24})

    def parse(self, notification: Notification, account: Account[TrustPaymentsMerchant]) -> ParsedNotification:
        """The form's fields. Their meaning is judged after the hash."""
        if notification.body.count(b"&") >= _MAX_FIELDS:
            raise RejectedNotificationError("malformed", f"the form has more than {_MAX_FIELDS} fields")
        decoded = fields(notification.body)
        if not decoded:
            raise RejectedNotificationError("malformed", "the body is not a form")
        form = form_of(decoded, account.merchant)
        if not form.signature and not account.merchant.accept_unsigned:
            raise RejectedNotificationError("missing_signature", "the form has no responsesitesecurity")
        reference = form.first(b"transactionreference").decode("ascii", "replace")
        return ParsedNotification(
            reference=reference if is_reference(reference) else None,
            duplicate_key=_duplicate_key(form),
            detail=form,
            warnings=("unexpected_field",) if form.unknown else (),
        )

    def verify(
        self, parsed: ParsedNotification, notification: Notification, account: Account[TrustPaymentsMerchant]
    ) -> Authenticity:
        """The hash first, then the narrow form that makes a forged split of signed values harder."""
        form: Form = parsed.detail
        merchant = account.merchant
        if form.signature:
            check_hash(form, account.reveal_all(merchant.notification_passwords))
        elif parsed.reference is None:
            # the budget of unsigned calls is by transaction, and an order may have any number of them
            raise RejectedNotificationError("missing_signature", "a form without a hash must name its transaction")
        check_names(form, parsed.reference, merchant)
        check_values(form, parsed.reference, merchant)
        return "authentic" if form.signature else "unsigned"

    def plan(self, parsed: ParsedNotification, notification: Notification) -> Lookup:
        """The transaction the form names; by the order where a custom rule leaves the transaction out."""
        form: Form = parsed.detail
        arguments = {} if parsed.reference else {"orderreference": form.first(b"orderreference").decode()}
        return Lookup(
            provider=self.name,
            merchant=notification.merchant,
            operation=TRANSACTION,
            reference=parsed.reference,
            notification_id=notification.notification_id,
            received_at=rfc3339(notification.received_at),
            arguments=arguments,
        )

    def calls(self, lookups: Sequence[WaitingLookup], context: CallContext) -> Iterable[Call]:
        """One query filters on many transactions; an order has a query of its own."""
        # queues of their own: queries only read, so none has to wait for another
        return [Call(group[0].lookup_id, group) for group in grouped(lookups, context.transactions_per_query)]

    async def fetch(
        self, call: Call, account: Account[TrustPaymentsMerchant], context: CallContext, store: Store
    ) -> Mapping[str, LookupOutcome]:
        """Query the call's transactions or order; each lookup is answered by the records it asked for, or retried
        later."""
        asked = {one.lookup_id: filter_of(one.lookup) for one in call.lookups}
        field = asked[call.lookups[0].lookup_id].field
        query = GatheredQuery(
            field,
            account,
            context,
            by_time=field == ORDERS,
            suspicious=any(one.attempts >= _SUSPICIOUS_ATTEMPTS for one in call.lookups),
        )
        values = sorted({value for one in asked.values() for value in one.values})
        parts = await self._parts(query, values, context)
        found = FoundRecords(field, parts)
        outcomes = {one.lookup_id: found.outcome(one.lookup, asked[one.lookup_id].values) for one in call.lookups}
        succeeded = [one for one in call.lookups if isinstance(outcomes[one.lookup_id], Succeeded)]
        for part in parts:
            if isinstance(part, PartResponse):
                told = frozenset(part.values)
                answered = tuple(one for one in succeeded if not told.isdisjoint(asked[one.lookup_id].values))
                if answered:
                    reference = answered[0].lookup.reference if len(part.values) == 1 else None
                    await store(replace(part.response, reference=reference), answered)
        return outcomes

    async def _parts(self, query: GatheredQuery, values: Sequence[str], context: CallContext) -> list[Part]:
        """The responses to all values, no more of them in a query than configured. A refund or chargeback and its
        parent are always in one, so that they are read together."""
        size = max(2, context.transactions_per_query)
        chunks = [values[start : start + size] for start in range(0, len(values), size)]
        if len(chunks) <= 1:
            return await query.parts(values) if values else []
        return [part for chunk in chunks for part in await query.attempted(chunk)]

    def interpret(self, response: ProviderResponse, account: Account[TrustPaymentsMerchant]) -> Interpretation:
        """Payments, refunds and chargebacks among the response's records."""
        query = read_response(response.body, lambda problem: UnreadableError(f"the response {problem}")).query
        if query is None or query.errorcode != "0":
            raise UnreadableError("the query failed, so nothing is said of any payment")
        return interpreted(query, account.merchant, response)


def _duplicate_key(form: Form) -> bytes | None:
    """What makes two forms the same notification; None where each is looked up.

    Whoever has seen one form could invent names that nobody configured without end, each time with the same hash. So of
    forms with such names the first one of each hash and transaction counts.
    """
    if not form.signature:
        # anybody could send an unsigned form first, and make the gateway's own a duplicate
        return None
    if form.unknown:
        same: object = (form.signature, form.first(b"transactionreference"))
    else:
        # With notificationreference: a retry carries the same one, while a settle status that goes from 0 to 2 and back
        # signs the same text a second time and must be looked up again.
        same = sorted(form.fields)
    return hashlib.sha256(repr(same).encode()).digest()
