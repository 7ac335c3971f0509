"""An event of a result topic as a subscriber is called with it."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from paynotify.schemas import topics
from paynotify.schemas.configuration.deliver import Subscription
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.messages.encoding import decode
from paynotify.schemas.messages.event_types import DELIVERED_TYPES, PAYMENT_OVERDUE, REQUEST_ANSWERED, STATUS_CHANGED
from paynotify.schemas.records import Record

#: The topic of each type of event.
TOPICS: Final = {
    STATUS_CHANGED: topics.STATUS,
    PAYMENT_OVERDUE: topics.OVERDUE,
    REQUEST_ANSWERED: topics.REQUESTS,
}

#: Header of a waiting, dead-lettered or replayed delivery: the subscription it belongs to.
SUBSCRIPTION: Final = "subscription"

#: What may stand in the header ``webhook-id`` and is no separator of what is signed.
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class _Identity(msgspec.Struct, frozen=True, gc=False):
    """The fields that every event of the result topics has."""

    event_id: str
    merchant: str


class ResultEvent(msgspec.Struct, frozen=True, gc=False):
    """One event. Events of the same ``order_key`` are delivered one after the other."""

    event_id: str
    event_type: str
    merchant: str
    happened_at: str
    record: Record

    @property
    def order_key(self) -> tuple[str, bytes]:
        return self.event_type, self.record.key or b""

    def body(self) -> bytes:
        """What the subscriber gets: type, time and, byte for byte, the value of the topic."""
        envelope = msgspec.json.encode({"type": self.event_type, "timestamp": self.happened_at})
        return envelope[:-1] + b',"data":' + (self.record.value or b"null") + b"}"


def read_event(record: Record) -> ResultEvent | None:
    """The event in a record; None if the record holds none, as one of another type or a tombstone.

    Raises:
        UnreadableError: it is of a type that is delivered, and not readable.
    """
    event_type = record.header("ce_type")
    if event_type not in DELIVERED_TYPES or record.value is None:
        return None
    identity = decode(record.value, _Identity)
    if not _ID.match(identity.event_id):
        raise UnreadableError("event_id is not an id")
    return ResultEvent(identity.event_id, event_type, identity.merchant, record.header("ce_time"), record)


def is_wanted(event: ResultEvent, subscription: Subscription) -> bool:
    """Whether the subscriber is to be called with the event. What was replayed belongs to one subscription."""
    replayed = event.record.header(SUBSCRIPTION)
    if replayed:
        return replayed == subscription.id
    merchants = subscription.merchants
    return event.event_type in subscription.events and (not merchants or event.merchant in merchants)
