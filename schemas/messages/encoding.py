"""The encoding of the messages as JSON."""

from __future__ import annotations

from dataclasses import MISSING, fields
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import orjson

from schemas.errors import UnreadableError
from schemas.messages.observations import Observation
from schemas.messages.orders import OverduePayment
from schemas.messages.payments import PaymentStatus

Message = TypeVar("Message")


class _Shape(NamedTuple):
    """A message class's fields: all names, a function that reads all values at once, and the defaults of some."""

    names: tuple[str, ...]
    values: attrgetter[tuple[Any, ...]]
    defaults: tuple[tuple[str, Any], ...]


def _shape(kind: type[Any]) -> _Shape:
    names = tuple(one.name for one in fields(kind))
    defaults = tuple((one.name, one.default) for one in fields(kind) if one.default is not MISSING)
    return _Shape(names, attrgetter(*names), defaults)


#: Messages whose fields with a default are left out where they have it. So an event without a field that a later
#: release added has the same bytes, and with them the same id, in both releases: workers of both run side by side.
_OPTIONAL: Final[dict[type[Any], _Shape]] = {
    kind: _shape(kind) for kind in (PaymentStatus, OverduePayment, Observation)
}


def encode(message: Any) -> bytes:
    """JSON with the class's own field order, so equal messages have equal bytes."""
    shape = _OPTIONAL.get(type(message))
    if shape is None:
        return orjson.dumps(message)
    said = dict(zip(shape.names, shape.values(message), strict=True))
    for name, default in shape.defaults:
        if said[name] == default:
            del said[name]
    return orjson.dumps(said)


def decode(data: bytes | None, kind: type[Message]) -> Message:
    """The message in ``data``.

    Raises:
        UnreadableError: the bytes are not JSON of that kind. The text names the field.
    """
    try:
        return msgspec.json.decode(data or b"", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"not a {kind.__name__}: {_safe(error)}", "unreadable_lookup") from None


def _safe(error: Exception) -> str:
    # msgspec's texts name types and paths; only invalid enum values quote the input, and those are cut off.
    return str(error).split(" - got ")[0].split("Invalid enum value")[0] or "invalid value"
