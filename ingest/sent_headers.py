"""The request headers that are stored with a call, as its caller sent them but for card numbers.

An allow-list selects those that verification and investigations need. Addresses, credentials, cookies and all other
headers are dropped, so that no personal data or secret reaches a topic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from paynotify.ingest.notification import RecordHeaders
from paynotify.service.card_numbers import Masked

#: Longer values of request headers are cut, once card numbers are masked: half of one would not be known as one.
MAX_VALUE_BYTES: Final = 256
_LOOKED_AT_BYTES: Final = MAX_VALUE_BYTES + 32

#: Stored if the request has them: a header without a value would make the record no CloudEvent.
OPTIONAL_HEADERS: Final = (b"content-type", b"user-agent", b"x-request-id")

#: Values that were looked at and are stored as they are. Most come with call after call: media types, names of clients.
_KEPT_VALUES: Final = 256

#: Ids of requests mostly are UUIDs, which hold no card number; they are new each time.
_is_uuid: Final = re.compile(rb"[0-9A-Fa-f]{8}-?(?:[0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}\Z").match

_NAMES: Final = tuple((name, name.decode()) for name in OPTIONAL_HEADERS)


class SentHeaders:
    """Adds the request's headers to a record. ``masked`` masks the card numbers in a text; None if it has none."""

    def __init__(self, masked: Callable[[bytes], Masked | None]) -> None:
        self._masked = masked
        self._fit: set[bytes] = set()

    def add(self, headers: RecordHeaders, request: Mapping[bytes, bytes]) -> int:
        """Add those that calls of all providers may have; how many card numbers they had.

        ``request`` has the HTTP headers, with names in lower case.
        """
        cards = 0
        for name, record_name in _NAMES:
            value = request.get(name)
            if value:
                if value not in self._fit and not _is_uuid(value):
                    value, found = self._first_seen(name, value)
                    cards += found
                headers.append((record_name, value))
        return cards

    def add_own(self, headers: RecordHeaders, route: Iterable[tuple[str, bytes]]) -> int:
        """Add those that only calls on this route have; how many card numbers they had."""
        cards = 0
        for name, value in route:
            stored, found = self._stored(name.encode(), value, len(value))
            headers.append((name, stored))
            cards += found
        return cards

    def _first_seen(self, name: bytes, value: bytes) -> Masked:
        stored = self._stored(name, value[:_LOOKED_AT_BYTES], MAX_VALUE_BYTES)
        # ids of requests would only drive out the others; an id of one header may be a card number in another
        if name != b"x-request-id" and stored.text == value and self._masked(value) is None:
            if len(self._fit) >= _KEPT_VALUES:
                self._fit.clear()
            self._fit.add(value)
        return stored

    def _stored(self, name: bytes, value: bytes, limit_bytes: int) -> Masked:
        """The value as it is stored, and how many card numbers it had."""
        # looked at as a field of that name, because `card_numbers.id_fields` may say that it holds an id
        found = self._masked(b"%b=%b" % (name, value))
        cards = 0
        if found is not None:
            value, cards = found.text[len(name) + 1 :], found.cards
        value = value[:limit_bytes]
        if not value.isascii():  # readers of record headers expect UTF-8
            value = value.decode("ascii", "backslashreplace").encode()[:limit_bytes]
        return Masked(value, cards)
