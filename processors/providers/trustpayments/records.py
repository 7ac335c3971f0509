"""The records of a TRANSACTIONQUERY response: which they are, and how their fields are read.

The response's own errorcode is about the query; only a record's errorcode and settlestatus describe a payment. All
scalars are strings, absent rather than null, and a response that found nothing is a success without records. One that
is not so is read leniently, element by element.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

from paynotify.processors.providers.json_body import readable_object
from paynotify.schemas.errors import PaynotifyError, UnreadableError
from paynotify.schemas.ids import MAX_ID_LENGTH

_REFERENCE: Final = re.compile(r"[0-9]{1,20}-[0-9]{1,20}-[0-9]{1,20}\Z")
#: Python reads other forms of dates as well, and `strptime` takes as long as all the rest of a record.
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\Z")
#: Larger numbers are no field of the gateway's, and Python refuses to write some of them as text.
_LARGEST_NUMBER: Final = 10**18
_YEARS: Final = range(2000, 9000)

#: The request types that say something of a payment.
PAYMENT_KINDS: Final = frozenset({"AUTH", "REFUND", "CHARGEBACK"})

#: Stands for what is settled where that is neither text nor a number. It must not look as if it were absent: then all
#: would count as settled.
_NO_AMOUNT: Final = "?"


class TransactionRecord(msgspec.Struct, frozen=True, gc=False):
    """One record's fields that are read, with the gateway's names. A field is empty where it is absent or no scalar."""

    requesttypedescription: str = ""
    transactionreference: str = ""
    parenttransactionreference: str = ""
    sitereference: str = ""
    orderreference: str = ""
    errorcode: str = ""
    settlestatus: str = ""
    baseamount: str = ""
    mainamount: str = ""
    settlebaseamount: str = ""
    currencyiso3a: str = ""
    dccenabled: str = ""
    dccbaseamount: str = ""
    dccmainamount: str = ""
    dcccurrencyiso3a: str = ""
    accounttypedescription: str = ""
    paymenttypedescription: str = ""
    authmethod: str = ""
    splitfinalnumber: str = ""
    subscriptiontype: str = ""
    settleduedate: str = ""
    transactionstartedtimestamp: str = ""
    fraudcontrolshieldstatuscode: str = ""
    enrolled: str = ""
    threedversion: str = ""

    @property
    def parent(self) -> str:
        """The reference of the request that this one is about; empty where it names none."""
        return self.parenttransactionreference if is_reference(self.parenttransactionreference) else ""


class TransactionQuery(msgspec.Struct, frozen=True):
    """The part of a response that is about its query. ``records`` has None in place of what is no object, and is None
    where it is no list."""

    errorcode: str = ""
    transactionstartedtimestamp: str = ""
    errordata: Any = None
    data: Any = None
    records: list[TransactionRecord | None] | None = []

    def own_records(self, site_reference: str) -> list[TransactionRecord]:
        """The site's own records. Another site's are not this merchant's."""
        return [one for _, one in self.numbered_records(site_reference)]

    def numbered_records(self, site_reference: str) -> list[tuple[int, TransactionRecord]]:
        """The site's own records, each with its number in the response."""
        own = ("", site_reference)
        return [
            (number, one)
            for number, one in enumerate(self.records or ())
            if one is not None and one.sitereference in own
        ]

    @property
    def count(self) -> int:
        """How many records the response has, another site's included."""
        return len(self.records or ())


class QueryResponse(msgspec.Struct, frozen=True):
    """A response, which is about one query."""

    response: list[TransactionQuery] = []
    requestreference: Any = None

    @property
    def query(self) -> TransactionQuery | None:
        """What the response says of its query; None where it says nothing of one."""
        return self.response[0] if self.response else None


_DECODER: Final = msgspec.json.Decoder(QueryResponse)


def read_response(body: bytes, error: Callable[[str], PaynotifyError]) -> QueryResponse:
    """The response in a body.

    Raises:
        PaynotifyError: the body is no JSON object; ``error`` makes the exception of what is wrong.
    """
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _leniently(readable_object(body, error))


def _leniently(body: dict[str, Any]) -> QueryResponse:
    items = body.get("response")
    query = items[0] if isinstance(items, list) and items else None
    found = [_query(query)] if isinstance(query, dict) else []
    return QueryResponse(found, body.get("requestreference"))


def _query(query: dict[str, Any]) -> TransactionQuery:
    records = query.get("records", [])
    return TransactionQuery(
        errorcode=_text(query.get("errorcode")),
        transactionstartedtimestamp=_text(query.get("transactionstartedtimestamp")),
        errordata=query.get("errordata"),
        data=query.get("data"),
        records=[transaction_record(one) for one in records] if isinstance(records, list) else None,
    )


def transaction_record(value: object) -> TransactionRecord | None:
    """The record in a JSON value; None where it is no object."""
    if not isinstance(value, dict):
        return None
    texts = {name: _text(value[name]) for name in TransactionRecord.__struct_fields__ if name in value}
    if value.get("settlebaseamount") not in (None, "") and not texts["settlebaseamount"]:
        texts["settlebaseamount"] = _NO_AMOUNT
    return TransactionRecord(**texts)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    number = isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_NUMBER
    return str(value) if number else ""


def odd_numbers(query: TransactionQuery) -> list[int]:
    """The numbers of what is no record.

    Raises:
        UnreadableError: the response has something else in place of all its records.
    """
    if query.records is None:
        raise UnreadableError("the response's records are no list")
    return [number for number, one in enumerate(query.records) if one is None]


def is_reference(text: str) -> bool:
    """Whether the text has the form of a transaction reference: three numbers joined by hyphens."""
    return _REFERENCE.match(text) is not None


def is_order_reference(text: str) -> bool:
    """Whether an order can be looked up by this text."""
    return 0 < len(text) <= MAX_ID_LENGTH and "\0" not in text


def by_reference(records: Iterable[TransactionRecord]) -> dict[str, TransactionRecord]:
    """The records by their own references."""
    return {one.transactionreference: one for one in records}


def gateway_time(text: str) -> datetime | None:
    """The gateway's ``YYYY-MM-DD HH:MM:SS``, which is GMT; None where the text is no such time, or of a year near the
    calendar's ends, from which no days could be counted."""
    if not _TIME.match(text):
        return None
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if moment.year in _YEARS else None


def gateway_text(moment: datetime) -> str:
    """The gateway's ``YYYY-MM-DD HH:MM:SS`` in GMT."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def started_at(record: TransactionRecord | TransactionQuery) -> datetime | None:
    """When the request was made; None where the record does not say."""
    return gateway_time(record.transactionstartedtimestamp)


def gateway_date(text: str) -> date | None:
    """The gateway's ``YYYY-MM-DD``; None where the text is no such date."""
    try:
        return date.fromisoformat(text) if _DATE.match(text) else None
    except ValueError:
        return None
