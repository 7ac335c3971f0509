"""Finding everything about one payment, without reading the topics whole.

The index is the key. Status events and observations of a payment lie in the one partition of
``{merchant}/{payment}``; its notifications, lookups and answers in those of ``{merchant}/{transaction}``, or of
``{merchant}`` where one answer serves many (there ids lead from an observation to its answer, its lookups and their
notifications). Within a partition time narrows it down: the status topic is read backwards from its end until the
payment's first event is found, and that event's time, an hour earlier, is where all other reading begins. What the
shop sold, what of it is overdue and what was requested is found by the order's id in the values, in all partitions,
for shops choose their keys themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeAlias

import msgspec

from ingest.publisher import partition_of
from ops.common.topic_reader import Place, Span, TopicReader
from processors.interpret.stage import observation_id, response_of
from schemas import topics
from schemas.configuration.model import Configuration
from schemas.errors import UnreadableError
from schemas.messages import (
    Answered,
    ExpectedPayment,
    Lookup,
    Observation,
    OverduePayment,
    PaymentRequest,
    PaymentStatus,
    decode,
)
from schemas.records import Record
from schemas.times import parse_time, rfc3339

#: How long before a payment's first known moment its first records may lie.
LOOK_BACK: Final = timedelta(hours=1)
#: How much earlier the order may have been sold.
_SOLD_BEFORE: Final = timedelta(days=1)
#: Clocks of our own hosts differ by less.
_SKEW_SECONDS: Final = 60.0
_CHUNK_RECORDS: Final = 50_000
#: A pull may answer hundreds of pings; so many of them are told with each payment.
_MOST_LOOKUPS: Final = 20

_ANSWERED: Final = msgspec.json.Decoder(list[Answered])

Window = tuple[float, float]

#: What is told of an order rather than of a payment, by topic.
OrderNews: TypeAlias = ExpectedPayment | OverduePayment | PaymentRequest
_NEWS: Final[tuple[tuple[str, type[OrderNews]], ...]] = (
    (topics.EXPECTED, ExpectedPayment),
    (topics.OVERDUE, OverduePayment),
    (topics.REQUESTS, PaymentRequest),
)


@dataclass(slots=True)
class PaymentRecords:
    """The payment's records by what they are, each once, and from when on was searched (Unix time; none: all)."""

    statuses: list[tuple[Record, PaymentStatus]] = field(default_factory=list)
    observations: list[tuple[Record, Observation]] = field(default_factory=list)
    responses: list[Record] = field(default_factory=list)
    lookups: list[Record] = field(default_factory=list)
    dead: list[Record] = field(default_factory=list)
    notifications: list[Record] = field(default_factory=list)
    rejected: list[Record] = field(default_factory=list)
    duplicates: list[Record] = field(default_factory=list)
    news: list[tuple[Record, OrderNews]] = field(default_factory=list)
    order_id: str | None = None
    searched_from_seconds: float | None = None
    whole: bool = False
    """Whether the payment's first status event is among them."""

    def said_by(self, response: Record) -> list[Observation]:
        """What an answer says of the payment: its observations, by their ids."""
        name = response.header("ce_id")
        return [one for record, one in self.observations if record.header("ce_id") == observation_id(name, one)]


class PaymentSearch:
    """The search for one payment of one merchant; ``payment`` is empty for an ``order`` that has none."""

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

    def carry_out(self) -> PaymentRecords:
        """From the results back to the notifications."""
        found = self.found
        if not self._payment:
            found.searched_from_seconds = self._since_seconds
            self._order_news(self._since_seconds)
            return found
        self._statuses()
        floor = self._floor(record.timestamp_seconds for record, _ in found.statuses[:1])
        self._observations(floor if found.whole or self._since_seconds is not None else None)
        for _, observation in found.observations:
            if observation.refund is not None:
                self._references.add(observation.refund.refund_id)
                self._keys.add(f"{self._merchant}/{observation.refund.refund_id}".encode())
        received = [parse_time(record.header("received-at")) for record, _ in found.observations]
        floor = self._floor(moment.timestamp() for moment in received if moment is not None)
        found.searched_from_seconds = floor
        self._answers(floor)
        self._questions(floor)
        self._calls(floor)
        told = [event.order_id for _, event in found.statuses] + [one.order_id for _, one in found.observations]
        found.order_id = next((one for one in reversed(told) if one is not None), found.order_id)
        self._order_news(floor)
        return found

    def _floor(self, moments: Iterable[float]) -> float | None:
        earliest = min(moments, default=None)
        if self._since_seconds is not None or earliest is None:
            return self._since_seconds
        return earliest - LOOK_BACK.total_seconds()

    # --- the results ---------------------------------------------------------------------------------------

    def _statuses(self) -> None:
        for span in self._reader.spans(self._places(topics.STATUS, {self._key}), self._since_seconds):
            for chunk in self._reader.backwards(span, _CHUNK_RECORDS):
                mine = self._matching([chunk], {self._key})
                self.found.statuses[:0] = [(one, decode(one.value, PaymentStatus)) for one in mine]
                if any(event.sequence == 1 for _, event in self.found.statuses):
                    self.found.whole = True
                    break

    def _observations(self, floor: float | None) -> None:
        for record in self._own(topics.OBSERVATIONS, floor, {self._key}):
            try:
                self.found.observations.append((record, decode(record.value, Observation)))
            except UnreadableError:
                continue  # resolve has buried it; it is told as a dead record

    # --- answers, questions, calls -------------------------------------------------------------------------

    def _answers(self, floor: float | None) -> None:
        moments = {observation.observed_at for _, observation in self.found.observations}

        def relevant(record: Record) -> bool:
            # by its worker's clock where an earlier release has read it
            received = {record.header("ce_time"), rfc3339(response_of(record).received_at)}
            if received & moments and self.found.said_by(record):
                return True
            return any(one.reference in self._references for one in answered(record))

        windows = [(moment.timestamp(), moment.timestamp()) for text in moments if (moment := parse_time(text))]
        responses = topics.responses(self._provider)
        self.found.responses = self._collect(responses, floor, windows, relevant)

    def _questions(self, floor: float | None) -> None:
        ids: set[str] = set()
        windows: list[Window] = []
        for response in self.found.responses:
            for one in answered(response)[-_MOST_LOOKUPS:]:
                if one.reference is None or one.reference in self._references:
                    ids.add(one.lookup_id)
                    received = parse_time(one.received_at)
                    if received is not None:
                        windows.append((received.timestamp(), max(received.timestamp(), response.timestamp_seconds)))
        steps = range(1, topics.RETRY_STEPS + 1)
        names = [topics.lookups(self._provider), *(topics.retry(self._provider, step) for step in steps)]
        for name in names:
            self.found.lookups += self._collect(name, floor, windows, lambda record: record.header("ce_id") in ids)
        ids |= {one.header("ce_id") for one in (*self.found.lookups, *self.found.responses)}
        self.found.dead = self._collect(topics.DEAD, floor, windows, lambda record: record.header("ce_id") in ids)

    def _calls(self, floor: float | None) -> None:
        ids: set[str] = set()
        windows: list[Window] = []
        for lookup in filter(None, map(lookup_in, (*self.found.lookups, *self.found.dead))):
            ids.add(lookup.notification_id)
            received = parse_time(lookup.received_at)
            if received is not None:
                windows.append((received.timestamp(), received.timestamp()))
        arrived = topics.notifications(self._provider)
        by_id: Callable[[Record], bool] = lambda record: record.header("ce_id") in ids  # noqa: E731 - one of two tests
        self.found.notifications = self._collect(arrived, floor, windows, by_id)
        self.found.rejected = self._collect(topics.REJECTED, floor, windows, by_id)
        self.found.duplicates = self._collect(
            topics.DUPLICATES, floor, windows, lambda record: record.header("duplicate-of") in ids
        )

    # --- the order -----------------------------------------------------------------------------------------

    def _order_news(self, floor: float | None) -> None:
        """What was sold, is overdue or was requested, and the lookups that asked for the order by its own id."""
        needles = {needle for one in (self._payment, self.found.order_id) if one for needle in _as_json(one)}
        if floor is not None and self._since_seconds is None:
            floor -= _SOLD_BEFORE.total_seconds()
        for name, kind in _NEWS:
            for record in self._holding(self._reader.places(self._topic(name)), floor, needles):
                news = _news_in(record, kind)
                if news is not None and self._is_mine(news):
                    self.found.news.append((record, news))
        known = {(one.topic, one.partition, one.offset) for one in (*self.found.lookups, *self.found.dead)}
        for name, kept in ((topics.lookups(self._provider), self.found.lookups), (topics.DEAD, self.found.dead)):
            for record in self._holding(self._places(name, self._shared), floor, needles):
                lookup = lookup_in(record)
                mine = lookup is not None and lookup.arguments.get("orderreference", "") == self.found.order_id
                if mine and (record.topic, record.partition, record.offset) not in known:
                    kept.append(record)

    def _is_mine(self, news: OrderNews) -> bool:
        """Whether it is about this payment, or about its order; a request for another payment of the order is not."""
        if news.merchant != self._merchant:
            return False
        if news.payment_id == self._payment:
            return True
        if isinstance(news, PaymentRequest) and news.payment_id is not None and self._payment:
            return False
        return news.order_id is not None and news.order_id == self.found.order_id

    def _holding(self, places: list[Place], floor: float | None, needles: Collection[bytes]) -> list[Record]:
        if not needles:
            return []
        return self._reader.matching(
            self._reader.spans(places, floor), needles, lambda _, value: any(one in (value or b"") for one in needles)
        )

    # --- reading -------------------------------------------------------------------------------------------

    def _places(self, name: str, keys: Collection[bytes]) -> list[Place]:
        topic = self._topic(name)
        count = self._reader.partitions_of(topic)
        return [Place(topic, one) for one in sorted({partition_of(key, count) for key in keys})] if count else []

    def _own(self, name: str, floor: float | None, keys: Collection[bytes]) -> list[Record]:
        """The records with one of the keys, from ``floor`` on."""
        return self._matching(self._reader.spans(self._places(name, keys), floor), keys)

    def _matching(self, spans: list[Span], keys: Collection[bytes]) -> list[Record]:
        return self._reader.matching(spans, keys, lambda key, _: key in keys)

    def _collect(
        self, name: str, floor: float | None, windows: list[Window], relevant: Callable[[Record], bool]
    ) -> list[Record]:
        """The payment's own records, and those among the merchant's that are relevant and lie in one of the windows."""
        found: dict[tuple[str, int, int], Record] = {}
        if self._provider != "omnikassa":
            for record in self._own(name, floor, self._keys):
                found[record.topic, record.partition, record.offset] = record
        places = self._places(name, self._shared)
        for start, end in _merged(windows):
            for record in self._matching(self._reader.spans(places, start, end), self._shared):
                if relevant(record):
                    found[record.topic, record.partition, record.offset] = record
        return list(found.values())


def payments_of_order(
    reader: TopicReader, configuration: Configuration, merchant: str, order: str, since_seconds: float | None
) -> list[str]:
    """The merchant's payments for an order, from ``payments.latest``; all of it is read, for orders are no keys."""
    topic = configuration.kafka.topic(topics.LATEST)
    key_start, wanted = f"{merchant}/".encode(), msgspec.json.encode(order)
    spans = reader.spans(reader.places(topic), since_seconds)
    records = reader.matching(
        spans, {wanted}, lambda key, value: wanted in (value or b"") and (key or b"").startswith(key_start)
    )
    events = [decode(record.value, PaymentStatus) for record in records]
    return list(dict.fromkeys(event.payment_id for event in events if event.order_id == order))


def _as_json(text: str) -> set[bytes]:
    """The text as JSON encoders write it: as it is, in ASCII only, and with slashes escaped."""
    forms = {json.dumps(text), json.dumps(text, ensure_ascii=False)}
    return {one.encode("utf-8", "replace") for form in forms for one in (form, form.replace("/", "\\/"))}


def _news_in(record: Record, kind: type[OrderNews]) -> OrderNews | None:
    """What the record tells; none where a shop wrote something else."""
    try:
        return decode(record.value, kind)
    except UnreadableError:
        return None


def answered(response: Record) -> list[Answered]:
    """The lookups a response answers."""
    try:
        return _ANSWERED.decode(response.header("lookups", "[]"))
    except msgspec.MsgspecError:
        return []


def lookup_in(record: Record) -> Lookup | None:
    """The lookup in a record; none where it holds something else, such as a dead answer."""
    try:
        return decode(record.value, Lookup)
    except UnreadableError:
        return None


def _merged(windows: list[Window]) -> list[Window]:
    """The windows, widened by the clocks' skew, without overlaps."""
    merged: list[Window] = []
    for start, end in sorted((start - _SKEW_SECONDS, end + _SKEW_SECONDS) for start, end in windows):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
