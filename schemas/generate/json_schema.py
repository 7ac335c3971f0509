"""The contract as documents, generated from types and tables into ``schemas/json``.

JSON Schemas of every topic's value, two AsyncAPI documents of the topics, and OpenAPI documents of the ingress and of
the console's API.

``python -m paynotify.schemas.generate.json_schema`` writes them. A test fails when they differ from the types, so a
change of the contract is always a visible change of these files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson

from paynotify.schemas import messages, topics
from paynotify.schemas.generate.api_openapi import api_openapi
from paynotify.schemas.generate.asyncapi import asyncapi
from paynotify.schemas.generate.message_schemas import definition_schemas
from paynotify.schemas.generate.openapi import openapi
from paynotify.schemas.providers import provider_names

#: Of the contract, which changes additively within it; not of the distribution.
VERSION: Final = "1.0.0"

FOLDER: Final = Path(__file__).parents[1] / "json"


def carries() -> dict[str, type[Any]]:
    """Which message each topic carries; a topic not named carries raw bytes, described in `topics.all_topics`."""
    names = provider_names()
    retries = [topic for name in names for topic in topics.retry_steps(name)]
    return {
        **dict.fromkeys((*map(topics.lookups, names), *retries), messages.Lookup),
        topics.OBSERVATIONS: messages.Observation,
        topics.STATUS: messages.PaymentStatus,
        topics.LATEST: messages.PaymentStatus,
        topics.EXPECTED: messages.ExpectedPayment,
        topics.OVERDUE: messages.OverduePayment,
        topics.SILENT: messages.ProviderSilent,
        topics.OPERATIONS: messages.OperationsEvent,
        topics.OPERATORS: messages.OperatorAction,
        topics.RECONCILIATIONS: messages.Reconciliation,
        topics.REQUESTED: messages.RequestedPayment,
        topics.REQUESTS: messages.PaymentRequest,
    }


def schema_of(kind: type[Any]) -> dict[str, Any]:
    """The JSON Schema of one message type, in the form that every schema registry takes.

    That is draft 7, which all of them know, with the type itself at the top and nothing outside of the document. The
    messages within it are ``definitions``; no ``$ref`` has siblings, which draft 7 would ignore.
    """
    components = definition_schemas(kind)
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", **components.pop(kind.__name__)}
    return {**schema, "definitions": components} if components else schema


def kinds() -> list[type[Any]]:
    """Every message that an event carries, by name."""
    return sorted(set(messages.EVENT_DATA.values()), key=lambda kind: kind.__name__)


def documents() -> dict[str, bytes]:
    """Every file of the folder by name."""
    carried = carries()
    files = {f"{kind.__name__}.json": _pretty(schema_of(kind)) for kind in kinds()}
    index = {
        topic.name: {
            "holds": topic.holds,
            "value": f"{carried[topic.name].__name__}.json" if topic.name in carried else "raw bytes",
        }
        for topic in topics.all_topics()
    }
    return {
        **files,
        "topics.json": _pretty(index),
        "asyncapi.json": _in_order(asyncapi(VERSION, public=True)),
        "asyncapi-internal.json": _in_order(asyncapi(VERSION, public=False)),
        "openapi.json": _in_order(openapi(VERSION)),
        "openapi-console.json": _in_order(api_openapi(VERSION)),
    }


def _pretty(document: Any) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def _in_order(document: Any) -> bytes:
    """Of documents that people read from the top."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"


def write() -> None:
    """Write the folder again."""
    FOLDER.mkdir(exist_ok=True)
    for name, content in documents().items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    write()
