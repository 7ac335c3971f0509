"""The connectors' configuration of ``examples/connect`` has the schema of today's types."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, get_type_hints

import orjson
import pytest

from paynotify.schemas.generate.connect_schema import FOLDER, connect_schema, with_schema
from paynotify.schemas.messages import PaymentStatus

CONNECTORS: Final = ("payment_events.properties", "payments.properties")


@pytest.mark.parametrize("name", CONNECTORS)
def test_connector_has_the_schema_of_the_types(name: str) -> None:
    file = Path(FOLDER / name)
    written = file.read_text("utf-8")
    assert written == with_schema(written), f"{file} is out of date: run `make schemas`"
    content = written.partition("value.converter.schema.content=")[2].replace("\\\n", "")
    schema = orjson.loads(content)
    assert schema["fields"] == connect_schema(PaymentStatus)["fields"]


def test_schema_is_generated_again_where_an_old_one_stands() -> None:
    old = 'name=x\nvalue.converter.schema.content={"fields":[\\\n  {"field":"gone"}\\\n  ]}\nerrors.tolerance=none\n'
    written = with_schema(old)
    assert "gone" not in written
    assert written.startswith("name=x\nvalue.converter.schema.content={")
    assert written.endswith("]}\nerrors.tolerance=none\n")


def _fields() -> dict[str, dict[str, Any]]:
    return {field["field"]: field for field in connect_schema(PaymentStatus)["fields"]}


def test_schema_allows_null_where_the_type_does() -> None:
    fields = _fields()
    assert fields.keys() == get_type_hints(PaymentStatus).keys()
    assert not fields["event_id"]["optional"]
    assert fields["order_id"]["optional"]
    assert fields["charged_back"]["optional"]
    assert fields["order_role"] == {"field": "order_role", "type": "string", "default": "whole", "optional": True}


def test_schema_makes_columns_with_a_time_zone_of_every_time() -> None:
    times = {name for name, field in _fields().items() if field.get("name") == "io.debezium.time.ZonedTimestamp"}
    assert times == {"provider_time", "observed_at", "settles_by"}
    words = {"at", "by", "time"}  # how the fields of times are named
    assert times == {name for name in get_type_hints(PaymentStatus) if name.rpartition("_")[2] in words}
