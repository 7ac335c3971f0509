"""A connection after its last response: what the client still sends is discarded until it closes.

A socket that is closed while bytes are unread resets the connection, and the reset may destroy the response before the
client has read it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

#: What a client may send after its last response. Bodies that are refused are usually not much over their limit.
_DISCARD_BYTES: Final = 4 * 1024 * 1024


class LingeringConnection(asyncio.Protocol):
    """Takes ``transport`` over from the connection whose last response was written.

    It stays in the server's ``connections`` until the client closes, but not after ``until_seconds`` of the event
    loop's clock.
    """

    def __init__(self, transport: Any, connections: set[Any], until_seconds: float) -> None:
        self._transport = transport
        self._connections = connections
        self._until_seconds = until_seconds
        self._left_bytes = _DISCARD_BYTES
        connections.add(self)
        transport.set_protocol(self)
        if transport.can_write_eof():  # TLS can't: the client closes once it has read `Connection: close`
            with contextlib.suppress(OSError):  # the client has reset the connection already
                transport.write_eof()

    def data_received(self, data: bytes) -> None:
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)

    def shutdown(self) -> None:
        """The server stops."""
        self._transport.close()

    def end_if_slow(self, now_seconds: float) -> None:
        """Close if the client does not."""
        if now_seconds > self._until_seconds:
            self._transport.close()
