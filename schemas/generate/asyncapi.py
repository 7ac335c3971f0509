"""The topics as two AsyncAPI 3.1 documents: what others read and write, and what stages write to each other.

Each document is complete in itself: everything that it refers to is under its own ``components``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from paynotify.schemas.configuration.kafka import TopicSettings
from paynotify.schemas.generate.channels import Channel, channels
from paynotify.schemas.generate.examples import recorded_examples
from paynotify.schemas.generate.internal_messages import internal_messages
from paynotify.schemas.generate.message_schemas import component_schemas
from paynotify.schemas.generate.record_headers import header_schema
from paynotify.schemas.generate.servers import SECURITY_SCHEMES, servers
from paynotify.schemas.generate.topic_messages import PUBLIC_MESSAGES, TopicMessage

#: The dialect of the inlined schemas: AsyncAPI's tools read no newer one. Their keywords mean the same in 2020-12.
DIALECT: Final = "application/schema+json;version=draft-07"

LICENSE: Final = {"name": "Apache License 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}

_BINDING: Final = "0.5.0"

_TRACE: Final = {"description": "The trace of the call that caused it.", "location": "$message.header#/traceparent"}

_PUBLIC: Final = """\
What ERP, warehouse and shop systems read from and write to paynotify.

- **Read** `payments.status` (every change) or `payments.latest` (the newest event of a payment). Act on `fulfilment`.
- **Write** `payments.expected` to have payments compared and missing ones reported; `payments.requested` to charge.
- Names of topics carry the configured prefix. Keys are UTF-8 text, values JSON.
- Metadata are [CloudEvents 1.0](https://cloudevents.io) headers in Kafka's binary mode.
- **Within version 1 the contract only grows.** Ignore fields, headers and topics that you don't know. Lists of words
  with `x-extensible-enum` get new ones; those with `enum` don't."""

_INTERNAL: Final = """\
What paynotify's own stages write to each other. Read it to diagnose; write none of it. Fields only grow here too,
because workers of two releases run side by side during an upgrade. The other document has what others read."""


def asyncapi(version: str, *, public: bool) -> dict[str, Any]:
    """The document of the public channels, or that of the internal ones."""
    shown = [channel for channel in channels() if channel.row.public == public]
    carried = _messages(shown)
    return {
        "asyncapi": "3.1.0",
        "id": f"urn:paynotify:{'results' if public else 'internal'}",
        "info": {
            "title": "paynotify results" if public else "paynotify internal topics",
            "version": version,
            "description": _PUBLIC if public else _INTERNAL,
            "contact": {"name": "paynotify"},
            "license": LICENSE,
            "tags": [{"name": "payments"}, {"name": "kafka"}],
        },
        "defaultContentType": "application/json",
        "servers": servers(),
        "channels": {channel.name: _channel(channel) for channel in shown},
        "operations": dict(item for channel in shown for item in _operations(channel)),
        "components": {
            "messages": {message.name: _message(message) for message in carried},
            "schemas": component_schemas(message.value for message in carried if message.value is not None),
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def all_messages() -> dict[str, TopicMessage]:
    """Every message by name, public ones first."""
    return {message.name: message for message in (*PUBLIC_MESSAGES, *internal_messages())}


def _messages(shown: Iterable[Channel]) -> list[TopicMessage]:
    """The messages of these channels, in their order."""
    by_name = all_messages()
    return [by_name[name] for name in dict.fromkeys(name for channel in shown for name in channel.row.carries)]


def _channel(channel: Channel) -> dict[str, Any]:
    holds = channel.topic.holds
    parameters = {
        name: {"description": f"The {name}.", "enum": list(values)} for name, values in channel.values.items()
    }
    return {
        "address": channel.address,
        "title": channel.row.title,
        "summary": f"{holds[:1].upper()}{holds[1:]}.",
        "description": _written_by(channel),
        "servers": [{"$ref": "#/servers/brokers"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in channel.row.carries},
        **({"parameters": parameters} if parameters else {}),
        "bindings": {"kafka": channel_binding(channel)},
    }


def _written_by(channel: Channel) -> str:
    written = f"Written by {channel.row.written_by}."
    read = f" Read by {channel.row.read_by}." if channel.row.read_by else ""
    follows = " It has as many partitions as the topic that it follows." if channel.topic.follows else ""
    return written + read + follows


def channel_binding(channel: Channel) -> dict[str, Any]:
    """The topic as `paynotify topics apply` creates it by default."""
    settings = channel.topic.kafka_settings()
    defaults = TopicSettings()
    return {
        "partitions": defaults.partitions,
        "replicas": defaults.replication_factor,
        "topicConfiguration": {name: _setting(name, value) for name, value in settings.items()},
        "bindingVersion": _BINDING,
    }


def _setting(name: str, value: str) -> Any:
    if name == "cleanup.policy":
        return value.split(",")
    return int(value) if value.lstrip("-").isdigit() else value


def _operations(channel: Channel) -> Iterable[tuple[str, dict[str, Any]]]:
    """What paynotify does with the channel: it sends, or it receives, or one stage does what another one has sent."""
    if not channel.of_shops:
        yield f"send.{channel.name}", _operation(channel, "send", "Send", channel.row.written_by)
    if channel.row.read_by is not None:
        group = {
            "type": "string",
            "description": "The consumer group, behind the configured prefix.",
            "pattern" if "{" in channel.row.read_by else "const": _group(channel.row.read_by),
        }
        binding = {"kafka": {"groupId": group, "bindingVersion": _BINDING}}
        yield (
            f"receive.{channel.name}",
            {**_operation(channel, "receive", "Receive", channel.row.read_by), "bindings": binding},
        )


def _group(stage: str) -> str:
    if "{" not in stage:
        return f"paynotify.{stage}"
    return f"^paynotify\\.{stage.partition('.')[0]}\\.[A-Za-z0-9._-]+$"


def _operation(channel: Channel, action: str, word: str, who: str) -> dict[str, Any]:
    reference = f"#/channels/{channel.name}"
    return {
        "action": action,
        "title": f"{word} {channel.row.title[:1].lower()}{channel.row.title[1:]}",
        "summary": f"By {who}.",
        "description": f"paynotify {action}s records of `{channel.address}`.",
        "channel": {"$ref": reference},
        "messages": [{"$ref": f"{reference}/messages/{name}"} for name in channel.row.carries],
    }


def _message(message: TopicMessage) -> dict[str, Any]:
    example = recorded_examples().get(message.name)
    shown = {} if example is None else {"examples": [{"headers": example.headers, "payload": example.payload}]}
    traced = "traceparent" in (*message.required_headers, *message.optional_headers)
    return {
        "name": message.name,
        "title": message.title,
        "summary": message.summary,
        "description": message.description.strip(),
        "contentType": message.content_type,
        "headers": headers_of(message),
        **({"correlationId": _TRACE} if traced else {}),
        "payload": {"schemaFormat": DIALECT, "schema": payload_of(message)},
        "bindings": {"kafka": {"key": key_of(message), "bindingVersion": _BINDING}},
        **shown,
    }


def headers_of(message: TopicMessage) -> dict[str, Any]:
    """The message's headers as a schema."""
    return header_schema(message.event_types, message.required_headers, message.further_headers)


def payload_of(message: TopicMessage) -> dict[str, Any]:
    """The message's value as a schema."""
    if message.value is not None:
        return {"$ref": f"#/components/schemas/{message.value.__name__}"}
    return {"type": "string", "description": message.summary, **(message.form or {})}


def key_of(message: TopicMessage) -> dict[str, Any]:
    """The record's key as a schema."""
    meaning = message.key_in_words
    key_type: Any = "string" if message.key else ["string", "null"]
    return {"type": key_type, "description": f"{meaning[:1].upper()}{meaning[1:]}.", "x-template": message.key}
