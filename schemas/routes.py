"""A provider's route at the ingress: its HTTP methods, and where the transaction id for the record's key is.

The id found here only chooses a partition, so that one transaction's notifications stay in order and meet
their duplicates. It proves nothing and is not used again: ``verify`` parses the body itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider is told of a stored notification. Some take a 200 with another body for a failure that lasts."""

    body: bytes = b""
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """One provider's notifications. ``transaction`` finds the id in the query and body, by its first group.

    It is None where all of a merchant's notifications are one queue. ``refused_headers`` are names, in lower case, of
    request headers that mark calls of another protocol of the provider's. Their sender would count a 200 as processed,
    so such a call must be refused, or it would be lost.

    ``stored_headers`` are names, in lower case, of request headers that are stored with the body, and how many bytes of
    each at most. ``stored`` is what a call is answered with once it is stored; the status is 200.

    ``media_types`` of the bodies and the ``query`` of a GET, name and meaning, only describe the calls: any is stored.
    """

    methods: tuple[str, ...]
    transaction: re.Pattern[bytes] | None
    refused_headers: frozenset[bytes] = frozenset()
    stored_headers: Mapping[bytes, int] = field(default_factory=dict)
    stored: Answer = Answer()
    media_types: tuple[str, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict)

    def key(self, merchant: str, query: bytes, body: bytes) -> bytes:
        """``{merchant}`` or ``{merchant}/{transaction}``."""
        if self.transaction is None:
            return merchant.encode()
        found = self.transaction.search(query) or self.transaction.search(body)
        return merchant.encode() + b"/" + (found.group(1) if found else b"")

    def headers_of(self, request: Iterable[tuple[bytes, bytes]]) -> dict[str, bytes]:
        """Those of a request's headers (names in lower case) that are stored, by name.

        One that comes twice is one value with a comma, as HTTP says, so that ``verify`` can see and refuse it. One that
        is too long is stored with one byte more than it may have, for the same reason.
        """
        found: dict[str, bytes] = {}
        if not self.stored_headers:
            return found
        for key, value in request:
            limit_bytes = self.stored_headers.get(key)
            if limit_bytes is not None:
                name = key.decode()
                found[name] = (found[name] + b", " + value if name in found else value)[: limit_bytes + 1]
        return found


#: A merchant's URL token in the query; it is taken out of what is stored.
_QUERY_TOKEN: Final = re.compile(rb"(?:\A|&)token=([^&]*)")


def without_token(query: bytes) -> tuple[bytes, bytes]:
    """The query without ``token`` parameters, and the decoded token of the first one (empty without one)."""
    found = _QUERY_TOKEN.search(query)
    if found is None:
        return query, b""
    return _QUERY_TOKEN.sub(b"", query).removeprefix(b"&"), unquote_to_bytes(found.group(1))


def token_digest(token: bytes) -> str:
    """What is stored of a URL token: enough to compare, too little to call the URL with."""
    return hashlib.sha256(token).hexdigest()
