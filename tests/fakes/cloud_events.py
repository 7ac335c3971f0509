"""Headers of single events, as an installation writes them that configures nothing about events."""

from __future__ import annotations

from paynotify.schemas import messages
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.events import DEFAULT_EVENTS
from paynotify.schemas.records import Headers


def cloud_event(
    *, event_id: str, source: str, event_type: str, event_time: str, subject: bytes = b"", **extra: str
) -> Headers:
    """The headers of one event."""
    return EventHeaders(DEFAULT_EVENTS, source, event_type)(event_id, event_time, subject, **extra)


def lookup_headers(provider: str) -> EventHeaders:
    """Those of the lookups that verify requests."""
    return EventHeaders(DEFAULT_EVENTS, f"/verify/{provider}", messages.LOOKUP_REQUESTED)
