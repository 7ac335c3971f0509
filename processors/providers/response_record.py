"""A provider's raw answer as the record that is stored of it, before anything else is done with it."""

from __future__ import annotations

from processors.providers.base import Answer
from schemas import messages
from schemas.cloudevents import cloud_event
from schemas.ids import time_ordered_id
from schemas.records import Output
from schemas.times import rfc3339


def response(topic: str, provider: str, merchant: str, answer: Answer) -> Output:
    """The record on ``responses.<provider>``: the bytes as received, and which lookups they answer."""
    headers = cloud_event(
        event_id=time_ordered_id(),
        source=f"/providers/{provider}/{merchant}",
        event_type=messages.RESPONSE_RECEIVED,
        event_time=rfc3339(answer.received_at),
        traceparent=answer.answers[0].traceparent if answer.answers else "",
        content_type=answer.content_type,
        http_status=str(answer.http_status),
        reference=answer.reference or "",
        lookups=messages.encode([one.as_answered() for one in answer.answers]).decode(),
        **{f"fact_{name}": value for name, value in answer.facts.items()},
    )
    key = merchant if answer.reference is None else f"{merchant}/{answer.reference}"
    return Output(topic, key.encode(), answer.body, headers)
