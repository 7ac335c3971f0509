"""How long a payment is kept in full, and what is kept of it afterwards.

A payment without news for `compress_after_seconds` is closed: its state is kept compressed, which takes about a seventh
of the room. Late news (a refund, a chargeback, the shop's or anybody's call about it) is answered from that as from the
full state, and opens it again. After `delete_after_seconds` nothing is kept; whatever tells of it then is taken for
a payment nobody knew. So growth is bounded by the payments of that time.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

import msgspec

from processors.resolve.transitions import PaymentState
from schemas.times import parse_time

_STATE: Final = msgspec.json.Decoder(PaymentState)

#: Begins a closed payment's value; a full one begins as JSON does. Behind it is when its last news came (Unix time).
_CLOSED: Final = b"z"
_PASSES: Final = 100
_NEWS_AT: Final = struct.Struct(">q")

#: What nearly every state contains. It is part of the format: closed values can be read with these bytes only.
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
    """The state in a stored value, closed or not; of an unknown payment an empty one."""
    if value is None:
        return PaymentState()
    return _STATE.decode(_opened(value) if value.startswith(_CLOSED) else value)


def closed(value: bytes, news_at: float) -> bytes:
    """A full state's value as it is kept from then on."""
    pressing = zlib.compressobj(wbits=-15, zdict=_COMMON)
    return _CLOSED + _NEWS_AT.pack(int(news_at)) + pressing.compress(value) + pressing.flush()


def _opened(value: bytes) -> bytes:
    return zlib.decompressobj(wbits=-15, zdict=_COMMON).decompress(value[1 + _NEWS_AT.size :])


@dataclass(frozen=True, slots=True)
class PaymentRetention:
    """The times that a payment is kept since its last news, and the judgement that follows from them."""

    compress_after_seconds: float
    delete_after_seconds: float | None
    now: Callable[[], datetime]

    #: Of closed values (see `processors.state.rocksdb_store`).
    state_format: ClassVar[int] = 2

    @property
    def pause_seconds(self) -> float:
        """A payment is closed at most this much later than it could be."""
        return self.compress_after_seconds / _PASSES

    def apply(self, value: bytes) -> bytes | None:
        """What is to be kept of a payment's value: itself, something shorter, or nothing."""
        try:
            news_at = _news_at(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, struct.error):
            return value  # what nobody can read is not for this to throw away
        age_seconds = self.now().timestamp() - news_at
        if self.delete_after_seconds is not None and age_seconds >= self.delete_after_seconds:
            return None
        if age_seconds >= self.compress_after_seconds and not value.startswith(_CLOSED):
            return closed(value, news_at)
        return value


def _news_at(value: bytes) -> float:
    """Unix time; of what can't be dated, such as a refund of a payment nobody has told of, the end of all time."""
    if value.startswith(_CLOSED):
        (seconds,) = _NEWS_AT.unpack_from(value, 1)
        return float(seconds)
    state = _STATE.decode(value)
    told = (state.newest[1], state.last.observed_at if state.last else "")
    moments = [moment.timestamp() for moment in map(parse_time, told) if moment is not None]
    return max(moments, default=float("inf"))
