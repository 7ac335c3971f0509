"""Writes ``docs/reference/messages.md``: every topic, message, field and header, from the tables of the contract.

Run it with ``python -m paynotify.schemas.generate.messages_page``; a unit test compares the page with the tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from paynotify.schemas import topics
from paynotify.schemas.generate import markdown
from paynotify.schemas.generate.asyncapi import all_messages
from paynotify.schemas.generate.channels import Channel, channels
from paynotify.schemas.generate.examples import recorded_examples
from paynotify.schemas.generate.message_schemas import component_schemas
from paynotify.schemas.generate.record_headers import GROWING_LIST, of
from paynotify.schemas.generate.topic_messages import TopicMessage

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "reference" / "messages.md"

_INTRODUCTION: Final = """\
# Topics and messages

<!-- Generated from the contract by `python -m paynotify.schemas.generate.messages_page`. Do not edit. -->

Everything that is on the topics. The same as documents for tools: [results](../../schemas/json/asyncapi.json),
[internal topics](../../schemas/json/asyncapi-internal.json), [the ingress](../../schemas/json/openapi.json);
[contract](contract.md) says how to open them and what may change. Names of topics carry the configured prefix.
Keys and headers are UTF-8 text. A field or header in *italics* may be absent. `…` ends a list that grows.
"""

_KINDS: Final = {True: "Topics for readers and writers", False: "Internal topics"}
_DAY_MILLISECONDS: Final = 24 * 3600 * 1000


def page() -> str:
    """The Markdown page."""
    shown, carried = channels(), all_messages()
    parts = [_INTRODUCTION]
    for public, title in _KINDS.items():
        parts += _topics(title, [channel for channel in shown if channel.row.public == public])
    parts += _changelogs()
    kinds = [one.value for one in carried.values() if one.value is not None]
    schemas = component_schemas(kinds)
    for public in _KINDS:
        names = dict.fromkeys(name for one in shown if one.row.public == public for name in one.row.carries)
        parts += ["## Messages for readers and writers\n" if public else "## Internal messages\n"]
        for name in names:
            parts += _message(carried[name], [one.address for one in shown if name in one.row.carries], schemas)
    own = {kind.__name__ for kind in kinds}
    parts += ["## Types within messages\n"]
    for name, schema in schemas.items():
        if name not in own:
            parts += [f"### {name}\n", f"{_line(schema.get('description', ''))}\n", *_fields(schema), ""]
    return "\n".join(parts).rstrip() + "\n"


def _topics(title: str, shown: Iterable[Channel]) -> Iterator[str]:
    yield f"## {title}\n"
    header = ("topic", "holds", "messages", "written by", "read by", "retention")
    yield from markdown.table(header, map(_topic_row, shown))
    yield ""


def _topic_row(channel: Channel) -> tuple[str, ...]:
    row, topic = channel.row, channel.topic
    messages = ", ".join(f"[{name}](#{name.lower()})" for name in row.carries)
    readers = row.read_by or ("you" if row.public else "tools")
    return f"`{channel.address}`", topic.holds, messages, row.written_by, readers, _retention(topic)


def _changelogs() -> Iterator[str]:
    yield "## State of the stages\n"
    yield "Bytes that only the stage itself can read. No contract: they may change in any release.\n"
    shown = [topic for topic in topics.all_topics() if topic.name.endswith("-changelog")]
    rows = ((f"`{topic.name}`", topic.holds, _retention(topic)) for topic in shown)
    yield from markdown.table(("topic", "holds", "retention"), rows)
    yield ""


def _retention(topic: topics.Topic) -> str:
    settings = topic.kafka_settings()
    compacted = ["compacted"] if topic.compacted else []
    milliseconds = int(settings["retention.ms"])
    if milliseconds >= 0:
        return ", ".join([*compacted, f"{milliseconds // _DAY_MILLISECONDS} days"]).replace("1 days", "1 day")
    return ", ".join(compacted) or "unlimited"


def _message(message: TopicMessage, addresses: Iterable[str], schemas: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {message.name}\n"
    yield f"{message.summary}\n"
    yield f"{message.description.strip()}\n"
    yield f"- Topics: {', '.join(f'`{address}`' for address in addresses)}"
    yield f"- Key: {message.key_in_words}"
    types = ", ".join(f"`{one}`" for one in message.event_types)
    yield f"- Value: `{message.content_type}`" + (f"; `ce_type` {types}" if types else "") + "\n"
    if message.value is not None:
        yield from _fields(schemas[message.value.__name__])
        yield ""
    yield from _headers(message)
    yield from _example(message)


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    fields, required = schema["properties"], schema.get("required", ())
    rows = [
        (_named(name, required), type_text(form), _line(form.get("description", ""))) for name, form in fields.items()
    ]
    shown = 3 if any(meaning for _, _, meaning in rows) else 2
    yield from markdown.table(("field", "type", "meaning")[:shown], [row[:shown] for row in rows])


def _named(name: str, required: Collection[str]) -> str:
    """A field's or header's name; in italics if it may be absent."""
    return f"`{name}`" if name in required else f"*`{name}`*"


def type_text(form: dict[str, Any]) -> str:
    """A field's type as a cell of a table."""
    if "$ref" in form:
        name = form["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for word in ("anyOf", "allOf"):
        if word in form:
            return " or ".join(type_text(one) for one in form[word])
    if GROWING_LIST in form or "enum" in form or "const" in form:
        words = form.get(GROWING_LIST) or form.get("enum") or [form["const"]]
        return ", ".join(f"`{one}`" for one in words) + (", …" if GROWING_LIST in form else "")
    if form.get("type") == "array":
        return f"list of {type_text(form['items'])}" if form.get("items") else "list"
    if isinstance(form.get("additionalProperties"), dict):
        return f"{type_text(form['additionalProperties'])} by name"
    return " ".join(str(part) for part in (form.get("type", "any"), form.get("format")) if part)


def _headers(message: TopicMessage) -> Iterator[str]:
    names = (*message.required_headers, *message.further_headers)
    if not names:
        yield "It has no headers.\n"
        return
    rows = ((_named(name, message.required_headers), type_text(of(name).schema()), of(name).meaning) for name in names)
    yield from markdown.table(("header", "form", "meaning"), rows)
    yield ""


def _example(message: TopicMessage) -> Iterator[str]:
    example = recorded_examples().get(message.name)
    if example is None or message.value is None:
        return
    payload = orjson.dumps(example.payload, option=orjson.OPT_INDENT_2).decode()
    yield f"An example, with the key `{example.key}`:\n" if example.key else "An example:\n"
    yield f"```json\n{payload}\n```\n"


def _line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
