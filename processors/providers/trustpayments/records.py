"""The records of a TRANSACTIONQUERY response: which they are, and how their fields are read.

The response's own errorcode is about the query; only a record's errorcode and settlestatus describe a payment. All
scalars are strings, absent rather than null, and a response that found nothing is a success without records.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from schemas.errors import UnreadableError
from schemas.ids import MAX_ID_LENGTH

TransactionRecord = Mapping[str, Any]

_REFERENCE: Final = re.compile(r"[0-9]{1,20}-[0-9]{1,20}-[0-9]{1,20}\Z")
#: Python reads other forms of dates as well, and `strptime` takes as long as all the rest of a record.
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\Z")
#: Larger numbers are no field of the gateway's, and Python refuses to write some of them as text.
_LARGEST_NUMBER: Final = 10**18
_YEARS: Final = range(2000, 9000)

#: The request types that say something of a payment.
PAYMENT_KINDS: Final = frozenset({"AUTH", "REFUND", "CHARGEBACK"})


def is_reference(text: str) -> bool:
    """Whether the text has the form of a transaction reference: three numbers joined by hyphens."""
    return bool(_REFERENCE.match(text))


def is_order_reference(text: str) -> bool:
    """Whether an order can be looked up by this text."""
    return 0 < len(text) <= MAX_ID_LENGTH and "\0" not in text


def word(record: TransactionRecord, name: str) -> str:
    """A field's text, empty where it is absent or no scalar."""
    value = record.get(name)
    if isinstance(value, str):
        return value
    number = isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_NUMBER
    return str(value) if number else ""


def reference_of(record: TransactionRecord) -> str:
    """The record's own reference."""
    return word(record, "transactionreference")


def parent_of(record: TransactionRecord) -> str:
    """The reference of the request that this one is about; empty where it names none."""
    parent = word(record, "parenttransactionreference")
    return parent if is_reference(parent) else ""


def kind_of(record: TransactionRecord) -> str:
    """The record's request type."""
    return word(record, "requesttypedescription")


def query_of(body: Mapping[str, Any]) -> TransactionRecord | None:
    """The part of a response that is about its one query; None where it has no such part."""
    items = body.get("response")
    return items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else None


def placed_records(query: TransactionRecord, site_reference: str) -> list[tuple[str, TransactionRecord]]:
    """The site's own records, each with its place in the response. Another site's are not this merchant's."""
    records = query.get("records")
    return [
        (f"records/{number}", one)
        for number, one in enumerate(records if isinstance(records, list) else [])
        if isinstance(one, dict) and word(one, "sitereference") in ("", site_reference)
    ]


def odd_places(query: TransactionRecord) -> list[str]:
    """The places in the response at which there is something else than a record.

    Raises:
        UnreadableError: the response has something else in place of all its records.
    """
    records = query.get("records", [])
    if not isinstance(records, list):
        raise UnreadableError("the response's records are no list")
    return [f"records/{number}" for number, one in enumerate(records) if not isinstance(one, dict)]


def records_of(query: TransactionRecord, site_reference: str) -> list[TransactionRecord]:
    """The site's own records."""
    return [one for _, one in placed_records(query, site_reference)]


def count_of(query: TransactionRecord) -> int:
    """How many records the response has, another site's included."""
    records = query.get("records")
    return len(records) if isinstance(records, list) else 0


def by_reference(records: Iterable[TransactionRecord]) -> dict[str, TransactionRecord]:
    """The records by their own references."""
    return {reference_of(one): one for one in records}


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


def started_at(record: TransactionRecord) -> datetime | None:
    """When the request was made; None where the record does not say."""
    return gateway_time(word(record, "transactionstartedtimestamp"))


def gateway_date(text: str) -> date | None:
    """The gateway's ``YYYY-MM-DD``; None where the text is no such date."""
    try:
        return date.fromisoformat(text) if _DATE.match(text) else None
    except ValueError:
        return None
