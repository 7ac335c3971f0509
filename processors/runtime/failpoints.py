"""The numbered steps of a batch, and the callback that a test uses to crash at one of them.

Crash safety can only be shown by crashing at every step. Production passes `ignore`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias


class Failpoint(IntEnum):
    """The steps in order of durability (see `processors.runtime.loop`). Steps from 7 on are those of a charge."""

    TAKEN = 1
    PROCESSED = 2
    OUTPUTS_ACKNOWLEDGED = 3
    CHANGELOG_ACKNOWLEDGED = 4
    STORE_WRITTEN = 5
    SOURCE_ACKNOWLEDGED = 6
    RESPONSES_PUBLISHED = 7
    REQUESTS_PERSISTED = 8
    EVENTS_PUBLISHED = 9
    PROVIDER_CALLED = 10


#: Called with ``stage.provider`` after each step of each batch.
Reached: TypeAlias = Callable[[str, Failpoint], None]


def ignore(stage: str, step: Failpoint) -> None:
    """Do nothing, as in production."""
