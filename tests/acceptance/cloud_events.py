"""The records of a whole system as the SDKs of CloudEvents read them, in Python and in Java."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat

from paynotify.schemas import topics
from paynotify.schemas.generate.json_schema import FOLDER, carries
from paynotify.schemas.times import parse_time
from tests.consume import languages

#: Written by paynotify with JSON values; shops need write no headers.
JSON_TOPICS: Final = (*sorted(carries().keys() - {topics.EXPECTED, topics.REQUESTED}), topics.ORDERS, topics.CHARGES)

Place = tuple[str, int, int]


def sdk_events(records: Mapping[str, Iterable[Any]]) -> Iterator[tuple[str, Any, BaseCloudEvent]]:
    """Each JSON record with its topic, and the event that the Python SDK makes of it."""
    for topic in JSON_TOPICS:
        for record in records.get(topic, ()):
            message = KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value)
            yield topic, record, from_binary(message, JSONFormat())


def problems_of(event: BaseCloudEvent, record: Any, source: str, schema_base: str) -> Iterator[str]:
    """What of the event is not as docs/consume/cloudevents.md says."""
    schema = event.get_dataschema() or ""
    if event.get_data() != orjson.loads(record.value):
        yield "its data is not the value"
    if event.get_datacontenttype() != "application/json" or not event.get_subject():
        yield f"content type {event.get_datacontenttype()}, subject {event.get_subject()}"
    if not event.get_source().startswith(f"{source}/"):
        yield f"its source is {event.get_source()}"
    if not schema.startswith(schema_base) or not (FOLDER / schema.removeprefix(schema_base)).is_file():
        yield f"its schema is {schema}"
    else:
        yield from _wrong_times(
            event.get_id(), event.get_data(), (FOLDER / schema.removeprefix(schema_base)).read_bytes()
        )


def _wrong_times(name: str, data: Any, schema: bytes) -> Iterator[str]:
    for field, form in orjson.loads(schema)["properties"].items():
        text = data.get(field)
        if '"date-time"' in orjson.dumps(form).decode() and text is not None and parse_time(text) is None:
            yield f"{name}: {field} is no time but {text!r}"


def java_events(bootstrap: str, names: Iterable[str]) -> dict[Place, tuple[str, ...]]:
    """What the Java SDK makes of the records on the topics, by their place."""
    command = ("java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp")
    done = subprocess.run(
        (*command, languages.classpath("cloudevents"), "ReadEvents", bootstrap, *names),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = {}
    for line in done.stdout.splitlines():
        topic, partition, offset, *told = line.split("\t")
        found[topic, int(partition), int(offset)] = tuple(told)
    return found


def as_java_says(event: BaseCloudEvent, value: bytes) -> tuple[Any, ...]:
    """The event of the Python SDK in the words of the Java program, but for the form of its time."""
    return (
        event.get_id(),
        event.get_source(),
        event.get_type(),
        event.get_subject(),
        event.get_datacontenttype(),
        event.get_dataschema(),
        event.get_time(),
        str(len(value)),
    )


def with_parsed_time(told: tuple[str, ...]) -> tuple[Any, ...]:
    """What the Java program says, with the time as a moment."""
    *before, time, length = told
    return (*before, datetime.fromisoformat(time), length)
