"""What a provider needs done beside its stages, such as fetching the keys that notifications are verified with.

The stages stay pure: they read what the task has brought, and never wait for it (`processors.providers.task_runner`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from paynotify.processors.providers.base import CallContext


@dataclass(frozen=True, slots=True)
class BackgroundContext:
    """What a task may use: calls, a folder of its own, and a way to say when a merchant's key set was last fetched."""

    calls: CallContext
    directory: Path
    fetched: Callable[[str, datetime | None], None]


#: Runs until it is cancelled, for all of the provider's merchants by id.
BackgroundTask: TypeAlias = Callable[[Mapping[str, Any], BackgroundContext], Awaitable[None]]
