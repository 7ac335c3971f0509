"""The Kafka Connect schema of the result events, generated from their types into ``examples/connect``.

The values on the topics are plain JSON and carry no schema. A sink connector needs one to make columns, so it stands
in its configuration (``value.converter.schema.content``). ``python -m paynotify.schemas.generate.connect_schema``
writes it there, and a test fails when it differs from the types.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
from msgspec import inspect

from paynotify.schemas.messages import PaymentStatus

FOLDER: Final = Path(__file__).resolve().parents[2] / "examples" / "connect"

#: Debezium's name for a text that is a time with a time zone. Its sink makes it a ``timestamptz`` column.
_ZONED_TIME: Final = {"name": "io.debezium.time.ZonedTimestamp", "version": 1}

_PROPERTY: Final = "value.converter.schema.content="
# a value goes on in the next line after a backslash
_GENERATED: Final = re.compile(rf"^{re.escape(_PROPERTY)}(?:.*\\\n)*.*$", re.MULTILINE)


def connect_schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The schema of a message type in the form of Kafka Connect's ``JsonConverter``."""
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    return {"type": "struct", "fields": [_field(one) for one in described.fields]}


def _field(field: inspect.Field) -> dict[str, Any]:
    schema, optional = _schema(field.type)
    if field.default not in (msgspec.NODEFAULT, None):
        schema["default"] = field.default
    return {"field": field.encode_name, **schema, "optional": optional or not field.required}


def _schema(kind: inspect.Type) -> tuple[dict[str, Any], bool]:
    """The schema of a type, and whether null is allowed."""
    match kind:
        case inspect.UnionType(types=types):
            (one,) = (member for member in types if not isinstance(member, inspect.NoneType))
            return _schema(one)[0], True
        case inspect.StructType(fields=fields):
            return {"type": "struct", "fields": [_field(one) for one in fields]}, False
        case inspect.DictType(key_type=key, value_type=value):
            return {"type": "map", "keys": _schema(key)[0], "values": _schema(value)[0]}, False
        case inspect.Metadata(extra_json_schema={"format": "date-time"}):  # JSON has no times: they are text
            return {"type": "string", **_ZONED_TIME}, False
        case inspect.IntType():
            return {"type": "int64"}, False
        case inspect.BoolType():
            return {"type": "boolean"}, False
        case inspect.StrType() | inspect.LiteralType():
            return {"type": "string"}, False
    raise NotImplementedError(f"Kafka Connect has no schema for {kind}")


def with_schema(properties: str) -> str:
    """A connector's configuration file with the present schema, one line for each field."""
    fields = connect_schema(PaymentStatus)["fields"]
    lines = ",\\\n".join(f"  {orjson.dumps(field).decode()}" for field in fields)
    written = f'{_PROPERTY}{{"type":"struct","optional":true,"fields":[\\\n{lines}\\\n  ]}}'
    return _GENERATED.sub(lambda found: written, properties)


def write() -> None:
    """Write the schema into every connector of the examples."""
    for file in FOLDER.glob("payment*.properties"):
        file.write_text(with_schema(file.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    write()
