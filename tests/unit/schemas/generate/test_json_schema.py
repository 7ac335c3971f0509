"""The contract's documents equal the types, and what the stages write fits them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.processors.resolve.transitions import advance
from paynotify.schemas import messages
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.generate import json_schema
from paynotify.schemas.generate.json_schema import FOLDER, carries, documents, kinds
from paynotify.schemas.generate.openapi import openapi
from paynotify.schemas.ingress import HEAD_TOO_LARGE, RESPONSES
from paynotify.schemas.messages import Lookup, Observation, OperatorAction, PaymentStatus, Reconciliation
from paynotify.schemas.providers import provider_operations
from paynotify.schemas.topics import all_topics

KINDS = tuple(kinds())


def test_files_are_those_generated_from_the_types() -> None:
    made = documents()
    assert {file.name for file in FOLDER.iterdir()} == set(made)
    for name, content in made.items():
        assert (FOLDER / name).read_bytes() == content, f"{name} differs: run `make schemas` and look at the difference"


@pytest.mark.parametrize("kind", KINDS)
def test_schema_has_the_form_that_every_registry_takes(kind: type[Any]) -> None:
    schema = SCHEMAS[kind]
    assert (schema["$schema"], schema["type"]) == ("http://json-schema.org/draft-07/schema#", "object")
    assert {"$ref", "$id", "$defs"}.isdisjoint(schema)
    for part in parts(schema):
        if "$ref" in part:
            assert list(part) == ["$ref"], "draft 7 ignores the siblings of a $ref"
            assert part["$ref"].removeprefix("#/definitions/") in schema["definitions"]


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object within the schema."""
    if isinstance(schema, dict):
        yield schema
    for one in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from parts(one)


def test_times_of_the_result_are_said_to_be_times() -> None:
    properties = SCHEMAS[PaymentStatus]["properties"]
    assert [name for name, one in properties.items() if "date-time" in str(one)] == [
        "observed_at",
        "provider_time",
        "settles_by",
    ]


def test_topic_is_described() -> None:
    index = orjson.loads(documents()["topics.json"])
    assert list(index) == sorted(topic.name for topic in all_topics())
    assert {index[name]["value"] for name in carries()} == {f"{kind.__name__}.json" for kind in carries().values()}


def test_writing_again_gives_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_schema, "FOLDER", tmp_path)
    json_schema.write()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == documents()


def fits(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether the value fits the part of JSON Schema that the documents use."""
    unknown = schema.keys() - {
        "$ref",
        "anyOf",
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "items",
        "additionalProperties",
        "title",
        "description",
        "default",
        "format",
        "x-extensible-enum",
        "$schema",
        "definitions",
    }
    assert not unknown, f"the test does not know {unknown}"
    if "$ref" in schema:
        return fits(value, root["definitions"][schema["$ref"].removeprefix("#/definitions/")], root)
    if "anyOf" in schema:
        return any(fits(value, one, root) for one in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    return bool(_TYPES[schema["type"]](value, schema, root))


def _object(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    if not isinstance(value, dict) or not set(schema.get("required", ())) <= set(value):
        return False
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    if others is False and not set(value) <= set(properties):
        return False
    return all(
        fits(one, properties.get(name, others), root) for name, one in value.items() if name in properties or others
    )


_TYPES: dict[str, Any] = {
    "object": _object,
    "array": lambda value, schema, root: (
        isinstance(value, list) and all(fits(one, schema["items"], root) for one in value)
    ),
    "string": lambda value, schema, root: isinstance(value, str),
    "integer": lambda value, schema, root: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value, schema, root: isinstance(value, bool),
    "null": lambda value, schema, root: value is None,
}

_FILES = documents()
SCHEMAS = {kind: orjson.loads(_FILES[f"{kind.__name__}.json"]) for kind in KINDS}
words = st.text(alphabet=st.characters(codec="utf-8"), max_size=12)
_words_by_name = st.dictionaries(words, words, max_size=3)
_counts_by_name = st.dictionaries(words, st.integers(0, 2**53), max_size=3)


def built(kind: type[Any]) -> st.SearchStrategy[Any]:
    if kind is Lookup:
        return st.builds(Lookup, operation=st.sampled_from(sorted(provider_operations())), arguments=_words_by_name)
    if kind is Observation:
        return st.builds(Observation, provider_status=_words_by_name)
    if kind is OperatorAction:
        return st.builds(OperatorAction, arguments=_words_by_name, result=_words_by_name)
    if kind is Reconciliation:
        return st.builds(Reconciliation, kinds=_counts_by_name, left_out=_counts_by_name)
    strategy: st.SearchStrategy[Any] = st.from_type(kind)
    return strategy


st.register_type_strategy(str, words)
st.register_type_strategy(int, st.integers(-(2**53), 2**53))


@pytest.mark.parametrize("kind", KINDS)
def test_message_fits_its_schema_and_comes_back_equal(kind: type[Any]) -> None:
    @given(built(kind))
    def check(message: Any) -> None:
        data = messages.encode(message)
        assert fits(orjson.loads(data), SCHEMAS[kind], SCHEMAS[kind])
        assert messages.decode(data, kind) == message
        assert messages.encode(messages.decode(data, kind)) == data

    check()


@given(st.lists(built(Observation), max_size=4))
def test_event_fits_the_result_topics_schema(observations: list[Observation]) -> None:
    state, schema = PaymentState(), SCHEMAS[PaymentStatus]
    for one in observations:
        after = advance(state, one)
        state = after.state
        if after.event is not None:
            assert fits(orjson.loads(messages.encode(after.event)), schema, schema)


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": "1"},
        {"status": "paid"},
        {"amount": {"value": 10.5, "currency": "GBP"}},
        {"final": None},
        {"checks": {}},
        {"provider_status": {"a": 1}},
        {"payment_id": None},
    ],
)
def test_invalid_message_fits_no_schema(change: dict[str, Any]) -> None:
    event = advance(PaymentState(), _captured()).event
    document = {**orjson.loads(messages.encode(event)), **change}
    schema = SCHEMAS[PaymentStatus]
    assert not fits(document, schema, schema)
    with pytest.raises(UnreadableError):
        messages.decode(orjson.dumps(document), PaymentStatus)


def test_refusals_quote_nothing_from_outside() -> None:
    secret = "4111111111111111"
    document = orjson.loads(messages.encode(_captured()))
    for name in document:
        for wrong in (secret, {secret: secret}, [secret], 1, None):
            assert secret not in _refusal({**document, name: wrong})


def test_frozen_fields_of_the_result_are_all_there_in_order() -> None:
    event = orjson.loads(messages.encode(advance(PaymentState(), _captured()).event))
    assert list(event) == [
        "event_id",
        "sequence",
        "provider",
        "merchant",
        "payment_id",
        "order_id",
        "status",
        "previous_status",
        "final",
        "fulfilment",
        "amount",
        "paid",
        "refunded",
        "reason",
        "provider_status",
        "checks",
        "source",
        "provider_time",
        "observed_at",
    ]


def test_openapi_document_has_every_response_of_the_ingress() -> None:
    statuses = {str(one.status) for one in (*RESPONSES.values(), HEAD_TOO_LARGE)}
    for path in openapi("1")["paths"].values():
        for operation in (path[method] for method in ("get", "post") if method in path):
            assert set(operation["responses"]) == statuses


def test_status_of_the_ingress_has_one_meaning() -> None:
    rows = {*RESPONSES.values(), HEAD_TOO_LARGE}
    assert len({one.status for one in rows}) == len(rows), "the document has one entry for each status"


def _refusal(document: dict[str, Any]) -> str:
    try:
        messages.decode(orjson.dumps(document), Observation)
    except UnreadableError as error:
        return str(error)
    return ""


def _captured() -> Observation:
    return Observation(
        provider="nevogate",
        merchant="shop",
        payment_id="p",
        order_id=None,
        status="captured",
        source="Result",
        observed_at="2026-06-01T12:00:00.000Z",
    )
