"""W3C trace context: the ``traceparent`` header that follows a notification to its result."""

from __future__ import annotations

import os
import re

_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z")


def new_traceparent() -> str:
    """A new W3C trace context, sampled."""
    text = os.urandom(24).hex()
    return f"00-{text[:32]}-{text[32:]}-01"


def valid_traceparent(text: str) -> bool:
    """Whether the text is a W3C ``traceparent`` of version 00 that names a trace."""
    return bool(_TRACEPARENT.match(text)) and text[3:35] != "0" * 32 and text[36:52] != "0" * 16


def given_traceparent(value: bytes | None) -> bytes | None:
    """What a caller's header gives as ``traceparent``, if it is valid."""
    return value if value is not None and value.isascii() and valid_traceparent(value.decode()) else None
