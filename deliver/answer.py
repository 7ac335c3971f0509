"""What a subscriber's answer means: a pure function of its status and headers."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from paynotify.schemas.reasons import DeliveryReason
from paynotify.service.outgoing_calls import retry_after_seconds

_GONE: Final = 410
_BUSY: Final = (429, 503)
#: Refusals that say nothing about the event: the subscriber was too slow, or wants to be called again.
_NO_REFUSALS: Final = (408, 425)


class SubscriberAnswer(msgspec.Struct, frozen=True, gc=False):
    """How a call ended. Without a ``reason`` the event is delivered.

    ``is_outage``: it says something about the subscriber rather than about this event. ``pause_seconds`` is what the
    subscriber asks for before the next call.
    """

    reason: DeliveryReason | None
    is_outage: bool = False
    pause_seconds: float = 0.0


DELIVERED: Final = SubscriberAnswer(None)


def judge(status: int, retry_after: str, now: datetime, max_pause_seconds: float) -> SubscriberAnswer:
    """What the status means, with the pause of ``Retry-After`` where the subscriber is busy."""
    if 200 <= status < 300:
        return DELIVERED
    if status == _GONE:
        return SubscriberAnswer("gone")
    if status in _BUSY:
        pause_seconds = retry_after_seconds(retry_after, now, max_pause_seconds) or 0.0
        return SubscriberAnswer("busy", is_outage=True, pause_seconds=pause_seconds)
    if 300 <= status < 400:
        return SubscriberAnswer("redirected", is_outage=True)
    if 400 <= status < 500:
        return SubscriberAnswer("refused", is_outage=status in _NO_REFUSALS)
    return SubscriberAnswer("failing", is_outage=True)
