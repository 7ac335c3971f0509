"""One example of each message: a record that the acceptance tests found on a topic of a whole system.

`tests.acceptance.contract` records them; a test validates each with its own schema.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

FILE: Final = Path(__file__).with_name("examples.json")


class RecordedExample(msgspec.Struct, frozen=True, kw_only=True):
    """A record as it was on the topic. ``payload`` is the value: parsed if it is JSON, else its text."""

    topic: str
    key: str | None
    headers: dict[str, str]
    payload: Any


@lru_cache(maxsize=1)
def recorded_examples() -> dict[str, RecordedExample]:
    """The examples by the message's name."""
    return msgspec.json.decode(FILE.read_bytes(), type=dict[str, RecordedExample])
