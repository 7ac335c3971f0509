"""The encoding of the messages as JSON."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, Final, TypeVar

import msgspec
import orjson

from schemas.errors import UnreadableError
from schemas.messages.observations import Observation
from schemas.messages.orders import OverduePayment
from schemas.messages.payments import PaymentStatus

Message = TypeVar("Message")

#: Messages whose fields with a default are left out where they have it. So an event without a field that a later
#: release added has the same bytes, and with them the same id, in both releases: workers of both run side by side.
_OPTIONAL: Final[dict[type[Any], tuple[tuple[str, Any], ...]]] = {
    kind: tuple((one.name, one.default) for one in fields(kind))
    for kind in (PaymentStatus, OverduePayment, Observation)
}


def encode(message: Any) -> bytes:
    """JSON with the class's own field order, so equal messages have equal bytes."""
    names = _OPTIONAL.get(type(message))
    if names is None:
        return orjson.dumps(message)
    values = ((name, getattr(message, name), default) for name, default in names)
    return orjson.dumps({name: value for name, value, default in values if default is MISSING or value != default})


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
