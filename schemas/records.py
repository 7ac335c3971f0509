"""Kafka records as the stages read and write them: raw bytes and headers."""

from __future__ import annotations

import re
from typing import Any

import msgspec

Headers = tuple[tuple[str, bytes], ...]

_NUMBER = re.compile(r"[0-9]{1,9}\Z")


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record as read from a topic. ``timestamp_seconds`` is the broker's, in Unix time.

    A `msgspec.Struct`, as each stage makes some for each notification: a frozen dataclass takes ten times as long.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_seconds: float

    def header(self, name: str, default: str = "") -> str:
        """The last header of that name as text; ``default`` without one, or if it is not UTF-8."""
        for key, value in reversed(self.headers):
            if key == name:
                try:
                    return value.decode()
                except (UnicodeDecodeError, AttributeError):
                    return default
        return default

    def texts(self) -> dict[str, str]:
        """All headers by name, each as `header` returns it; for a reader of many, who need not search for each."""
        try:
            return {name: value.decode() for name, value in self.headers}
        except (UnicodeDecodeError, AttributeError):
            return {name: self.header(name) for name, _ in self.headers}

    def number(self, name: str, default: int = 0) -> int:
        """The header as a number from 0 to 999,999,999; ``default`` if it is not such a number."""
        text = self.header(name)
        return int(text) if _NUMBER.match(text) else default


def to_record(read: Any) -> Record:
    """A client's record, as aiokafka and kafka-python return it, in the form that the stages use."""
    return Record(
        read.topic, read.partition, read.offset, read.key, read.value, tuple(read.headers), read.timestamp / 1000
    )


class Output(msgspec.Struct, frozen=True, gc=False):
    """One record to be written. ``partition`` is set only if the partitioner must not choose."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int | None = None
