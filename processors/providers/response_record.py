"""The record on ``responses.<provider>``: a raw response, stored before anything else is done with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from paynotify.processors.providers.base import ProviderResponse, WaitingLookup
from paynotify.schemas import messages
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.configuration.events import DEFAULT_EVENTS, EventSettings
from paynotify.schemas.ids import time_ordered_id
from paynotify.schemas.messages import Answered
from paynotify.schemas.records import Output, Record
from paynotify.schemas.times import rfc3339

#: The header that says by which clock the other times of the record are, if not by the worker's own.
CLOCK: Final = "clock"
BROKERS: Final = "brokers"

_ANSWERED: Final = msgspec.json.Decoder(list[Answered])


def response_record(
    topic: str,
    provider: str,
    merchant: str,
    response: ProviderResponse,
    lookups: Sequence[WaitingLookup] = (),
    events: EventSettings = DEFAULT_EVENTS,
) -> Output:
    """The bytes as received, with ``lookups`` as those that the response answers."""
    headers = EventHeaders(events, f"/providers/{provider}/{merchant}", messages.RESPONSE_RECEIVED)(
        time_ordered_id(),
        rfc3339(response.received_at),
        traceparent=lookups[0].traceparent if lookups else "",
        content_type=response.content_type,
        http_status=str(response.http_status),
        reference=response.reference or "",
        content_encoding=response.content_encoding,
        incomplete="" if response.complete else "1",
        clock=BROKERS if response.by_brokers else "",
        lookups=messages.encode([one.as_answered() for one in lookups]).decode(),
        **_facts(response),
    )
    key = merchant if response.reference is None else f"{merchant}/{response.reference}"
    return Output(topic, key.encode(), response.body, headers)


def _facts(response: ProviderResponse) -> dict[str, Any]:
    return {f"fact_{name}": value for name, value in response.facts.items()}


def answered_lookups(response: Record) -> list[Answered]:
    """The lookups that a response's record names as those it answers; none if its header can't be read."""
    try:
        return _ANSWERED.decode(response.header("lookups", "[]"))
    except (msgspec.MsgspecError, RecursionError):
        return []
