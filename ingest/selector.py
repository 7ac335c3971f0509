"""The selector of the producer's network thread."""

from __future__ import annotations

import selectors
from typing import Any


class ProducerSelector(selectors.DefaultSelector):
    """A selector that does not describe the sockets it lacks.

    kafka-python asks for a socket before each registration, and Python's error that it is missing holds the socket's
    addresses. Each of these system calls lets the event loop take the interpreter lock for up to a millisecond, several
    times for each request to a broker.
    """

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[int, selectors.SelectorKey] = {}
        self.has_read = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready. ``has_read`` stays true once something could be read, until it is set to false."""
        found = super().select(timeout)
        for _, events in found:
            if events & selectors.EVENT_READ:
                self.has_read = True
        return found

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = self._keys[fileobj.fileno()] = super().register(fileobj, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        del self._keys[key.fd]
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = self._keys[fileobj.fileno()] = super().modify(fileobj, events, data)
        return key

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        descriptor = fileobj.fileno()
        return self._keys[descriptor] if descriptor >= 0 else super().get_key(fileobj)  # closed: found by identity
