"""Looks at payments that the provider settles without a notification: sets their timers and asks when they fire.

Every payment that is followed has one timer in the state of the stage (`processors.state.timer_queue`), in the queue of
its merchant: at the next due time of its `Follow` values, later by a jitter that is the same for all payments of the
merchant on that day. So merchants are spread, and the timers of one merchant still come in groups that one lookup
serves.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from paynotify.processors.limits.hourly_quota import HourlyQuota
from paynotify.processors.limits.jitter import fraction
from paynotify.processors.metrics import Metrics
from paynotify.processors.resolve import follow_up
from paynotify.processors.resolve.follow_up import DAY_MILLISECONDS, Follow
from paynotify.processors.resolve.payment_state import PaymentState, encoded
from paynotify.processors.resolve.retention import payment_state
from paynotify.processors.runtime.timers import TimerService
from paynotify.processors.state import timer_queue
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.state.timer_queue import Timer
from paynotify.schemas import messages, topics
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.events import DEFAULT_EVENTS, EventSettings
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import Lookup, TimeReached
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import rfc3339, utc_now
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.settlement")

_QUEUE: Final = "settlement/"

#: The lookup of a merchant's payments and refunds, with its record's key; None if the provider's rules allow none.
#: Arguments: ``(merchant, references, cause, at)``.
SettlementLookup = Callable[[str, tuple[str, ...], str, str], tuple[bytes, Lookup] | None]


def settlement_queue(merchant: str) -> str:
    """The queue of a merchant's looks, limited by a quota of its own. It is part of the timers' keys in the state."""
    return f"{_QUEUE}{merchant}"


@dataclass(frozen=True, slots=True)
class FollowedPayments:
    """A merchant whose payments are followed: its provider, and how many references one lookup may ask for."""

    provider: str
    references_per_lookup: int


class SettlementTimers(TimerService):
    """Publishes the due timers of followed payments: of each merchant as many together as one lookup may ask for.

    A quota counts lookups, not payments.
    """

    def __init__(
        self,
        topic: str,
        merchants: Mapping[str, FollowedPayments],
        quotas: Mapping[str, HourlyQuota | None],
        now: Callable[[], datetime] = utc_now,
        *,
        gather_seconds: float,
        events: EventSettings = DEFAULT_EVENTS,
    ) -> None:
        super().__init__(
            topic,
            {settlement_queue(merchant): quotas[merchant] for merchant in merchants},
            lambda timer: timer.name.partition("/")[0],
            now,
            group_sizes={settlement_queue(merchant): one.references_per_lookup for merchant, one in merchants.items()},
            gather_seconds=gather_seconds,
            events=events,
        )


class SettlementLooks:
    """Sets the timers of followed payments, and makes the lookups when they fire. Reads no clock."""

    def __init__(
        self,
        merchants: Mapping[str, FollowedPayments],
        lookup: SettlementLookup,
        kafka: KafkaSettings,
        metrics: Metrics,
        *,
        jitter_seconds: float,
    ) -> None:
        self._merchants = merchants
        self._lookup = lookup
        self._topic = kafka.topic
        self._headers = EventHeaders(kafka.events, "/resolve", messages.LOOKUP_REQUESTED)
        self._metrics = metrics
        self._jitter_milliseconds = jitter_seconds * 1000

    def follow(self, state: Overlay, name: str, before: tuple[Follow, ...], after: tuple[Follow, ...]) -> None:
        """Let the payment of that name have the timer of what is followed now, or none."""
        if before == after:
            return
        old = self._timer(name, before)
        if old is not None:
            timer_queue.remove(state, old)
        self._start(state, name, after)
        self._report_given_up(name, before, after)

    def _start(self, state: Overlay, name: str, follows: tuple[Follow, ...]) -> None:
        timer = self._timer(name, follows)
        if timer is not None:
            timer_queue.add(state, timer)

    def look(self, record: Record, state: Overlay) -> list[Output]:
        """The lookups of the due timers in a record that still exist. Read again, the record has none left.

        Timers of a merchant that this process does not know stay: another process may have its configuration, or it may
        come back. They wait in a queue of their own.

        Raises:
            UnreadableError: the record holds no timers.
        """
        time = messages.decode(record.value, TimeReached)
        merchant = time.lane.removeprefix(_QUEUE)
        if merchant not in self._merchants:
            return []
        stored_milliseconds = round(record.timestamp_seconds * 1000)
        at = max(timer_queue.parse_milliseconds(time.due), stored_milliseconds)
        references: list[str] = []
        for timer in timer_queue.reached(time):
            if state.get(timer.key) is None:
                continue  # the record comes twice, or the payment was settled meanwhile
            timer_queue.remove(state, timer)
            references += self._due(timer, max(timer.due_milliseconds, stored_milliseconds), state)
        if not references:
            return []
        return list(self._lookups(merchant, references, rfc3339(timer_queue.moment_of(at))))

    def _due(self, timer: Timer, now_milliseconds: int, state: Overlay) -> tuple[str, ...]:
        """The references of a payment to look up, whose next looks are set. None if its state is gone."""
        key = timer.name.encode()
        value = state.get(key)
        known = _readable(timer.name, value)
        if known is None:
            return ()
        follows = known.follows
        if not follows and known.last is not None:
            follows = follow_up.recovered(known.last.payment_id, known.last.status, now_milliseconds)
        looked = follow_up.looked(follows, now_milliseconds)
        if looked.follows != known.follows:
            state.put(key, encoded(msgspec.structs.replace(known, follows=looked.follows)))
        self._start(state, timer.name, looked.follows)
        self._report_given_up(timer.name, follows, looked.follows)
        return looked.references

    def _lookups(self, merchant: str, references: list[str], at: str) -> Iterator[Output]:
        followed = self._merchants[merchant]
        for first in range(0, len(references), followed.references_per_lookup):
            asked = tuple(references[first : first + followed.references_per_lookup])
            allowed = self._lookup(merchant, asked, f"settlement/{merchant}/{at}", at)
            if allowed is None:
                continue
            key, lookup = allowed
            value = messages.encode(lookup)
            headers = self._headers(derived_id("lookup", value.decode()), at, key)
            self._metrics.settlements_due.labels(followed.provider).inc(len(asked))
            yield Output(self._topic(topics.lookups(followed.provider)), key, value, headers)

    def _timer(self, name: str, follows: tuple[Follow, ...]) -> Timer | None:
        merchant = name.partition("/")[0]
        due = follow_up.next_due(follows)
        if due is None:
            return None
        jitter = round(fraction(f"{merchant}/{due // DAY_MILLISECONDS}") * self._jitter_milliseconds)
        return Timer(settlement_queue(merchant), due + jitter, name)

    def _report_given_up(self, name: str, before: tuple[Follow, ...], after: tuple[Follow, ...]) -> None:
        merchant, _, payment = name.partition("/")
        followed = self._merchants.get(merchant)
        if followed is None:
            return
        for reference in follow_up.given_up(before, after):
            self._metrics.settlements_given_up.labels(followed.provider).inc()
            event(
                logger,
                "settlement_given_up",
                level=logging.WARNING,
                provider=followed.provider,
                merchant=merchant,
                payment=payment,
                reference=reference,
            )


def _readable(name: str, value: bytes | None) -> PaymentState | None:
    """The state of a payment; None if it is gone, or unreadable: it must not keep the others of its group."""
    if value is None:
        return None
    try:
        return payment_state(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, zlib.error):
        merchant, _, payment = name.partition("/")
        event(logger, "followed_payment_unreadable", level=logging.ERROR, merchant=merchant, payment=payment)
        return None
