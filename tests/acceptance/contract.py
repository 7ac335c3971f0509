"""Whether the records of a whole system are as the contract documents say, and the recording of their examples."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

import jsonschema
import orjson

from paynotify.schemas.generate.asyncapi import all_messages, headers_of
from paynotify.schemas.generate.channels import Channel, channels
from paynotify.schemas.generate.examples import FILE
from paynotify.schemas.generate.message_schemas import component_schemas
from paynotify.schemas.generate.topic_messages import TopicMessage

#: Of one message; validating each record of a day would take longer than the day.
CHECKED_RECORDS: Final = 100

MESSAGES: Final = all_messages()

#: ``PAYNOTIFY_RECORD_EXAMPLES=1`` writes the first record of each message that has no example.
RECORD: Final = "PAYNOTIFY_RECORD_EXAMPLES"

#: An example is to be read.
EXAMPLE_BYTES: Final = 1500

#: What an example should show.
TELLING: Final[Mapping[str, Mapping[str, Any]]] = {
    "PaymentStatusChanged": {"status": "captured", "fulfilment": "release", "final": True},
    "RequestProgressed": {"state": "done", "action": "charge"},
    "PaymentOverdue": {"state": "raised"},
    "ProviderSilent": {"state": "silent"},
    "PaymentRequested": {"action": "charge", "capture": "now"},
    "PaymentObserved": {"status": "captured"},
    "OperatorActed": {"state": "done"},
}

#: Of what providers send: the one whose examples are short and hold nothing that looks like a secret.
TELLING_TOPICS: Final[Mapping[str, str]] = {
    "NotificationReceived": "notifications.nevogate",
    "LookupRequested": "lookups.trustpayments",
    "ResponseReceived": "responses.nevogate",
}

#: Headers with free names, of which the documents describe the form only.
FREE_NAMES: Final = ("fact-",)


def assert_records_fit(records: Mapping[str, Iterable[Any]]) -> set[str]:
    """Each record is one of the messages of its channel. Returns which messages there were."""
    problems: list[str] = []
    seen: dict[str, int] = defaultdict(int)
    for channel in channels():
        for name in channel.names:
            for record in records.get(name, ()):
                message = message_of(channel, record)
                if message is None:
                    problems.append(f"{name}: no message has the ce_type {text_headers(record).get('ce_type')}")
                    continue
                seen[message.name] += 1
                if seen[message.name] <= CHECKED_RECORDS:
                    problems += [f"{name} {message.name}: {one}" for one in misfits(channel, message, record)]
                if os.environ.get(RECORD):
                    record_example(name, message, record)
    assert not problems, "\n".join(problems[:10])
    return set(seen)


def message_of(channel: Channel, record: Any) -> TopicMessage | None:
    """The channel's message that the record is."""
    carried = [MESSAGES[name] for name in channel.row.carries]
    if len(carried) == 1:
        return carried[0]
    headers = text_headers(record)
    named = [one for one in carried if headers.get("ce_type", "") in one.event_types]
    return next((one for one in named or carried if headers.keys() >= set(one.required_headers)), None)


def misfits(channel: Channel, message: TopicMessage, record: Any) -> list[str]:
    """What of the record is not as documented."""
    headers = text_headers(record)
    found = [one.message for one in _headers(message.name).iter_errors(headers)]
    documented = {*message.required_headers, *message.further_headers}
    found += [
        f"header {name} is in no document"
        for name in headers
        if name not in documented and not name.startswith(FREE_NAMES)
    ]
    if message.value is None:
        return found
    if channel.of_shops:
        return found  # what shops write may be wrong, and is dead-lettered then
    payload = orjson.loads(record.value)
    found += [one.message for one in _payload(message.name).iter_errors(payload)]
    key = (record.key or b"").decode()
    if message.key and not message.key_meaning and key != message.key.format(**payload):
        found.append(f"its key is {key}, not {message.key}")
    return found


def text_headers(record: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers}


def record_example(topic: str, message: TopicMessage, record: Any) -> None:
    """Keep the record as the message's example, if there is none and the record is a good one."""
    examples = orjson.loads(FILE.read_bytes())
    value = record.value or b""
    if message.name in examples or TELLING_TOPICS.get(message.name, topic) != topic:
        return
    if len(value) > EXAMPLE_BYTES or not is_telling(message, value):
        return
    examples[message.name] = {
        "topic": topic,
        "key": None if record.key is None else record.key.decode(),
        "headers": text_headers(record),
        "payload": orjson.loads(value) if message.value is not None else record.value and value.decode(),
    }
    in_order = {name: examples[name] for name in MESSAGES if name in examples}
    FILE.write_bytes(orjson.dumps(in_order, option=orjson.OPT_INDENT_2) + b"\n")


def is_telling(message: TopicMessage, value: bytes) -> bool:
    """Whether readers learn from it."""
    try:
        text = value.decode()
        payload = orjson.loads(text) if message.value is not None else {}
    except ValueError:
        return False
    if message.value is not None and not _payload(message.name).is_valid(payload):
        return False
    return all(payload.get(name) == wanted for name, wanted in TELLING.get(message.name, {}).items())


@cache
def _headers(name: str) -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(headers_of(MESSAGES[name]))


@cache
def _payload(name: str) -> jsonschema.Draft7Validator:
    kind = MESSAGES[name].value
    assert kind is not None
    schemas = component_schemas([kind])
    return jsonschema.Draft7Validator({**schemas[kind.__name__], "components": {"schemas": schemas}})
