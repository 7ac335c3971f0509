"""The contract's documents: valid by the specifications' own schemas, complete in themselves, about every topic."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import jsonschema
import orjson
import pytest

from paynotify.schemas import messages, topics
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.generate.asyncapi import DIALECT, all_messages
from paynotify.schemas.generate.channels import channels
from paynotify.schemas.generate.examples import recorded_examples
from paynotify.schemas.generate.field_meanings import FIELD_MEANINGS
from paynotify.schemas.generate.json_schema import carries, documents
from paynotify.schemas.generate.message_schemas import GROWING_FIELDS
from paynotify.schemas.generate.messages_page import PAGE, page
from paynotify.schemas.generate.topic_messages import PUBLIC_MESSAGES
from paynotify.schemas.providers import provider_contracts

SPECIFICATIONS: Final = Path(__file__).parents[3] / "specifications"
DOCUMENTS: Final = {name: orjson.loads(content) for name, content in documents().items()}
ASYNCAPI: Final = ("asyncapi.json", "asyncapi-internal.json")
PUBLIC: Final = DOCUMENTS["asyncapi.json"]
OPENAPI: Final = DOCUMENTS["openapi.json"]
OPENAPIS: Final = ("openapi.json", "openapi-console.json")

#: Keywords that mean the same in draft-07, which the documents name, and in 2020-12.
BOTH_DIALECTS: Final = frozenset(
    (
        *("$ref", "allOf", "anyOf", "type", "enum", "const", "format", "pattern", "contentMediaType"),
        *("properties", "required", "additionalProperties", "items", "default", "description", "title"),
        *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"),
    )
)


def specification(name: str) -> Any:
    return orjson.loads((SPECIFICATIONS / name).read_bytes())


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolved(document: Any, reference: str) -> Any:
    assert reference.startswith("#/"), f"{reference} leads out of the document"
    for name in reference.removeprefix("#/").split("/"):
        document = document[name.replace("~1", "/").replace("~0", "~")]
    return document


def schemas_within(node: Any) -> Iterator[dict[str, Any]]:
    yield node
    for value in node.get("properties", {}).values():
        yield from schemas_within(value)
    for name in ("anyOf", "allOf"):
        for value in node.get(name, ()):
            yield from schemas_within(value)
    for name in ("items", "additionalProperties"):
        if isinstance(node.get(name), dict):
            yield from schemas_within(node[name])


def secured_by(path: dict[str, Any]) -> set[str]:
    operations = [one for name, one in path.items() if name != "parameters"]
    return {scheme for operation in operations for way in operation["security"] for scheme in way}


def validator(document: Any, schema: dict[str, Any]) -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator({**schema, "components": document["components"]})


def test_specifications_schemas_are_unchanged_copies() -> None:
    readme = (SPECIFICATIONS / "README.md").read_text("utf-8")
    for file in SPECIFICATIONS.glob("*.json"):
        assert f"`{file.name}`" in readme
        assert hashlib.sha256(file.read_bytes()).hexdigest() in readme


@pytest.mark.parametrize("name", ASYNCAPI)
def test_asyncapi_document_is_valid_by_its_specification(name: str) -> None:
    errors = jsonschema.Draft7Validator(specification("asyncapi-3.1.0.json")).iter_errors(DOCUMENTS[name])
    assert [f"{'/'.join(map(str, one.path))}: {one.message}"[:300] for one in errors] == []


@pytest.mark.parametrize("name", OPENAPIS)
def test_openapi_document_is_valid_by_its_specification(name: str) -> None:
    errors = jsonschema.Draft202012Validator(specification("openapi-3.1.json")).iter_errors(DOCUMENTS[name])
    assert [f"{'/'.join(map(str, one.path))}: {one.message}"[:300] for one in errors] == []


def test_specification_refuses_a_document_that_is_wrong() -> None:
    checked = jsonschema.Draft7Validator(specification("asyncapi-3.1.0.json"))
    assert not checked.is_valid({**PUBLIC, "servers": {"brokers": {"protocol": "kafka-secure"}}})
    assert not jsonschema.Draft202012Validator(specification("openapi-3.1.json")).is_valid({**OPENAPI, "paths": []})


@pytest.mark.parametrize("name", [*ASYNCAPI, *OPENAPIS])
def test_every_reference_leads_into_its_own_document(name: str) -> None:
    document = DOCUMENTS[name]
    found = set(references(document))
    assert found
    for reference in found:
        assert resolved(document, reference)


@pytest.mark.parametrize("name", [*ASYNCAPI, *OPENAPIS])
def test_every_component_is_used(name: str) -> None:
    document = DOCUMENTS[name]
    used = {reference.removeprefix("#/components/") for reference in references(document)}
    used |= {f"securitySchemes/{one}" for path in document.get("paths", {}).values() for one in secured_by(path)}
    assert {f"{kind}/{one}" for kind, ones in document["components"].items() for one in ones} <= used


@pytest.mark.parametrize("name", ASYNCAPI)
def test_schemas_have_only_keywords_that_mean_the_same_in_both_dialects(name: str) -> None:
    components = DOCUMENTS[name]["components"]
    assert {one["payload"]["schemaFormat"] for one in components["messages"].values()} == {DIALECT}
    roots = list(components["schemas"].values())
    for message in components["messages"].values():
        roots += [message["headers"], message["payload"]["schema"]]
    for root in roots:
        for one in schemas_within(root):
            keywords = {keyword for keyword in one if not keyword.startswith("x-")}
            assert keywords <= BOTH_DIALECTS
            assert "$ref" not in keywords or keywords == {"$ref"}, "draft-07 ignores what is beside a reference"


def test_every_topic_is_in_exactly_one_document() -> None:
    documented = [name for channel in channels() for name in channel.names]
    wanted = [topic.name for topic in topics.all_topics() if not topic.name.endswith("-changelog")]
    assert sorted(documented) == sorted(wanted)
    addresses = [one["address"] for name in ASYNCAPI for one in DOCUMENTS[name]["channels"].values()]
    assert addresses == [
        channel.address for public in (True, False) for channel in channels() if channel.row.public == public
    ]


def test_public_document_has_the_results_and_what_shops_write() -> None:
    assert {one["address"] for one in PUBLIC["channels"].values()} == {
        topics.STATUS,
        topics.LATEST,
        topics.OVERDUE,
        topics.REQUESTS,
        topics.SILENT,
        topics.OPERATIONS,
        topics.EXPECTED,
        topics.REQUESTED,
    }
    received = {one["channel"]["$ref"] for one in PUBLIC["operations"].values() if one["action"] == "receive"}
    assert received == {f"#/channels/{name}" for name in (topics.EXPECTED, topics.REQUESTED)}


def test_channel_has_the_topics_settings() -> None:
    for channel in channels():
        document = PUBLIC if channel.row.public else DOCUMENTS["asyncapi-internal.json"]
        settings = document["channels"][channel.name]["bindings"]["kafka"]["topicConfiguration"]
        wanted = channel.topic.kafka_settings()
        assert settings.keys() == wanted.keys()
        assert settings["retention.ms"] == int(wanted["retention.ms"])
        assert ",".join(settings["cleanup.policy"]) == wanted["cleanup.policy"]


def test_typed_topic_carries_a_message_of_its_type() -> None:
    by_name = all_messages()
    for channel in channels():
        kinds = {by_name[name].value for name in channel.row.carries}
        for name in channel.names:
            assert carries().get(name) in {*kinds, None}
    documented = {message.value for message in by_name.values()} - {None}
    assert set(carries().values()) <= documented


def test_message_is_described_for_people() -> None:
    for message in all_messages().values():
        assert message.title
        assert message.summary.endswith(".")
        assert message.description.strip()
        assert message.key or message.key_meaning


def test_every_event_type_is_documented() -> None:
    words = {value for value in vars(messages.event_types).values() if re.fullmatch(r"payment\.\S+\.v1", str(value))}
    documented = {one for message in all_messages().values() for one in message.event_types}
    # a notification that turns out to be an alert keeps its own type
    assert words - documented == {messages.PROVIDER_ALERT}


def test_field_of_a_public_message_has_a_meaning_and_no_other() -> None:
    schemas = PUBLIC["components"]["schemas"]
    assert {name: list(schema["properties"]) for name, schema in schemas.items()}.keys() == FIELD_MEANINGS.keys()
    for name, schema in schemas.items():
        assert schema["properties"].keys() == FIELD_MEANINGS[name].keys()
        assert all(form["description"] for form in schema["properties"].values())


def test_growing_list_is_text_and_every_other_list_is_fixed() -> None:
    for name, fields in GROWING_FIELDS.items():
        for document in (DOCUMENTS[file] for file in ASYNCAPI):
            for field in fields:
                form = document["components"]["schemas"].get(name, {"properties": {field: None}})["properties"][field]
                assert form is None or b"x-extensible-enum" in orjson.dumps(form)
                assert form is None or b'"enum"' not in orjson.dumps(form)
    assert PUBLIC["components"]["schemas"]["PaymentStatus"]["properties"]["status"]["enum"]


def test_message_has_a_recorded_example_that_fits_it() -> None:
    examples = recorded_examples()
    assert examples.keys() == all_messages().keys()
    for name in ASYNCAPI:
        for message in DOCUMENTS[name]["components"]["messages"].values():
            (example,) = message["examples"]
            validator(DOCUMENTS[name], message["payload"]["schema"]).validate(example["payload"])
            validator(DOCUMENTS[name], message["headers"]).validate(example["headers"])


@pytest.mark.parametrize("message", [one for one in all_messages().values() if one.value is not None])
def test_example_is_read_as_its_type_with_its_key(message: Any) -> None:
    example = recorded_examples()[message.name]
    decoded = messages.decode(orjson.dumps(example.payload), message.value)
    assert orjson.loads(messages.encode(decoded)) == example.payload or message.name in (
        "PaymentExpected",
        "PaymentRequested",
    )
    if message.key and not message.key_meaning:
        assert example.key == message.key.format(**example.payload)


@pytest.mark.parametrize("message", [one for one in PUBLIC_MESSAGES if one.value is not None])
def test_example_that_does_not_fit_is_refused(message: Any) -> None:
    payload = dict(recorded_examples()[message.name].payload)
    schema = PUBLIC["components"]["messages"][message.name]["payload"]["schema"]
    for field in PUBLIC["components"]["schemas"][message.value.__name__]["required"]:
        changed = {name: value for name, value in payload.items() if name != field}
        assert not validator(PUBLIC, schema).is_valid(changed), field


def test_every_way_to_authenticate_is_a_security_scheme() -> None:
    literal, _none = get_args(get_type_hints(KafkaSettings)["sasl_mechanism"])
    mechanisms = set(get_args(literal))
    assert PUBLIC["components"]["securitySchemes"].keys() == mechanisms | {"TLS"}
    assert len(PUBLIC["servers"]["brokers"]["security"]) == len(mechanisms) + 1


def test_openapi_document_has_both_forms_of_each_route() -> None:
    for provider, contract in provider_contracts().items():
        for suffix in ("", "/{token}"):
            path = OPENAPI["paths"][f"/notifications/{provider}/{{merchant}}{suffix}"]
            assert path.keys() - {"parameters"} == {method.lower() for method in contract.route.methods}
            named = {resolved(OPENAPI, one["$ref"])["name"] for one in path["parameters"]}
            assert named == set(re.findall(r"{(\w+)}", f"{{merchant}}{suffix}"))
            for method in contract.route.methods:
                security = path[method.lower()]["security"]
                assert security == ([] if suffix else [{"urlToken": []}, {}])


def test_reference_page_is_the_one_generated() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `make docs` and look at the difference"


def test_reference_page_has_every_topic_message_field_and_header() -> None:
    text = page()
    for topic in topics.all_topics():
        address = next((one.address for one in channels() if topic.name in one.names), topic.name)
        assert f"| `{address}` |" in text
    for name, message in all_messages().items():
        _, _, section = text.partition(f"### {name}\n")
        section = section.partition("\n### ")[0]
        for header in (*message.required_headers, *message.further_headers):
            assert f"`{header}`" in section
        for field in message.value.__struct_fields__ if message.value is not None else ():
            assert f"`{field}`" in section
