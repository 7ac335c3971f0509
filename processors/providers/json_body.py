"""The JSON object in a body, for notifications and responses alike.

Notifications are read strictly: they come from anybody. A response may be the only copy of a hundred payments, so it is
read leniently where the strict reader refuses all of it for one odd value.
"""

from __future__ import annotations

import json
import math
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson

from paynotify.schemas.errors import PaynotifyError

#: Deeper values are left out. No provider nests as deep, and the readers' own recursion ends soon after.
_MAX_DEPTH: Final = 64
#: A longer number is no id and no amount; to convert it costs the square of its length.
_MAX_DIGITS: Final = 100
#: A float of more digits is no exact number any more.
_EXACT_FLOAT_CHARACTERS: Final = 17
_LEFT_OUT: Final = "null"
#: A string, also one without an end, or a bracket. Possessive, so that hostile text costs no backtracking.
_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def json_object(body: bytes, error: Callable[[str], PaynotifyError]) -> dict[str, Any]:
    """The JSON object in the body, read strictly; a byte order mark before it is allowed.

    Raises:
        PaynotifyError: the body is no JSON object; ``error`` makes the exception of what is wrong, such as
            "is not JSON".
    """
    try:
        value = orjson.loads(body.removeprefix(BOM_UTF8))
    except orjson.JSONDecodeError:
        raise error("is not JSON") from None
    if not isinstance(value, dict):
        raise error("is not a JSON object")
    return value


def readable_object(body: bytes, error: Callable[[str], PaynotifyError]) -> dict[str, Any]:
    """The JSON object in a response, read leniently where the strict reader refuses it.

    Raises:
        PaynotifyError: as `json_object`.
    """
    for reading in readings(body):
        return reading
    return json_object(body, error)


def readings(body: bytes) -> Iterator[dict[str, Any]]:
    """The objects that the body can be read as: strictly, then leniently.

    The strict reader rounds integers of more than 64 bits and refuses a whole body for a lone surrogate, NaN or deep
    nesting. The lenient one keeps every number that has no exact value as its text and leaves out what is nested too
    deep. Of members with one name both take the last.
    """
    try:
        value = orjson.loads(body.removeprefix(BOM_UTF8))
    except orjson.JSONDecodeError:
        pass
    else:
        if isinstance(value, dict):
            yield value
    try:
        value = json.loads(
            _pruned(_text(body)), strict=False, parse_int=_integer, parse_float=_float, parse_constant=str
        )
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        yield value


def _text(body: bytes) -> str:
    encoding = json.detect_encoding(body)
    try:
        return body.decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        return body.decode(encoding, "replace")


def _pruned(text: str) -> str:
    """The text without the values that are nested too deep. Reads it once, without recursion."""
    kept: list[str] = []
    depth, start = 0, 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == _MAX_DEPTH + 1:
                kept += (text[start : token.start()], _LEFT_OUT)
        elif token[0] in "]}":
            if depth == _MAX_DEPTH + 1:
                start = token.end()
            depth -= 1
    # text that ends too deep is no JSON, with or without the part that is left out
    return "".join((*kept, text[start:])) if depth <= _MAX_DEPTH else ""


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= _MAX_DIGITS else text


def _float(text: str) -> float | str:
    # an integer written as a float has an exact value; a fraction's text is what the sender may have signed
    value = float(text) if len(text) <= _EXACT_FLOAT_CHARACTERS else math.nan
    return value if value.is_integer() else text
