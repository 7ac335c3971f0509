"""The encoding of the messages as JSON."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from paynotify.schemas.errors import UnreadableError

Message = TypeVar("Message")

_ENCODER: Final = msgspec.json.Encoder()
_decoders: Final[dict[type[Any], msgspec.json.Decoder[Any]]] = {}


def encode(message: Any) -> bytes:
    """JSON with the class's own field order, so equal messages have equal bytes.

    Of messages that omit their defaults, an event without a field that a later release added has the same bytes, and
    with them the same id, in both releases: workers of both run side by side.
    """
    return _ENCODER.encode(message)


def decode(data: bytes | None, kind: type[Message]) -> Message:
    """The message in ``data``.

    Raises:
        UnreadableError: the bytes are not JSON of that kind. The text names the field.
    """
    try:
        message: Message = _decoder(kind).decode(data or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"not a {kind.__name__}: {_safe(error)}", "unreadable_lookup") from None
    return message


def decode_or_none(data: bytes | None, kind: type[Message]) -> Message | None:
    """The message in ``data``; None if it is none, as where a shop or a later release wrote something else."""
    try:
        return decode(data, kind)
    except UnreadableError:
        return None


def _decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    known = _decoders.get(kind)
    if known is None:
        known = _decoders[kind] = msgspec.json.Decoder(kind)
    return known


def fields_of(message: msgspec.Struct) -> dict[str, Any]:
    """All fields by name, those of the messages within it too."""
    return {name: _fields_within(value) for name, value in msgspec.structs.asdict(message).items()}


def _fields_within(value: Any) -> Any:
    return fields_of(value) if isinstance(value, msgspec.Struct) else value


def _safe(error: Exception) -> str:
    # msgspec's texts name types and paths; only invalid enum values quote the input, and those are cut off.
    return str(error).split(" - got ")[0].split("Invalid enum value")[0] or "invalid value"
