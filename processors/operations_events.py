"""Events for the person who runs the product: each case on the topic ``operations`` and in the log.

They are outputs of the stage that notices the case, so they become durable with its other outputs, before its state.
Their ids are derived from the case, so a repeat after a crash is the same event.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from paynotify.processors.providers.base import OddElement
from paynotify.schemas import messages
from paynotify.schemas.cloudevents import EventHeaders
from paynotify.schemas.ids import derived_id
from paynotify.schemas.messages import MAX_ELEMENTS, NamedElement, OperationsEvent
from paynotify.schemas.records import Output, Record
from paynotify.service.logs import event

logger = logging.getLogger("paynotify.operations")

_MAX_PLACE_CHARACTERS: Final = 100


def operations_output(topic: str, noticed: OperationsEvent, make_headers: EventHeaders, record: Record) -> Output:
    """The event as a record, and its line in the log. ``record`` is what it was noticed at."""
    event(
        logger,
        noticed.kind,
        level=logging.WARNING,
        event_id=noticed.event_id,
        provider=noticed.provider,
        merchant=noticed.merchant,
        cause=noticed.cause,
        **({"payment": noticed.payment_id} if noticed.payment_id else {"elements": noticed.elements_total}),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
    )
    # a page is keyed as its response is: by payment, or by merchant if it is about several
    key = f"{noticed.merchant}/{noticed.payment_id}".encode() if noticed.payment_id else record.key
    headers = make_headers(
        noticed.event_id, noticed.at, key or b"", traceparent=record.header("traceparent"), kind=noticed.kind
    )
    return Output(topic, key, messages.encode(noticed), headers)


def odd_elements(record: Record, provider: str, merchant: str, elements: Sequence[OddElement]) -> OperationsEvent:
    """The event that a response or a lookup has odd elements. Read again with others, as after a mended key, it is
    another one."""
    cause = record.header("ce_id")
    places = [f"{one.place} {one.reason}" for one in elements]
    return OperationsEvent(
        event_id=derived_id("operations", "odd_elements", cause, *places),
        kind="odd_elements",
        provider=provider,
        merchant=merchant,
        cause=cause,
        at=record.header("ce_time"),
        elements=tuple(
            NamedElement(place=one.place[:_MAX_PLACE_CHARACTERS], reason=one.reason) for one in elements[:MAX_ELEMENTS]
        ),
        elements_total=len(elements),
    )
