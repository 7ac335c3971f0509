"""Records in Kafka's format (version 2), each encoded once, and joined into a batch of kafka-python's in one step.

kafka-python encodes a record integer by integer and byte by byte, three times over for its headers. A notification has
a dozen of them, so that would cost more than everything else the ingress does. `tests/unit/ingest/test_record_batch.py`
compares the bytes with kafka-python's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kafka.record.memory_records import MemoryRecordsBuilder
from kafka.record.util import encode_varint

from paynotify.ingest.notification import RecordHeaders
from paynotify.service.private_names import PrivateName

_FORMAT: Final = 2
_UNCOMPRESSED: Final = 0
_RECORDS: Final = "kafka.record"

#: What `EncodedRecords` sets instead of kafka-python's ``append``.
PRIVATE_NAMES: Final = (
    PrivateName(
        "kafka-python", f"{_RECORDS}.memory_records", "MemoryRecordsBuilder.append", ("_builder", "_next_offset")
    ),
    PrivateName(
        "kafka-python",
        f"{_RECORDS}.default_records",
        "DefaultRecordBatchBuilder.append",
        ("_buffer", "_first_timestamp", "_max_timestamp", "_num_records", "_last_offset"),
    ),
)


def _encoded_integer(value: int) -> bytes:
    encoded = bytearray()
    encode_varint(value, encoded.append)
    return bytes(encoded)


#: Lengths and numbers of up to two bytes, which nearly all are.
_SHORT: Final = 8192
_INTEGERS: Final = tuple(_encoded_integer(value) for value in range(_SHORT))


def integer(value: int) -> bytes:
    """A number as Kafka's records have it: shorter for smaller ones."""
    return _INTEGERS[value] if value < _SHORT else _encoded_integer(value)


class _HeaderNames(dict[str, bytes]):
    """Encoded names of record headers. There are a few, which code and contracts name; callers can't add any."""

    def __missing__(self, name: str) -> bytes:
        text = name.encode()
        encoded = self[name] = integer(len(text)) + text
        return encoded


_NAMES: Final = _HeaderNames()


def encoded(key: bytes, value: bytes, headers: RecordHeaders) -> bytes:
    """A record without its place in a batch."""
    names, integers = _NAMES, _INTEGERS
    parts = [integer(len(key)), key, integer(len(value)), value, integer(len(headers))]
    for name, content in headers:  # a dozen for each record: no call for a length
        length = len(content)
        parts += (names[name], integers[length] if length < _SHORT else _encoded_integer(length), content)
    return b"".join(parts)


class EncodedRecords(MemoryRecordsBuilder):  # type: ignore[misc]  # the library has no types
    """The records of one batch, from `encoded`. Nothing can be appended later."""

    def __init__(self, records: Sequence[bytes], timestamp_milliseconds: int) -> None:
        size_bytes = sum(map(len, records))
        super().__init__(_FORMAT, _UNCOMPRESSED, size_bytes)
        parts: list[bytes] = []
        for number, record in enumerate(records):
            place = b"\0\0" + integer(number)  # no attributes; the time and number since the batch's first record
            parts += (integer(len(place) + len(record)), place, record)
        builder = self._builder
        builder._buffer += b"".join(parts)
        builder._first_timestamp = builder._max_timestamp = timestamp_milliseconds
        builder._num_records = self._next_offset = len(records)
        builder._last_offset = len(records) - 1
