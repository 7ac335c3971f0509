"""Which requests are refused although they can be parsed: a proxy in front may take each for another request.

Where two readers of one connection disagree about the end of a request, a caller can put a request of its own into
somebody else's connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

#: Headers of which a request has one: with two, readers differ in which they believe.
_ONCE: Final = frozenset({b"host", b"content-type", b"content-encoding", b"content-length", b"transfer-encoding"})
#: The versions of HTTP that are spoken. httptools reads others too.
_VERSIONS: Final = ("1.1", "1.0")
_SPACE: Final = b" \t"


def is_ambiguous(version: str, headers: Sequence[tuple[bytes, bytes]], fields: Mapping[bytes, bytes]) -> bool:
    """Whether the request must be refused. ``fields`` are the headers by name; of one that comes twice, the last."""
    if version not in _VERSIONS:
        return True
    if len(fields) != len(headers):
        names = [name for name, _ in headers]
        if any(names.count(name) > 1 for name in _ONCE):
            return True
    coding = fields.get(b"transfer-encoding")
    if coding is not None and (version == "1.0" or coding.strip(_SPACE).lower() != b"chunked"):
        return True
    return b"host" not in fields and version != "1.0"
