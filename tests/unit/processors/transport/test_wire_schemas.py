"""Requests and responses have the same bytes as when each field is encoded and decoded by itself, as aiokafka does."""

from __future__ import annotations

import importlib
import pkgutil
import random
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

import pytest
from aiokafka import protocol
from aiokafka.protocol import types
from aiokafka.protocol.struct import Struct

from paynotify.processors.transport import patches, wire_schemas

BITS: Final = {types.Int8: 7, types.Int16: 15, types.Int32: 31, types.UInt32: 32, types.Int64: 63}


def _schemas() -> Iterator[tuple[str, Any]]:
    """Every schema of the protocol, and those within it."""
    for module in pkgutil.iter_modules(protocol.__path__):
        names: dict[str, Any] = vars(importlib.import_module(f"{protocol.__name__}.{module.name}"))
        for name, one in names.items():
            if isinstance(one, type) and issubclass(one, Struct):
                schema: Any = one.__dict__.get("SCHEMA", types.Schema())
                yield from ((f"{name}.{number}", found) for number, found in enumerate(_within(schema)))


def _within(field: Any) -> Iterator[Any]:
    if isinstance(field, types.Array):
        yield from _within(field.array_of)
    elif isinstance(field, types.Schema):
        yield field
        for one in field.fields:
            yield from _within(one)


def _value(field: Any, chance: random.Random) -> Any:
    if isinstance(field, types.Schema):
        return tuple(_value(one, chance) for one in field.fields)
    if isinstance(field, types.Array):
        return [_value(field.array_of, chance) for _ in range(chance.randrange(3))]
    if isinstance(field, types.String):
        return chance.choice(["", "observations", "Zürich"])
    if field in (types.Bytes, types.CompactBytes):
        return chance.randbytes(chance.randrange(4))
    if field in BITS:
        return chance.choice([0, 1, 2 ** BITS[field] - 1])
    return {types.Boolean: True, types.TaggedFields: {}, types.Float64: 0.5}.get(field, chance.randrange(1000))


SCHEMAS: Final = dict(_schemas())


@pytest.mark.parametrize("seed", range(5))
def test_every_schema_has_the_bytes_and_values_of_its_fields(seed: int) -> None:
    chance = random.Random(seed)
    assert len(SCHEMAS) > 100
    for name, schema in SCHEMAS.items():
        item = _value(schema, chance)
        alone = b"".join(field.encode(value) for field, value in zip(schema.fields, item, strict=True))
        assert wire_schemas.encode(schema, item) == alone, name
        data = BytesIO(alone + b"rest")
        assert wire_schemas.decode(schema, data) == item, name
        assert data.read() == b"rest", name


def test_clients_encode_and_decode_so() -> None:
    patches.install()
    assert (types.Schema.encode, types.Schema.decode) == (wire_schemas.encode, wire_schemas.decode)


PARTITION: Final = types.Schema(("partition", types.Int32), ("offset", types.Int64), ("records", types.Bytes))


@pytest.mark.parametrize("item", [(1, 2), (1, 2, b"", 4), (2**31, 2, b""), (1, "2", b"")])
def test_values_that_do_not_fit_are_an_error(item: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"fit|values for"):
        wire_schemas.encode(PARTITION, item)


@pytest.mark.parametrize("length", [0, 3, 11, 13])
def test_data_that_end_early_are_an_error(length: int) -> None:
    data = wire_schemas.encode(PARTITION, (1, 2, b"record"))[:length]
    with pytest.raises(ValueError, match=r"decoded|underrun|convert"):
        wire_schemas.decode(PARTITION, BytesIO(data))
