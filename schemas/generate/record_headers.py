"""The headers of the records, as the contract documents describe them: each one's meaning and what its text looks like.

A header that is on a topic and not here is in no document, so a test compares this table with a whole day's records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from paynotify.schemas.providers import provider_contracts
from paynotify.schemas.reasons import ALERT_KINDS, DEAD_REASONS, DELIVERY_REASONS, REJECT_REASONS

#: A list to which words are added: consumers treat one that they don't know as the last row of its table says.
GROWING_LIST: Final = "x-extensible-enum"

_MOMENT: Final = {"format": "date-time"}

_REASONS: Final = sorted({*REJECT_REASONS, *DEAD_REASONS, *DELIVERY_REASONS})


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """A header of a record. Its value is UTF-8 text; ``form`` says more of it in JSON Schema."""

    meaning: str
    form: Mapping[str, Any] = field(default_factory=dict)

    def schema(self, **more: Any) -> dict[str, Any]:
        """The header's text as a JSON Schema."""
        return {"type": "string", "description": self.meaning, **self.form, **more}


#: Of every record that paynotify makes; records of shops may leave them out.
CLOUD_EVENT: Final = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time")

#: Of every record with a JSON value that this release or a later one makes.
JSON_VALUE: Final = ("content-type", "ce_dataschema", "ce_subject", "__value_schema_id")

HEADERS: Final[Mapping[str, RecordHeader]] = {
    "ce_specversion": RecordHeader("Version of CloudEvents.", {"const": "1.0"}),
    "ce_id": RecordHeader("The event's id. A record that is published again after a crash has the same one."),
    "ce_source": RecordHeader("What made the event.", {"format": "uri-reference"}),
    "ce_type": RecordHeader("The kind of event. A message's fields only grow within a version of it."),
    "ce_time": RecordHeader("When it happened, in UTC.", _MOMENT),
    "traceparent": RecordHeader(
        "W3C trace context: the same trace from the provider's call to the result.",
        {"pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"},
    ),
    "ce_subject": RecordHeader(
        "What the event is about: the record's key; on `payments.charges` the request or payment."
    ),
    "ce_dataschema": RecordHeader("The JSON Schema of the value: `kafka.events.schema_base` and a file's name."),
    "__value_schema_id": RecordHeader(
        "The schema's id in a registry, as bytes: 0 and four bytes, or 1 and a GUID's sixteen. Only if configured."
    ),
    "content-type": RecordHeader("Media type of the value; of raw records as the sender named it, if at all."),
    "content-encoding": RecordHeader("How the provider compressed the response that is stored."),
    "kind": RecordHeader("The event's `kind`, for consumers that filter without reading values."),
    "received-at": RecordHeader("When the notification or request behind the record was received.", _MOMENT),
    "said": RecordHeader("The version of what the shop expects; the greater text is the newer one."),
    "http-method": RecordHeader("The call's method.", {"enum": ["POST", "GET"]}),
    "http-query": RecordHeader("The call's query, without the URL token."),
    "http-status": RecordHeader("HTTP status of the provider's response.", {"pattern": "^[0-9]{3}$"}),
    "http-content-encoding": RecordHeader("How the call was compressed; the value is inflated."),
    "user-agent": RecordHeader("The caller's `User-Agent`."),
    "x-request-id": RecordHeader("The caller's `X-Request-Id`."),
    "url-token": RecordHeader("SHA-256 of the call's URL token.", {"pattern": "^[0-9a-f]{64}$"}),
    "masked-card-numbers": RecordHeader(
        "How many card numbers were masked in the record before it was stored.", {"pattern": "^[1-9][0-9]*$"}
    ),
    "encryption-key": RecordHeader("The value is encrypted with the key of this id."),
    "reference": RecordHeader("The payment or order that the response is about; absent if it is about several."),
    "lookups": RecordHeader(
        "The lookups that the response answers, as JSON.", {"contentMediaType": "application/json"}
    ),
    "incomplete": RecordHeader("`1`: the response is cut off.", {"const": "1"}),
    "clock": RecordHeader("`brokers`: the record's times are by the brokers' clock.", {"const": "brokers"}),
    "known": RecordHeader("`1`: the provider is known to know the id.", {"const": "1"}),
    "again-of": RecordHeader("Id of the lookup that this one repeats, because its response was not conclusive."),
    "attempts": RecordHeader("How often it was tried.", {"pattern": "^[0-9]+$"}),
    "not-before": RecordHeader("When it is tried again.", _MOMENT),
    "held-since": RecordHeader("Since when it waits because every call for its merchant fails."),
    "first-seen": RecordHeader("When it was first seen.", _MOMENT),
    "stored-at": RecordHeader("When the brokers first stored the notification.", _MOMENT),
    "reason": RecordHeader("Why it was rejected, is dead, or waits.", {GROWING_LIST: _REASONS}),
    "elements": RecordHeader("Places of the response's elements that could not be read, separated by blanks."),
    "original-topic": RecordHeader("The topic that the record comes from."),
    "original-partition": RecordHeader("Its partition there.", {"pattern": "^[0-9]+$"}),
    "original-offset": RecordHeader("Its offset there.", {"pattern": "^[0-9]+$"}),
    "replayed-from": RecordHeader("The position on the rejected or dead-letter topic that it was replayed from."),
    "subscription": RecordHeader("The subscription that the delivery belongs to."),
    "delivery-key": RecordHeader("The key of the event to deliver."),
    "duplicate-of": RecordHeader("Id of the notification that this one repeats."),
    "alert": RecordHeader("The alert's name."),
    "alert-kind": RecordHeader("What the alert is about.", {GROWING_LIST: list(ALERT_KINDS)}),
    "alert-state": RecordHeader("Whether it was raised or is over.", {"enum": ["raised", "over"]}),
}


def stored_request_headers() -> tuple[str, ...]:
    """The headers of calls that some provider's route stores with the body."""
    names = {name.decode() for contract in provider_contracts().values() for name in contract.route.stored_headers}
    return tuple(sorted(names))


def header_schema(event_types: Iterable[str], required: Iterable[str], optional: Iterable[str]) -> dict[str, Any]:
    """The headers of a message as a JSON Schema. Others may come: readers ignore those that they don't know."""
    types = tuple(event_types)
    properties: dict[str, Any] = {}
    for name in (*required, *optional):
        if name == "ce_type" and types:
            properties[name] = HEADERS[name].schema(
                **({"const": types[0]} if len(types) == 1 else {"enum": list(types)})
            )
        else:
            properties[name] = of(name).schema()
    return {"type": "object", "required": list(required), "properties": properties}


def of(name: str) -> RecordHeader:
    """The header of that name; one that a provider's route stores is the caller's own."""
    return HEADERS.get(name) or RecordHeader(f"The caller's `{name}`.")
