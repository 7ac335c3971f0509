"""`paynotify schemas register` on a real registry over a real Kafka (`make registry`): once, and compatible."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from paynotify.ops.schemas.registry import RegistryAccess, SchemaRegistry
from paynotify.schemas import messages
from paynotify.schemas.cloudevents import SCHEMA_ID, EventHeaders
from paynotify.schemas.configuration.events import EventSettings
from paynotify.schemas.errors import ConfigurationError
from paynotify.schemas.generate.json_schema import carries, schema_of
from tests.integration.apicurio import apicurio
from tests.integration.conftest import Installation
from tests.long_form import LONG

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(not LONG, reason="fetches 110 MB and starts a registry: make registry"),
]


@pytest.fixture(scope="module")
def registry(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with apicurio(kafka, tmp_path_factory.mktemp("apicurio")) as url:
        yield url


def register(installation: Installation, registry: str, *words: str) -> tuple[int | None, dict[str, Any]]:
    code, said = installation.finished("schemas", "register", "--registry", registry, *words, "--json")
    return code, json.loads(said)


def test_schemas_are_registered_once_and_found_by_the_id_in_the_header(
    bare_installation: Installation, registry: str
) -> None:
    code, planned = register(bare_installation, registry, "--dry-run")
    assert (code, {one["state"] for one in planned["subjects"]}) == (0, {"new"})
    code, first = register(bare_installation, registry)
    assert (code, len(first["subjects"])) == (0, len(carries()))
    assert {one["compatibility"] for one in first["subjects"]} == {"FORWARD"}
    code, again = register(bare_installation, registry)
    assert (code, {one["state"] for one in again["subjects"]}) == (0, {"registered"})
    assert again["schema_ids"] == first["schema_ids"]

    settings = EventSettings(schema_ids=first["schema_ids"])
    plain = EventHeaders(EventSettings(), "/resolve", messages.STATUS_CHANGED)("i", "t", b"k")
    header = EventHeaders(settings, "/resolve", messages.STATUS_CHANGED)("i", "t", b"k")
    assert [one for one in header if one[0] != SCHEMA_ID] == list(plain)
    framed = dict(header)[SCHEMA_ID]
    assert (framed[0], len(framed)) == (0, 5)
    with urllib.request.urlopen(f"{registry}/schemas/ids/{int.from_bytes(framed[1:], 'big')}", timeout=20) as answer:
        found = json.loads(json.load(answer)["schema"])
    assert found == schema_of(messages.PaymentStatus)


def test_registry_takes_an_added_field_and_refuses_a_lost_one(
    bare_installation: Installation, registry: str, tmp_path: Path
) -> None:
    assert register(bare_installation, registry)[0] == 0
    subject = bare_installation.topic("payments.overdue-value")
    schema = schema_of(messages.OverduePayment)
    added, lost = deepcopy(schema), deepcopy(schema)
    added["properties"]["later"] = {"type": "string"}
    del lost["properties"]["status"]
    lost["required"].remove("status")
    with SchemaRegistry(RegistryAccess(registry)) as client:
        assert client.compatible(subject, json.dumps(added))
        assert not client.compatible(subject, json.dumps(lost))
        with pytest.raises(ConfigurationError, match="incompatible with the registered one"):
            client.register(subject, json.dumps(lost))
        newer = client.register(subject, json.dumps(added))
        assert client.find(subject, json.dumps(added)) == (newer, True)
