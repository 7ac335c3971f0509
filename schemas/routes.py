"""A provider's route at the ingress: its HTTP methods, and where the transaction id for the record's key is.

The id found here only chooses a partition, so that one transaction's notifications stay in order and meet
their duplicates. It proves nothing and is not used again: ``verify`` parses the body itself.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes


@dataclass(frozen=True, slots=True)
class Route:
    """One provider's notifications. ``transaction`` finds the id in the query and body, by its first group.

    It is None where all of a merchant's notifications are one queue. ``refused_headers`` are names, in lower case, of
    request headers that mark calls of another protocol of the provider's. Their sender would count a 200 as processed,
    so such a call must be refused, or it would be lost.
    """

    methods: tuple[str, ...]
    transaction: re.Pattern[bytes] | None
    refused_headers: frozenset[bytes] = frozenset()

    def key(self, merchant: str, query: bytes, body: bytes) -> bytes:
        """``{merchant}`` or ``{merchant}/{transaction}``."""
        if self.transaction is None:
            return merchant.encode()
        found = self.transaction.search(query) or self.transaction.search(body)
        return merchant.encode() + b"/" + (found.group(1) if found else b"")


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
