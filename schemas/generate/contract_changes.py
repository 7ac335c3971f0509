"""What of the contract an earlier release's readers, writers and callers would miss: changes that are not additive.

A reader must take new fields, headers and topics, and new words of growing lists (``x-extensible-enum``). It need not
take anything else, so everything else is refused here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from paynotify.schemas.generate.schema_changes import Direction, Schema, SchemaPair, schema_changes

#: Which side of a channel's messages paynotify is on.
_DIRECTIONS: Final[Mapping[str, Direction]] = {"send": "output", "receive": "input"}


def asyncapi_changes(before: Schema, after: Schema) -> Iterator[str]:
    """What breaks between two AsyncAPI documents."""
    for name, channel in before["channels"].items():
        now = after["channels"].get(name)
        if now is None:
            yield f"{channel['address']} is gone"
            continue
        yield from _topic_changes(channel, now)
        for direction in _directions(before, name):
            yield from _carried_changes(channel, now, (before, after), direction)


def openapi_changes(before: Schema, after: Schema) -> Iterator[str]:
    """What breaks between two OpenAPI documents."""
    for path, methods in before["paths"].items():
        now = after["paths"].get(path, {})
        for method, operation in methods.items():
            if method == "parameters":
                continue
            if method not in now:
                yield f"{method.upper()} {path} is gone"
                continue
            place = f"{method.upper()} {path}"
            parameters = (methods.get("parameters", ()), now.get("parameters", ()))
            yield from _operation_changes(place, operation, now[method], parameters, (before, after))


def _topic_changes(before: Schema, after: Schema) -> Iterator[str]:
    address = before["address"]
    if after["address"] != address:
        yield f"{address} is {after['address']} now"
    for name, parameter in before.get("parameters", {}).items():
        words = after.get("parameters", {}).get(name, {}).get("enum", ())
        yield from (f"{address} has lost the {name} {word}" for word in parameter["enum"] if word not in words)
    was, now = before["bindings"]["kafka"], after["bindings"]["kafka"]
    if was["partitions"] != now["partitions"]:
        yield f"{address} has {now['partitions']} partitions, not {was['partitions']}: keys move"
    settings, others = was["topicConfiguration"], now["topicConfiguration"]
    for name in sorted({*settings, *others}):
        if settings.get(name) != others.get(name):
            yield f"{address} has another {name}: {settings.get(name)!r}, now {others.get(name)!r}"


def _directions(document: Schema, channel: str) -> list[Direction]:
    reference = f"#/channels/{channel}"
    operations = document["operations"].values()
    return sorted({_DIRECTIONS[one["action"]] for one in operations if one["channel"]["$ref"] == reference})


def _carried_changes(
    before: Schema, after: Schema, documents: tuple[Schema, Schema], direction: Direction
) -> Iterator[str]:
    """What breaks of the messages on a channel."""
    address = before["address"]
    yield from (f"{address} carries no {name} any more" for name in before["messages"] if name not in after["messages"])
    if direction == "output":
        new = [name for name in after["messages"] if name not in before["messages"]]
        yield from (f"{address} carries {name}, which its readers don't know" for name in new)
    for name in before["messages"]:
        if name in after["messages"]:
            was, now = (document["components"]["messages"][name] for document in documents)
            yield from _message_changes(f"{address} {name}", was, now, documents, direction)


def _message_changes(
    place: str, before: Schema, after: Schema, documents: tuple[Schema, Schema], direction: Direction
) -> Iterator[str]:
    if before["contentType"] != after["contentType"]:
        yield f"{place} has another content type: {before['contentType']}, now {after['contentType']}"
    for part, was, now in (
        ("value", before["payload"]["schema"], after["payload"]["schema"]),
        ("headers", before["headers"], after["headers"]),
    ):
        yield from schema_changes(SchemaPair(was, now, documents, direction, f"{place} {part}"))
    keys = [one["bindings"]["kafka"]["key"] for one in (before, after)]
    if any(keys[0].get(name) != keys[1].get(name) for name in ("type", "x-template")):
        yield f"{place} has another key: {keys[0].get('x-template')}, now {keys[1].get('x-template')}"


def _operation_changes(
    place: str,
    before: Schema,
    after: Schema,
    shared: tuple[Any, Any],
    documents: tuple[Schema, Schema],
) -> Iterator[str]:
    was, now = (
        _parameters((*common, *operation.get("parameters", ())), document)
        for common, operation, document in zip(shared, (before, after), documents, strict=True)
    )
    for name, parameter in was.items():
        if name not in now:
            yield f"{place} {name} is gone"
        else:
            pair = SchemaPair(parameter["schema"], now[name]["schema"], documents, "input", f"{place} {name}")
            yield from schema_changes(pair)
    for name, parameter in now.items():
        if parameter.get("required") and not was.get(name, {}).get("required"):
            yield f"{place} {name} is required now"
    bodies = [one.get("requestBody", {}).get("content", {}) for one in (before, after)]
    yield from (f"{place} takes no {media_type} any more" for media_type in bodies[0] if media_type not in bodies[1])
    yield from _access_changes(place, before, after)
    yield from _answer_changes(place, before["responses"]["200"], after["responses"].get("200", {}), documents)


def _answer_changes(place: str, before: Schema, after: Schema, documents: tuple[Schema, Schema]) -> Iterator[str]:
    """What callers read: JSON may grow, anything else is a provider's own protocol."""
    was, now = (one.get("content", {}).get("application/json", {}).get("schema") for one in (before, after))
    if was is not None and now is not None:
        yield from schema_changes(SchemaPair(was, now, documents, "output", f"{place} answer"))
    elif before != after:
        yield f"{place} has another answer to what is stored"


def _access_changes(place: str, before: Schema, after: Schema) -> Iterator[str]:
    yield from (
        f"{place} is not allowed any more with {' and '.join(way) or 'no token'}"
        for way in before["security"]
        if way not in after["security"]
    )


def _parameters(listed: tuple[Schema, ...], document: Schema) -> dict[str, Schema]:
    """Parameters by where they are and their name."""
    found = [
        document["components"]["parameters"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in listed
    ]
    return {f"{one['in']} {one['name']}": one for one in found}
