"""The tables of the results in Flink SQL and ksqlDB, generated from their types into ``examples/streams``.

``python -m paynotify.schemas.generate.stream_tables`` writes them, and a test fails when they differ from the types.
Names are quoted, because ``order``, ``value``, ``by`` and ``final`` are words of SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec import inspect

from paynotify.schemas import topics
from paynotify.schemas.messages import PaymentStatus

FOLDER: Final = Path(__file__).resolve().parents[2] / "examples" / "streams"

_HEAD: Final = "-- Generated from the types of the results by `make schemas`: copy it rather than change it.\n"


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How one SQL names its types."""

    text: str
    time: str
    row: str
    """Of a JSON object with known fields; ``{}`` is where its fields go."""


_FLINK: Final = _Dialect(text="STRING", time="TIMESTAMP_LTZ(3)", row="ROW<{}>")
#: ksqlDB's JSON has no times as text: they stay text, and PARSE_TIMESTAMP reads them.
_KSQLDB: Final = _Dialect(text="VARCHAR", time="VARCHAR", row="STRUCT<{}>")


def flink() -> str:
    """Two tables for Flink SQL: every event, and the newest of each payment, which a tombstone deletes."""
    fields = _columns(_FLINK)
    every = [
        "`message_key` STRING",
        *fields,
        "`partition` INT METADATA VIRTUAL",
        "`offset` BIGINT METADATA VIRTUAL",
        "`headers` MAP<STRING, BYTES> METADATA VIRTUAL",
        "`read_at` AS PROCTIME()",
    ]
    newest = ["`message_key` STRING", *fields, "PRIMARY KEY (`message_key`) NOT ENFORCED"]
    common = {
        "properties.bootstrap.servers": "localhost:9092",
        "key.format": "raw",
        "value.format": "json",
        "value.fields-include": "EXCEPT_KEY",
        "value.json.timestamp-format.standard": "ISO-8601",
    }
    log = {
        "connector": "kafka",
        "topic": topics.STATUS,
        "properties.group.id": "flink",
        "scan.startup.mode": "earliest-offset",
        "key.fields": "message_key",
    }
    return _HEAD + "".join(
        (
            _flink_table("payments_status", every, log | common),
            _flink_table("payments_latest", newest, {"connector": "upsert-kafka", "topic": topics.LATEST} | common),
        )
    )


def _flink_table(name: str, columns: Sequence[str], options: dict[str, str]) -> str:
    settings = ",\n".join(f"  '{key}' = '{value}'" for key, value in options.items())
    return f"\nCREATE TABLE {name} (\n{_lines(columns)}\n) WITH (\n{settings}\n);\n"


def ksqldb() -> str:
    """A stream of every event, and a table of the newest of each payment, which a tombstone deletes."""
    fields = _columns(_KSQLDB)
    every = ["`message_key` VARCHAR KEY", *fields, "`ce_id` BYTES HEADER('ce_id')"]
    newest = ["`message_key` VARCHAR PRIMARY KEY", *fields]
    return (
        f"{_HEAD}"
        f"\nCREATE STREAM payments_status (\n{_lines(every)}\n){_ksqldb_options(topics.STATUS)}"
        f"\nCREATE TABLE payments_latest (\n{_lines(newest)}\n){_ksqldb_options(topics.LATEST)}"
    )


def _ksqldb_options(topic: str) -> str:
    return f" WITH (KAFKA_TOPIC = '{topic}', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');\n"


def _lines(columns: Sequence[str]) -> str:
    return ",\n".join(f"  {one}" for one in columns)


def _columns(dialect: _Dialect) -> list[str]:
    described = inspect.type_info(PaymentStatus)
    assert isinstance(described, inspect.StructType)
    return list(_fields(described, dialect))


def _fields(kind: inspect.StructType, dialect: _Dialect) -> Iterator[str]:
    for field in kind.fields:
        yield f"`{field.encode_name}` {_type(field.type, dialect)}"


def _type(kind: inspect.Type, dialect: _Dialect) -> str:
    """A column's type. All may be null: both read JSON, where a field may be absent."""
    match kind:
        case inspect.UnionType(types=types):
            (one,) = (member for member in types if not isinstance(member, inspect.NoneType))
            return _type(one, dialect)
        case inspect.StructType():
            return dialect.row.format(", ".join(_fields(kind, dialect)))
        case inspect.DictType(key_type=key, value_type=value):
            return f"MAP<{_type(key, dialect)}, {_type(value, dialect)}>"
        case inspect.Metadata(extra_json_schema={"format": "date-time"}):
            return dialect.time
        case inspect.IntType():
            return "BIGINT"
        case inspect.BoolType():
            return "BOOLEAN"
        case inspect.StrType() | inspect.LiteralType():
            return dialect.text
    raise NotImplementedError(f"the stream tables have no column for {kind}")


def documents() -> dict[str, str]:
    """Every generated file of the folder by name."""
    return {"flink.sql": flink(), "ksqldb.sql": ksqldb()}


def write() -> None:
    """Write the folder again."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (FOLDER / name).write_text(text, "utf-8")


if __name__ == "__main__":
    write()
