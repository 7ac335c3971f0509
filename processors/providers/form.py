"""Form decoding that loses nothing: order, repeats, blanks and bytes stay as they were on the wire.

Library parsers fold repeated names, drop empty values, split on ``;`` or replace bytes that are no UTF-8, and each
of these changes what a signature was made over.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

Fields = list[tuple[bytes, bytes]]


def fields(body: bytes) -> Fields:
    """The decoded ``(name, value)`` pairs of an ``application/x-www-form-urlencoded`` body, in wire order.

    Only ``&`` separates. ``+`` and ``%20`` are blanks; a ``%`` without two hex digits stays a ``%``.
    """
    pairs = []
    for segment in body.split(b"&"):
        if segment:
            name, _, value = segment.partition(b"=")
            pairs.append((_decoded(name), _decoded(value)))
    return pairs


def _decoded(text: bytes) -> bytes:
    if b"+" in text:
        text = text.replace(b"+", b" ")
    return unquote_to_bytes(text) if b"%" in text else text
