"""Bodies that arrive compressed: they are stored as their sender wrote them, or refused, but never unreadable."""

from __future__ import annotations

import zlib
from typing import Final

_WITH_HEADER, _RAW, _GZIP = 15, -15, 31
#: What zlib is told for each coding. Some senders leave out the header that `deflate` must have.
_WINDOWS: Final = {b"gzip": (_GZIP,), b"x-gzip": (_GZIP,), b"deflate": (_WITH_HEADER, _RAW)}
#: Said of a body that is as it was written.
_PLAIN: Final = frozenset({b"", b"identity"})

#: What callers are told to use.
ACCEPTED: Final = "gzip, deflate"


class UnreadableBodyError(Exception):
    """A body is not encoded as its request says. It never leaves this package."""


class LongBodyError(Exception):
    """A body is over its limit once it is inflated. It never leaves this package."""


def coding_of(value: bytes) -> bytes | None:
    """The coding that a Content-Encoding names; None for a body as it was written."""
    coding = value.strip(b" \t").lower()
    return None if coding in _PLAIN else coding


def is_known(coding: bytes) -> bool:
    """Whether bodies of that coding can be inflated. Two codings, one after the other, are not known."""
    return coding in _WINDOWS


def inflated(body: bytes, coding: bytes, limit_bytes: int) -> bytes:
    """The body as its sender wrote it. Never more than the limit is inflated.

    Raises:
        UnreadableBodyError: the body has another encoding, or is not complete.
        LongBodyError: the body is over the limit.
    """
    for window in _WINDOWS[coding]:
        try:
            return _inflated(body, window, limit_bytes)
        except zlib.error:
            continue
    raise UnreadableBodyError


def _inflated(body: bytes, window: int, limit_bytes: int) -> bytes:
    parts: list[bytes] = []
    left_bytes = limit_bytes
    while True:
        stream = zlib.decompressobj(window)
        part = stream.decompress(body, left_bytes + 1)
        left_bytes -= len(part)
        if left_bytes < 0:
            raise LongBodyError
        if not stream.eof:
            raise UnreadableBodyError
        parts.append(part)
        body = stream.unused_data
        if not body:
            return b"".join(parts)
        if window != _GZIP:
            raise UnreadableBodyError  # only gzip has files of several members
