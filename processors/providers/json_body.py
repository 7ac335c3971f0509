"""The JSON object in a body, for notifications and responses alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from schemas.errors import PaynotifyError


def json_object(body: bytes, error: Callable[[str], PaynotifyError]) -> dict[str, Any]:
    """The JSON object in the body.

    Raises:
        PaynotifyError: the body is no JSON object; ``error`` makes the exception of what is wrong, such as
            "is not JSON".
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise error("is not JSON") from None
    if not isinstance(value, dict):
        raise error("is not a JSON object")
    return value
