"""The content encoding of a response: what the body says of itself counts more than the header.

Proxies and firewalls between a provider and this process forget the header, keep it on a body they decoded, or put a
word into it that is no encoding. The body of a call that can't be repeated must not be lost for that.
"""

from __future__ import annotations

import zlib
from codecs import BOM_UTF8
from typing import Final

from paynotify.schemas.errors import ProviderUnavailableError, ResponseTooLongError

#: What stands for the encoding of a body that no header names.
UNKNOWN: Final = "unknown"

_GZIP_WBITS: Final = 16 + zlib.MAX_WBITS
_GZIP_MAGIC: Final = b"\x1f\x8b"
_PLAIN_WORDS: Final = frozenset({"", "identity"})
_ZLIB_WORDS: Final = frozenset({"deflate"})
_MAX_HEADER_CHARACTERS: Final = 256


def decoded(body: bytes, encoding: str, limit_bytes: int) -> tuple[bytes, ProviderUnavailableError | None]:
    """The decoded body and nothing, or the body as it is and what is wrong with it.

    At most ``limit_bytes`` are decoded: a hostile body grows a thousandfold.
    """
    if not body:
        return b"", None
    if body.startswith(_GZIP_MAGIC):
        return _inflated(body, _GZIP_WBITS, limit_bytes)
    if encoding in _PLAIN_WORDS or _looks_like_json(body):
        return body, None
    if encoding in _ZLIB_WORDS:
        return _inflated(body, zlib.MAX_WBITS, limit_bytes)
    if encoding in ("gzip", "x-gzip"):
        return body, ProviderUnavailableError("the response does not decompress")
    return body, ProviderUnavailableError("the response's content encoding is neither gzip nor identity")


def too_long(limit_bytes: int) -> ResponseTooLongError:
    """What is wrong with a longer body."""
    return ResponseTooLongError(f"the response is longer than {limit_bytes} bytes")


def plain(value: str) -> str:
    """A header's value as ASCII, cut to length: it is stored, and readers of record headers expect UTF-8."""
    return value.encode("ascii", "backslashreplace").decode()[:_MAX_HEADER_CHARACTERS]


def _looks_like_json(body: bytes) -> bool:
    return body.removeprefix(BOM_UTF8).lstrip()[:1] in (b"{", b"[")


def _inflated(body: bytes, wbits: int, limit_bytes: int) -> tuple[bytes, ProviderUnavailableError | None]:
    inflate = zlib.decompressobj(wbits)
    try:
        content = inflate.decompress(body, limit_bytes + 1)
    except zlib.error:
        return body, ProviderUnavailableError("the response does not decompress")
    if len(content) > limit_bytes:
        return body, too_long(limit_bytes)
    return (content, None) if inflate.eof else (body, ProviderUnavailableError("the response's end is missing"))
