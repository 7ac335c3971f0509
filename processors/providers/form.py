"""Form decoding that loses nothing: order, repeats, blanks and bytes stay as they were on the wire.

Library parsers fold repeated names, drop empty values, split on ``;`` or replace bytes that are no UTF-8, and each
of these changes what a signature was made over.
"""

from __future__ import annotations

import re
from typing import Final

Fields = list[tuple[bytes, bytes]]

_ESCAPE: Final = re.compile(rb"%[0-9A-Fa-f]{2}")
_ESCAPED: Final = {
    b"%%%b%b" % (high.encode(), low.encode()): bytes((int(high + low, 16),))
    for high in "0123456789abcdefABCDEF"
    for low in "0123456789abcdefABCDEF"
}


def fields(body: bytes) -> Fields:
    """The decoded ``(name, value)`` pairs of an ``application/x-www-form-urlencoded`` body, in wire order.

    Only ``&`` separates. ``+`` and ``%20`` are blanks; a ``%`` without two hex digits stays a ``%``.
    """
    if b"+" in body:
        body = body.replace(b"+", b" ")
    parts = [segment.partition(b"=") for segment in body.split(b"&") if segment]
    if b"%" in body:
        return [(_unescaped(name), _unescaped(value)) for name, _, value in parts]
    return [(name, value) for name, _, value in parts]


def _unescaped(text: bytes) -> bytes:
    # the library's own way splits at every %, which for a body of nothing else takes almost 200 times its size
    return _ESCAPE.sub(_byte_of, text) if b"%" in text else text


def _byte_of(escape: re.Match[bytes]) -> bytes:
    return _ESCAPED[escape[0]]
