"""The topics as an AsyncAPI 3.0 document, from the same tables the code uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from paynotify.schemas import topics

_CLOUD_EVENT_HEADERS: Final = {
    "type": "object",
    "description": "CloudEvents 1.0 in Kafka's binary mode.",
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string"},
        "ce_source": {"type": "string"},
        "ce_type": {"type": "string"},
        "ce_time": {"type": "string", "format": "date-time"},
        "traceparent": {"type": "string", "description": "W3C trace context of the notification that caused it."},
    },
}


def asyncapi(carries: Mapping[str, type[Any]], version: str) -> dict[str, Any]:
    """The document; ``carries`` names the message type of each topic, others carry raw bytes."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for topic in topics.all_topics():
        if topic.name.endswith("-changelog"):
            continue  # a stage's own state is nobody's contract
        name = topic.name.replace(".", "_")
        channels[name] = {
            "address": topic.name,
            "description": topic.holds[:1].upper() + topic.holds[1:] + ".",
            "messages": {"record": {"$ref": f"#/components/messages/{_message(carries.get(topic.name))}"}},
            "bindings": {"kafka": _binding(topic)},
        }
        writes_outside = topic.name in (topics.EXPECTED, topics.REQUESTED)
        operations[name] = {
            "action": "receive" if writes_outside else "send",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": "Shops write it." if writes_outside else "paynotify writes it.",
        }
    kinds = sorted({kind.__name__ for kind in carries.values()})
    messages: dict[str, Any] = {kind: _component({"$ref": f"./{kind}.json"}, "application/json") for kind in kinds}
    messages["RawBytes"] = _component({"type": "string", "format": "binary"}, "application/octet-stream")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "paynotify topics",
            "version": version,
            "description": "Names carry the configured topic prefix. Keys are UTF-8 text.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def _message(kind: type[Any] | None) -> str:
    return "RawBytes" if kind is None else kind.__name__


def _component(payload: dict[str, Any], content_type: str) -> dict[str, Any]:
    return {"payload": payload, "contentType": content_type, "headers": _CLOUD_EVENT_HEADERS}


def _binding(topic: topics.Topic) -> dict[str, Any]:
    policy = topic.kafka_settings()["cleanup.policy"].split(",")
    return {"topicConfiguration": {"cleanup.policy": policy}, "bindingVersion": "0.5.0"}
