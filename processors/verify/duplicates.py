"""Decides whether a notification is a duplicate: the same content for the same merchant, within the provider's window.

The provider's parser decides what the same content is (`ParsedNotification.duplicate_key`). Only the first of several
equal notifications causes a lookup.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

from paynotify.processors.providers.base import Notification, ParsedNotification
from paynotify.processors.state.overlay import Overlay

_KEY_BYTES: Final = 20
_RECEIVED_AT: Final = struct.Struct(">d")


class DuplicateDetector:
    """Remembers the first of equal notifications in one partition's state.

    The state holds for each content when its first notification was received, and that notification's id.
    """

    def __init__(self, state: Overlay, window_seconds: float) -> None:
        self._state = state
        self._window_seconds = window_seconds

    def original_of(self, parsed: ParsedNotification, notification: Notification) -> str | None:
        """The id of the notification that this one is a duplicate of; None if it is the first, which is remembered.

        A notification without a duplicate key is never a duplicate.
        """
        if parsed.duplicate_key is None:
            return None
        key = hashlib.sha256(notification.merchant.encode() + b"\0" + parsed.duplicate_key).digest()[:_KEY_BYTES]
        received_at = notification.received_at.timestamp()
        stored = self._state.get(key)
        if stored is not None:
            first_at, first_id = _RECEIVED_AT.unpack_from(stored)[0], stored[_RECEIVED_AT.size :].decode()
            # a record processed again after a crash is not a duplicate of itself
            if first_id != notification.notification_id and abs(received_at - first_at) <= self._window_seconds:
                return first_id
        self._state.put(key, _RECEIVED_AT.pack(received_at) + notification.notification_id.encode())
        return None
