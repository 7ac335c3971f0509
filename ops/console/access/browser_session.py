"""The signed-in user in the browser's session cookie, and the sessions that were ended before their time."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

_KEY: Final = "user"
_MAX_ENDED: Final = 10_000


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """Who signed in, with the groups that count."""

    name: str
    groups: tuple[str, ...]


class BrowserSessions:
    """Begins, reads and ends sessions. They last ``seconds``, however often they are used.

    A cookie can't be taken back, so the ids of ended sessions are remembered until they would have ended anyway.
    """

    def __init__(self, seconds: float, now: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._now = now
        self._ended: OrderedDict[str, float] = OrderedDict()

    def begin(self, session: dict[str, Any], user: SignedInUser) -> None:
        """Replace all that the session holds: what was known before signing in is worth nothing after it."""
        session.clear()
        until = self._now() + self._seconds
        session[_KEY] = {"name": user.name, "groups": user.groups, "until": until, "id": secrets.token_urlsafe(16)}

    def user(self, session: dict[str, Any]) -> SignedInUser | None:
        """Who is signed in; None if nobody is any more."""
        found = session.get(_KEY)
        if found is None or found["until"] <= self._now() or found["id"] in self._ended:
            return None
        return SignedInUser(found["name"], tuple(found["groups"]))

    def end(self, session: dict[str, Any]) -> None:
        """Sign the user out, also in copies of the cookie."""
        found = session.get(_KEY)
        if found is not None:
            self._ended[found["id"]] = found["until"]
            now = self._now()
            while self._ended and (len(self._ended) > _MAX_ENDED or next(iter(self._ended.values())) <= now):
                self._ended.popitem(last=False)
        session.clear()
