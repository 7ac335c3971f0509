"""Finds the records of one payment without reading whole topics.

Record keys serve as the index. A payment's status events and observations are in the partition of
``{merchant}/{payment}``. Its notifications, lookups and responses are in the partition of ``{merchant}/{transaction}``,
or of ``{merchant}`` where one response serves many payments; there, ids lead from an observation to its response, its
lookups and their notifications.

Within a partition, time limits the search. The status topic is read backwards from its end until the payment's first
event is found. All other topics are read from one hour before that event. Expected payments, overdue payments and
requests are found by the order's id in their values, in all partitions, because shops choose the keys themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeAlias, TypeVar

import msgspec

from paynotify.ops.common.topic_reader import OffsetRange, TopicPartition, TopicReader
from paynotify.ops.trace.lookups import is_for, lookup_of
from paynotify.processors.interpret.stage import observation_id, response_of
from paynotify.processors.providers.response_record import answered_lookups
from paynotify.schemas import topics
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.messages import (
    ExpectedPayment,
    Observation,
    OperationsEvent,
    OperatorAction,
    OverduePayment,
    PaymentRequest,
    PaymentStatus,
    decode,
    decode_or_none,
)
from paynotify.schemas.providers import provider_contracts
from paynotify.schemas.records import Record
from paynotify.schemas.times import parse_time, rfc3339
from paynotify.service.partitioner import partition_of

#: How long before a payment's first known event its first records may have been written.
LOOK_BACK: Final = timedelta(hours=1)
#: How much earlier the shop may have reported the order as expected.
_ORDER_LOOK_BACK: Final = timedelta(days=1)
#: Upper bound of the difference between the clocks of paynotify's own hosts.
_CLOCK_SKEW_SECONDS: Final = 60.0
_CHUNK_RECORDS: Final = 50_000
#: One response to a pull may serve hundreds of notifications; at most this many are shown for a payment.
_MAX_LOOKUPS: Final = 20

Message = TypeVar("Message")

#: Start and end in Unix seconds.
Window: TypeAlias = tuple[float, float]

#: Messages about an order rather than about a payment.
OrderMessage: TypeAlias = ExpectedPayment | OverduePayment | PaymentRequest
_ORDER_MESSAGES: Final[tuple[tuple[str, type[OrderMessage]], ...]] = (
    (topics.EXPECTED, ExpectedPayment),
    (topics.OVERDUE, OverduePayment),
    (topics.REQUESTS, PaymentRequest),
)


@dataclass(slots=True)
class PaymentRecords:
    """A payment's records by kind, each record once.

    ``searched_from_seconds`` is the Unix time at which the search started; None means the start of the topics.
    ``complete`` is whether the payment's first status event is among the records.
    """

    statuses: list[tuple[Record, PaymentStatus]] = field(default_factory=list)
    observations: list[tuple[Record, Observation]] = field(default_factory=list)
    responses: list[Record] = field(default_factory=list)
    lookups: list[Record] = field(default_factory=list)
    dead: list[Record] = field(default_factory=list)
    notifications: list[Record] = field(default_factory=list)
    rejected: list[Record] = field(default_factory=list)
    duplicates: list[Record] = field(default_factory=list)
    order_messages: list[tuple[Record, OrderMessage]] = field(default_factory=list)
    cases: list[tuple[Record, OperationsEvent]] = field(default_factory=list)
    actions: list[tuple[Record, OperatorAction]] = field(default_factory=list)
    order_id: str | None = None
    searched_from_seconds: float | None = None
    complete: bool = False

    def observations_of(self, response: Record) -> list[Observation]:
        """The payment's observations that were interpreted from this response, by their derived ids."""
        name = response.header("ce_id")
        return [one for record, one in self.observations if record.header("ce_id") == observation_id(name, one)]


class PaymentSearch:
    """The search for one payment of one merchant; ``payment`` is empty for an ``order`` without a payment."""

    def __init__(
        self,
        reader: TopicReader,
        configuration: Configuration,
        provider: str,
        merchant: str,
        payment: str,
        since_seconds: float | None = None,
        order: str | None = None,
    ) -> None:
        self._reader = reader
        self._topic = configuration.kafka.topic
        self._provider = provider
        self._payment = payment
        self._merchant = merchant
        self._since_seconds = since_seconds
        self._key = f"{merchant}/{payment}".encode()
        self._keys = {self._key}
        self._shared = {merchant.encode(), f"{merchant}/".encode()}
        self._references = {payment}
        self.found = PaymentRecords(order_id=order)

    def run(self) -> PaymentRecords:
        """Search from the results back to the notifications."""
        found = self.found
        if not self._payment:
            found.searched_from_seconds = self._since_seconds
            self._find_order_messages(self._since_seconds)
            return found
        self._find_statuses()
        since = self._search_start(record.timestamp_seconds for record, _ in found.statuses[:1])
        self._find_observations(since if found.complete or self._since_seconds is not None else None)
        for _, observation in found.observations:
            if observation.refund is not None:
                self._references.add(observation.refund.refund_id)
                self._keys.add(f"{self._merchant}/{observation.refund.refund_id}".encode())
        received = [parse_time(record.header("received-at")) for record, _ in found.observations]
        since = self._search_start(time.timestamp() for time in received if time is not None)
        found.searched_from_seconds = since
        self._find_responses(since)
        self._find_lookups(since)
        self._find_notifications(since)
        order_ids = [event.order_id for _, event in found.statuses] + [one.order_id for _, one in found.observations]
        found.order_id = next((one for one in reversed(order_ids) if one is not None), found.order_id)
        self._find_order_messages(since)
        found.cases = self._decoded(topics.OPERATIONS, since, OperationsEvent)
        found.actions = self._decoded(topics.OPERATORS, since, OperatorAction)
        return found

    def _decoded(self, name: str, since: float | None, kind: type[Message]) -> list[tuple[Record, Message]]:
        """The payment's own messages on the topic."""
        read = ((record, decode_or_none(record.value, kind)) for record in self._own(name, since, {self._key}))
        return [(record, message) for record, message in read if message is not None]

    def _search_start(self, times: Iterable[float]) -> float | None:
        earliest = min(times, default=None)
        if self._since_seconds is not None or earliest is None:
            return self._since_seconds
        return earliest - LOOK_BACK.total_seconds()

    # --- the results ---------------------------------------------------------------------------------------

    def _find_statuses(self) -> None:
        for whole in self._reader.ranges(self._partitions(topics.STATUS, {self._key}), self._since_seconds):
            for chunk in self._reader.backwards(whole, _CHUNK_RECORDS):
                found = self._matching([chunk], {self._key})
                self.found.statuses[:0] = [(one, decode(one.value, PaymentStatus)) for one in found]
                if any(event.sequence == 1 for _, event in self.found.statuses):
                    self.found.complete = True
                    break

    def _find_observations(self, since: float | None) -> None:
        for record in self._own(topics.OBSERVATIONS, since, {self._key}):
            try:
                self.found.observations.append((record, decode(record.value, Observation)))
            except UnreadableError:
                continue  # resolve has dead-lettered it, and it is shown as a dead-lettered record

    # --- responses, lookups, notifications -----------------------------------------------------------------

    def _find_responses(self, since: float | None) -> None:
        times = {observation.observed_at for _, observation in self.found.observations}

        def relevant(record: Record) -> bool:
            # earlier releases took the time from the worker's clock, so both are compared
            received = {record.header("ce_time"), rfc3339(response_of(record).received_at)}
            if received & times and self.found.observations_of(record):
                return True
            return any(one.reference in self._references for one in answered_lookups(record))

        windows = [(time.timestamp(), time.timestamp()) for text in times if (time := parse_time(text))]
        responses = topics.responses(self._provider)
        self.found.responses = self._collect(responses, since, windows, relevant)

    def _find_lookups(self, since: float | None) -> None:
        ids: set[str] = set()
        windows: list[Window] = []
        for response in self.found.responses:
            for one in answered_lookups(response)[-_MAX_LOOKUPS:]:
                if one.reference is None or one.reference in self._references:
                    ids.add(one.lookup_id)
                    received = parse_time(one.received_at)
                    if received is not None:
                        windows.append((received.timestamp(), max(received.timestamp(), response.timestamp_seconds)))
        for name in (topics.lookups(self._provider), *topics.retry_steps(self._provider)):
            self.found.lookups += self._collect(name, since, windows, lambda record: record.header("ce_id") in ids)
        ids |= {one.header("ce_id") for one in (*self.found.lookups, *self.found.responses)}
        self.found.dead = self._collect(topics.DEAD, since, windows, lambda record: record.header("ce_id") in ids)

    def _find_notifications(self, since: float | None) -> None:
        ids: set[str] = set()
        windows: list[Window] = []
        for lookup in filter(None, map(lookup_of, (*self.found.lookups, *self.found.dead))):
            ids.add(lookup.notification_id)
            received = parse_time(lookup.received_at)
            if received is not None:
                windows.append((received.timestamp(), received.timestamp()))
        arrived = topics.notifications(self._provider)

        def by_id(record: Record) -> bool:
            return record.header("ce_id") in ids

        self.found.notifications = self._collect(arrived, since, windows, by_id)
        for waits in topics.unverified_steps(self._provider):
            self.found.notifications += self._collect(waits, since, windows, by_id)
        self.found.rejected = self._collect(topics.REJECTED, since, windows, by_id)
        self.found.duplicates = self._collect(
            topics.DUPLICATES, since, windows, lambda record: record.header("duplicate-of") in ids
        )

    # --- the order -----------------------------------------------------------------------------------------

    def _find_order_messages(self, since: float | None) -> None:
        """Expected and overdue payments and requests of the order, and lookups of the order or of many payments."""
        needles = {needle for one in (self._payment, self.found.order_id) if one for needle in _as_json(one)}
        if since is not None and self._since_seconds is None:
            since -= _ORDER_LOOK_BACK.total_seconds()
        for name, kind in _ORDER_MESSAGES:
            for record in self._containing(self._reader.partitions(self._topic(name)), since, needles):
                message = decode_or_none(record.value, kind)
                if message is not None and self._concerns_payment(message):
                    self.found.order_messages.append((record, message))
        known = {(one.topic, one.partition, one.offset) for one in (*self.found.lookups, *self.found.dead)}
        for name, kept in ((topics.lookups(self._provider), self.found.lookups), (topics.DEAD, self.found.dead)):
            asked = needles | {one.encode() for one in self._references if one}
            for record in self._containing(self._partitions(name, self._shared), since, asked):
                mine = is_for(record, self._merchant, self._references, self.found.order_id)
                if mine and (record.topic, record.partition, record.offset) not in known:
                    kept.append(record)

    def _concerns_payment(self, message: OrderMessage) -> bool:
        """Whether the message is about this payment or its order; a request for another payment of the order is not."""
        if message.merchant != self._merchant:
            return False
        if message.payment_id == self._payment:
            return True
        if isinstance(message, PaymentRequest) and message.payment_id is not None and self._payment:
            return False
        return message.order_id is not None and message.order_id == self.found.order_id

    def _containing(
        self, partitions: list[TopicPartition], since: float | None, needles: Collection[bytes]
    ) -> list[Record]:
        if not needles:
            return []
        return self._reader.matching(
            self._reader.ranges(partitions, since),
            needles,
            lambda _, value: any(one in (value or b"") for one in needles),
        )

    # --- reading -------------------------------------------------------------------------------------------

    def _partitions(self, name: str, keys: Collection[bytes]) -> list[TopicPartition]:
        topic = self._topic(name)
        count = self._reader.partition_count(topic)
        return (
            [TopicPartition(topic, one) for one in sorted({partition_of(key, count) for key in keys})] if count else []
        )

    def _own(self, name: str, since: float | None, keys: Collection[bytes]) -> list[Record]:
        """The records with one of the keys, written at or after ``since``."""
        return self._matching(self._reader.ranges(self._partitions(name, keys), since), keys)

    def _matching(self, ranges: list[OffsetRange], keys: Collection[bytes]) -> list[Record]:
        return self._reader.matching(ranges, keys, lambda key, _: key in keys)

    def _collect(
        self, name: str, since: float | None, windows: list[Window], relevant: Callable[[Record], bool]
    ) -> list[Record]:
        """The payment's own records, and the merchant's relevant records that were written in one of the windows."""
        found: dict[tuple[str, int, int], Record] = {}
        if not provider_contracts()[self._provider].one_queue_per_merchant:
            for record in self._own(name, since, self._keys):
                found[record.topic, record.partition, record.offset] = record
        partitions = self._partitions(name, self._shared)
        for start, end in _merged(windows):
            for record in self._matching(self._reader.ranges(partitions, start, end), self._shared):
                if relevant(record):
                    found[record.topic, record.partition, record.offset] = record
        return list(found.values())


def payments_of_order(
    reader: TopicReader, configuration: Configuration, merchant: str, order: str, since_seconds: float | None
) -> list[str]:
    """The ids of the merchant's payments for an order.

    All of ``payments.latest`` is searched, because its records are not keyed by order.
    """
    topic = configuration.kafka.topic(topics.LATEST)
    key_start, wanted = f"{merchant}/".encode(), msgspec.json.encode(order)
    ranges = reader.ranges(reader.partitions(topic), since_seconds)
    records = reader.matching(
        ranges, {wanted}, lambda key, value: wanted in (value or b"") and (key or b"").startswith(key_start)
    )
    events = [decode(record.value, PaymentStatus) for record in records]
    return list(dict.fromkeys(event.payment_id for event in events if event.order_id == order))


def _as_json(text: str) -> set[bytes]:
    """The text as different JSON encoders write it: as UTF-8, as ASCII only, and with escaped slashes."""
    forms = {json.dumps(text), json.dumps(text, ensure_ascii=False)}
    return {one.encode("utf-8", "replace") for form in forms for one in (form, form.replace("/", "\\/"))}


def _merged(windows: list[Window]) -> list[Window]:
    """The windows, widened by the clock skew, with overlapping ones merged."""
    merged: list[Window] = []
    for start, end in sorted((start - _CLOCK_SKEW_SECONDS, end + _CLOCK_SKEW_SECONDS) for start, end in windows):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
