"""The retention of payments: their states are compressed after some time and deleted after a longer one.

A payment unchanged for ``compress_after_seconds`` is closed: its state is stored compressed, which takes about a
seventh of the space. A late observation, such as of a refund or a chargeback, is applied to it as to any other
state, and opens it again. After ``delete_after_seconds`` the state is deleted; a later observation is then one of an
unknown payment. So the state's size is bounded by the payments of that period.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

import msgspec

from paynotify.processors.resolve.follow_up import next_due
from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.processors.resolve.tombstones import Tombstones
from paynotify.processors.state.timer_queue import STARTED
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.worker import RetentionSettings
from paynotify.schemas.records import Output
from paynotify.schemas.times import parse_time, utc_now

_STATE: Final = msgspec.json.Decoder(PaymentState)
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, zlib.error)

#: The first byte of a closed payment's value; an open one begins with JSON's brace. Its last time follows.
_CLOSED: Final = b"z"
_PASSES: Final = 100
_DAY_SECONDS: Final = 24 * 3600.0
_NEWS_AT: Final = struct.Struct(">q")

#: The compression dictionary: text that most states contain. Part of the format of closed values: never change it.
_COMMON: Final = (
    b'"paid_by":"refunded":{"value":"currency":"HUF"}"USD"}"settled":true}],{"refund_id":"","amount":{"value":'
    b'"capturing":{"value":"capturing":null}"expired""failed""cancelled""declined""charged_back""partially_refunded"'
    b'"refunded""suspended""unknown""fulfilment":"stop","fulfilment":"hold","fulfilment":"wait","final":false,'
    b'"provider":"omnikassa","provider_status":{"status":"COMPLETED"},"source":"pull","currency":"EUR"},"provider":'
    b'"nevogate","provider_status":{"ResultCode":"SUCCESSFUL"},"source":"Result","source":"Details","amount":"mismatch"'
    b'"amount":"match","order":"expected"},"expected":{"order_id":"","amount":{"value":1000,"currency":"EUR"},"said":"",'
    b'"announced":"","paid_by":null},"paid":null,"refunded":null,"reason":"previous_status":null,"order_id":null,'
    b'"previous_status":"pending","provider_time":null,"observed_at":"2026-"},"newest":["","2026-"'
    b'{"last":{"event_id":"","sequence":2,"provider":"trustpayments","merchant":"","payment_id":"","order_id":"ORD-",'
    b'"status":"captured","previous_status":"authorised","final":true,"fulfilment":"release","amount":{"value":1000,'
    b'"currency":"GBP"},"paid":{"value":1000,"currency":"GBP"},"refunded":null,"reason":null,"provider_status":'
    b'{"errorcode":"0","settlestatus":"100"},"checks":{"amount":"unknown","order":"unexpected"},"source":'
    b'"TRANSACTIONQUERY","provider_time":"2026-11-23T10:00:00.000Z","observed_at":"2026-11-23T10:00:00.000Z"},'
    b'"refunds":[],"newest":["2026-11-23T10:00:00.000Z","2026-11-23T10:00:00.000Z"],"expected":null,"capturing":null}'
)


def payment_state(value: bytes | None) -> PaymentState:
    """The state in a stored value, closed or open; an empty one if there is no value."""
    if value is None:
        return PaymentState()
    return _STATE.decode(_opened(value) if value.startswith(_CLOSED) else value)


def closed(value: bytes, news_at: float) -> bytes:
    """The compressed value of an open payment that was last changed at ``news_at`` (Unix time)."""
    compressor = zlib.compressobj(wbits=-15, zdict=_COMMON)
    return _CLOSED + _NEWS_AT.pack(int(news_at)) + compressor.compress(value) + compressor.flush()


def _opened(value: bytes) -> bytes:
    return zlib.decompressobj(wbits=-15, zdict=_COMMON).decompress(value[1 + _NEWS_AT.size :])


@dataclass(frozen=True, slots=True)
class PaymentRetention:
    """Decides what to store of a payment by the time since its last change.

    If ``delete_after_seconds`` is None, payments are never deleted. A deleted payment leaves ``payments.latest`` too.
    """

    compress_after_seconds: float
    delete_after_seconds: float | None
    now: Callable[[], datetime]
    tombstones: Tombstones

    #: The state format of closed values (see `processors.state.rocksdb_store`).
    state_format: ClassVar[int] = 2

    @property
    def pause_seconds(self) -> float:
        """The pause between two passes over all payments: each is closed at most this much later than it could be."""
        return self.compress_after_seconds / _PASSES

    def farewell(self, key: bytes, value: bytes) -> Sequence[Output]:
        """The tombstone of a payment that is about to be deleted; none of one that was never published."""
        try:
            last = payment_state(value).last
        except _UNREADABLE:
            last = None  # nobody knows whether it was published; the value is deleted all the same
        return [] if last is None else [self.tombstones.of(key, last)]

    def apply(self, value: bytes) -> bytes | None:
        """The value to store from now on: the same object, its compressed form, or None to delete it.

        A payment's timer is removed when it fires or when nothing is followed any more, not here.
        """
        if value == STARTED:
            return value
        try:
            news_at = _news_at(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, struct.error):
            return value  # an unreadable value is not deleted: a person must look at it
        age_seconds = self.now().timestamp() - news_at
        expired = self.delete_after_seconds is not None and age_seconds >= self.delete_after_seconds
        if expired and not _is_followed(value):
            return None
        if age_seconds >= self.compress_after_seconds and not value.startswith(_CLOSED):
            return closed(value, news_at)
        return value


def payment_retention(settings: RetentionSettings, kafka: KafkaSettings) -> PaymentRetention:
    """The retention that the configuration wants."""
    days = settings.delete_after_days
    return PaymentRetention(
        compress_after_seconds=settings.compress_after_days * _DAY_SECONDS,
        delete_after_seconds=None if days is None else days * _DAY_SECONDS,
        now=utc_now,
        tombstones=Tombstones(kafka),
    )


def _is_followed(value: bytes) -> bool:
    """Whether a look is still due: a settlement may be deferred for longer than payments are retained."""
    try:
        return next_due(payment_state(value).follows) is not None
    except _UNREADABLE:
        return False


def _news_at(value: bytes) -> float:
    """The time of the last change (Unix time); infinity for a value without one, so that it never expires."""
    if value.startswith(_CLOSED):
        (seconds,) = _NEWS_AT.unpack_from(value, 1)
        return float(seconds)
    state = _STATE.decode(value)
    times = (state.newest[1], state.last.observed_at if state.last else "")
    moments = [moment.timestamp() for moment in map(parse_time, times) if moment is not None]
    return max(moments, default=float("inf"))
