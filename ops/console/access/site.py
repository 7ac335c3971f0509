"""Where browsers reach the console, and what that means for their sessions."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from paynotify.ops.console.access.origins import OwnOrigins

#: A working day.
SESSION_SECONDS: Final = 8 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSite:
    """``session_key`` signs the cookies: with another one, every session has ended.

    ``is_secure`` says that browsers use TLS, so that they send the cookie by nothing else.
    """

    origins: OwnOrigins = field(default_factory=OwnOrigins)
    session_key: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    session_seconds: int = SESSION_SECONDS
    is_secure: bool = False

    @property
    def cookie(self) -> str:
        """Its name. A browser takes one that begins so from this very host alone, and over TLS."""
        return "__Host-paynotify-console" if self.is_secure else "paynotify-console"
