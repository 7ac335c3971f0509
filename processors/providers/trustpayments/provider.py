"""Trust Payments (STPP, formerly Secure Trading): hashed form notifications, TRANSACTIONQUERY for the truth.

Sources: the vendor's help pages (URL notification, response site security, settlement, error codes, transaction
query), its Magento and WooCommerce modules and its Python client 1.0.26. The hash joins values without separators
and leaves names out, so a signed message can be split anew without the password: what a notification says is never
believed, only which transaction it is about (G3).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

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
    RetryLater,
    Store,
    Succeeded,
    WaitingLookup,
)
from processors.providers.form import Fields, fields
from processors.providers.http import HttpResponse, basic_authorization, exchange, json_object
from processors.providers.trustpayments.codes import SETTLE_STATUSES, STOP_QUERY, uncertain
from processors.providers.trustpayments.records import (
    is_reference,
    observations,
    query_of,
    records_of,
    word,
)
from schemas.configuration.merchants import TrustPaymentsMerchant
from schemas.configuration.secrets import reveal_all
from schemas.errors import ProviderRefusedError, ProviderUnavailableError, RejectedNotificationError, UnreadableError
from schemas.messages import RECOVERY, Lookup, Observation
from schemas.times import rfc3339

#: The fields of the system rules STR-8, STR-9 and STR-10. More only as the merchant's ``extra_fields``.
DEFAULT_FIELDS: Final = frozenset(
    (
        b"transactionreference",
        b"requestreference",
        b"orderreference",
        b"sitereference",
        b"errorcode",
        b"settlestatus",
        b"paymenttypedescription",
        b"notificationreference",
        b"responsesitesecurity",
    )
)

#: Requests whose outcome must be known: until it is, they are asked about again.
_MOVING: Final = frozenset({"AUTH", "REFUND", "CHARGEBACK"})
_UNSIGNED: Final = frozenset((b"notificationreference", b"responsesitesecurity"))
_MOST_FIELDS: Final = 200
_LONGEST_ORDER: Final = 255
_DIGITS: Final = re.compile(rb"[0-9]{1,9}\Z")
_NAME: Final = re.compile(rb"[A-Za-z0-9_]{1,50}\Z")
#: The official client's alphabet of request references.
_REQUEST_ALPHABET: Final = "0123456789abcdefghjkmnpqrtuvwxy"


@dataclass(frozen=True, slots=True)
class Form:
    """A notification's decoded fields in wire order, and the hash it came with."""

    fields: Fields
    signature: bytes

    def first(self, name: bytes) -> bytes:
        """The field's first value, empty where it is absent."""
        return next((value for key, value in self.fields if key == name), b"")


def is_order_reference(text: str) -> bool:
    """Whether an order can be asked for by this text."""
    return 0 < len(text) <= _LONGEST_ORDER and "\0" not in text


class TrustPaymentsProvider:
    """The provider ``trustpayments``."""

    name = "trustpayments"
    #: A fresh transaction may be unknown to queries for more than five minutes: five tries reach beyond an hour.
    policy = Policy(retries={"not_found": 5, "unavailable": 24, "rate_limited": 24, "uncertain": 24})

    def parse(self, notification: Notification, account: Account) -> ParsedNotification:
        """The form's fields. What they mean is judged after the hash."""
        if notification.body.count(b"&") >= _MOST_FIELDS:
            raise RejectedNotificationError("malformed", f"the form has more than {_MOST_FIELDS} fields")
        form = fields(notification.body)
        if not form:
            raise RejectedNotificationError("malformed", "the body is not a form")
        signature = next((value for name, value in form if name == b"responsesitesecurity"), b"")
        if not signature:
            raise RejectedNotificationError("missing_signature", "the form has no responsesitesecurity")
        detail = Form(form, signature)
        reference = detail.first(b"transactionreference").decode("ascii", "replace")
        return ParsedNotification(
            reference=reference if is_reference(reference) else None,
            # With notificationreference: a retry carries the same one, while a settle status that goes from 0 to 2
            # and back signs the same text a second time and must be looked up again.
            duplicate_key=hashlib.sha256(repr(sorted(form)).encode()).digest(),
            detail=detail,
        )

    def verify(self, claim: ParsedNotification, notification: Notification, account: Account) -> Authenticity:
        """The hash first, then the narrow form that makes splitting signed values anew harder."""
        form: Form = claim.detail
        merchant = _merchant(account)
        _check_hash(form, reveal_all(account.secrets["notification_passwords"]))
        _check_names(form, merchant)
        _check_values(form, claim, merchant)
        return "authentic"

    def plan(self, claim: ParsedNotification, notification: Notification) -> Lookup:
        """The transaction the form names; by the order where a custom rule leaves the transaction out."""
        form: Form = claim.detail
        arguments = {} if claim.reference else {"orderreference": form.first(b"orderreference").decode()}
        return Lookup(
            provider=self.name,
            merchant=notification.merchant,
            operation="transaction",
            reference=claim.reference,
            notification_id=notification.notification_id,
            received_at=rfc3339(notification.received_at),
            arguments=arguments,
        )

    def calls(self, lookups: Sequence[WaitingLookup], outside: CallContext) -> Iterable[Call]:
        """One query filters on many transactions; an order is asked for alone."""
        by_question: dict[_Question, list[WaitingLookup]] = {}
        for one in lookups:
            by_question.setdefault(_question(one.lookup), []).append(one)
        transactions = [asked for question, asked in by_question.items() if question.field == "transactionreference"]
        size = outside.transactions_per_query
        groups = [transactions[start : start + size] for start in range(0, len(transactions), size)]
        groups += [[asked] for question, asked in by_question.items() if question.field != "transactionreference"]
        # lanes of their own: queries only read, so none has to wait for another
        return [Call(f"{group[0][0].lookup_id}", tuple(one for asked in group for one in asked)) for group in groups]

    async def fetch(
        self, call: Call, account: Account, outside: CallContext, store: Store
    ) -> Mapping[str, LookupOutcome]:
        """Ask one TRANSACTIONQUERY; each lookup is answered by the records it asked for, or must wait."""
        merchant = _merchant(account)
        questions = {one.lookup_id: _question(one.lookup) for one in call.lookups}
        field, values = questions[call.lookups[0].lookup_id].field, sorted({one.value for one in questions.values()})
        if not field:
            unreadable = Failed("unreadable_lookup", "the lookup names neither a transaction nor an order")
            return dict.fromkeys(questions, unreadable)
        reply, query = await ask({field: values}, account, outside)
        found = _Found(field, records_of(query, merchant.site_reference))
        outcomes = {one.lookup_id: found.outcome(one.lookup) for one in call.lookups}
        answered = tuple(one for one in call.lookups if isinstance(outcomes[one.lookup_id], Succeeded))
        if answered:
            await store(_answer(reply, answered, values))
        return outcomes

    def interpret(self, response: Response, account: Account) -> tuple[Observation, ...]:
        """Payments, refunds and chargebacks among the answer's records."""
        try:
            query = query_of(json_object(response.body))
        except ProviderUnavailableError as error:
            raise UnreadableError(str(error)) from None
        if query is None or word(query, "errorcode") != "0":
            raise UnreadableError("the query failed, so nothing is said of any payment")
        return observations(query, _merchant(account), response)


@dataclass(frozen=True, slots=True)
class _Question:
    """The filter a lookup needs; without a field it can't be asked."""

    field: str
    value: str


def _question(lookup: Lookup) -> _Question:
    if lookup.reference is not None and is_reference(lookup.reference):
        return _Question("transactionreference", lookup.reference)
    order = lookup.arguments.get("orderreference", "")
    return _Question("orderreference" if order and lookup.reference is None else "", order)


def _merchant(account: Account) -> TrustPaymentsMerchant:
    assert isinstance(account.merchant, TrustPaymentsMerchant)
    return account.merchant


def _check_hash(form: Form, passwords: tuple[str, ...]) -> None:
    """SHA-256 over the values in byte order of their names, repeats in wire order, then the password."""
    signed = sorted((one for one in form.fields if one[0] not in _UNSIGNED), key=itemgetter(0))
    text = b"".join([value for _, value in signed])
    for password in passwords:
        digest = hashlib.sha256(text + password.encode()).hexdigest().encode()
        if hmac.compare_digest(digest, form.signature):
            return
    raise RejectedNotificationError("bad_signature", "no active notification password made the hash")


def _check_names(form: Form, merchant: TrustPaymentsMerchant) -> None:
    """Names are not hashed, so a field nobody asked for, or a second one, may be a piece of another's value."""
    names = {name for name, _ in form.fields}
    repeated = _bytes(merchant.repeated_fields)
    if unknown := names - DEFAULT_FIELDS - _bytes(merchant.extra_fields) - repeated:
        raise RejectedNotificationError(
            "unexpected_field", f"{_shown(min(unknown))} is not in the merchant's extra_fields"
        )
    if len(names) == len(form.fields):
        return
    for name, times in Counter(name for name, _ in form.fields).items():
        if times > 1 and name not in repeated:
            raise RejectedNotificationError(
                "unexpected_field", f"{_shown(name)} is repeated and not in repeated_fields"
            )


@lru_cache(maxsize=256)
def _bytes(names: tuple[str, ...]) -> frozenset[bytes]:
    return frozenset(name.encode() for name in names)


def _shown(name: bytes) -> str:
    return name.decode() if _NAME.match(name) else "a field"


def _check_values(form: Form, claim: ParsedNotification, merchant: TrustPaymentsMerchant) -> None:
    """The documented form of the values a lookup could hang on."""
    for name, value in form.fields:
        if name == b"errorcode" and not _DIGITS.match(value):
            raise RejectedNotificationError("malformed", "errorcode is not a number")
        if name == b"settlestatus" and value and value.decode("ascii", "replace") not in SETTLE_STATUSES:
            raise RejectedNotificationError("malformed", "settlestatus is none of the documented values")
        if name == b"sitereference" and value != merchant.site_reference.encode():
            raise RejectedNotificationError(
                "malformed", "sitereference is another site's than the configured site_reference"
            )
        if name == b"transactionreference" and value and claim.reference is None:
            raise RejectedNotificationError("malformed", "transactionreference is not three numbers joined by hyphens")
    if claim.reference is None and not _usable_order(form.first(b"orderreference")):
        raise RejectedNotificationError("malformed", "the form names neither a transaction nor an order")


def _usable_order(value: bytes) -> bool:
    """An order reference can be asked for if it is text; bytes that are no UTF-8 matter only where it is needed."""
    try:
        return is_order_reference(value.decode())
    except UnicodeDecodeError:
        return False


async def ask(
    wanted: Mapping[str, Sequence[str]], account: Account, outside: CallContext
) -> tuple[HttpResponse, Mapping[str, Any]]:
    """One query for the site's records that have, in each field of ``wanted``, any of its values.

    Raises:
        ProviderRefusedError: credentials (401), or a request that fails again until a person changes something.
        ProviderUnavailableError: anything else that is no answer to this very query.
    """
    merchant = _merchant(account)
    reference = "A" + "".join(secrets.choice(_REQUEST_ALPHABET) for _ in range(8))
    question = {
        "alias": merchant.username,
        "version": "1.00",
        "request": [
            {
                "requestreference": reference,
                "requesttypedescriptions": ["TRANSACTIONQUERY"],
                "filter": {
                    "sitereference": [{"value": merchant.site_reference}],
                    **{field: [{"value": value} for value in values] for field, values in wanted.items()},
                },
            }
        ],
    }
    headers = {
        "Authorization": basic_authorization(merchant.username, account.secrets["password"][0]),
        "Content-Type": "application/json;charset=utf-8",
    }
    content = json.dumps(question).encode()
    reply = await exchange(outside, "POST", merchant.webservices_url, headers=headers, content=content)
    if reply.status in (401, 403):
        raise ProviderRefusedError("credentials", "the Web Services user, its password or our address is not accepted")
    if reply.status == 400:
        raise ProviderRefusedError("refused", "the query is refused (HTTP 400)")
    if reply.status != 200:
        raise ProviderUnavailableError(f"HTTP {reply.status}")
    return reply, _answering(json_object(reply.body), reference)


def _answering(answer: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    query = query_of(answer)
    if query is None or answer.get("requestreference") != reference:
        raise ProviderUnavailableError("the answer is not to this query")
    errorcode = word(query, "errorcode")
    if errorcode in STOP_QUERY:
        raise ProviderRefusedError("refused", f"the query is refused with errorcode {errorcode}")
    if errorcode != "0":
        raise ProviderUnavailableError("the query failed")
    return query


class _Found:
    """An answer's records by what was asked: an answer to forty questions is read once, not forty times."""

    def __init__(self, field: str, records: Sequence[Mapping[str, Any]]) -> None:
        self._by_value: dict[str, list[Mapping[str, Any]]] = {}
        for one in records:
            self._by_value.setdefault(word(one, field), []).append(one)
        self._known = {word(one, "transactionreference") for one in records}

    def outcome(self, lookup: Lookup) -> LookupOutcome:
        """What a lookup with this field comes to."""
        mine = self._by_value.get(_question(lookup).value)
        if not mine:
            if RECOVERY in lookup.arguments:
                return Succeeded()  # nobody said it existed: an abandoned basket is no dead letter
            return RetryLater("not_found", "the provider has no record of it yet")
        kinds = [(one, word(one, "requesttypedescription")) for one in mine]
        # a refund says nothing of its payment, so the payment itself is asked for where it is not among the records
        parents = {word(one, "parenttransactionreference") for one, kind in kinds if kind != "AUTH"}
        open_ended = any(uncertain(word(one, "errorcode")) for one, kind in kinds if kind in _MOVING)
        return Succeeded(
            again="uncertain" if open_ended else None,
            follow_ups=tuple(sorted(parent for parent in parents - self._known if is_reference(parent))),
        )


def _answer(reply: HttpResponse, answered: tuple[WaitingLookup, ...], values: Sequence[str]) -> Answer:
    return Answer(
        body=reply.body,
        content_type=reply.content_type,
        http_status=reply.status,
        received_at=reply.received_at,
        reference=answered[0].lookup.reference if len(values) == 1 else None,
        answers=answered,
    )
