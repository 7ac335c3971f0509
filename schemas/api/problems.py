"""Why the console's API refuses a call: one row for each problem, answered as ``application/problem+json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

MEDIA_TYPE: Final = "application/problem+json"
#: How a problem's ``type`` begins; its name follows.
TYPE_PREFIX: Final = "urn:paynotify:problem:"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a call was refused, as RFC 9457 says it. Programs read ``type``, people the rest."""

    type: Annotated[str, Meta(description=f"`{TYPE_PREFIX}` and the problem's name.")]
    title: Annotated[str, Meta(description="What the type means.")]
    status: Annotated[int, Meta(description="The HTTP status.")]
    detail: Annotated[str, Meta(description="What is wrong with this call, and what to do.")]


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """A problem: its name, status and title; ``retry_after``: the same call may succeed after some seconds."""

    name: str
    status: int
    title: str
    retry_after: bool = False

    def problem(self, detail: str) -> Problem:
        """The body of one answer."""
        return Problem(type=TYPE_PREFIX + self.name, title=self.title, status=self.status, detail=detail)


INVALID_PARAMETER: Final = ProblemKind("invalid_parameter", 400, "A parameter is unknown or has a wrong value.")
TOKEN_IN_URL: Final = ProblemKind("token_in_url", 400, "A token is in the URL, where logs keep it.")
UNAUTHENTICATED: Final = ProblemKind("unauthenticated", 401, "The call has no token, or one that is not known.")
SCOPE_MISSING: Final = ProblemKind("scope_missing", 403, "The token lacks the scope of this operation.")
NOT_FOUND: Final = ProblemKind("not_found", 404, "Nothing is known of it, or the token may not see its merchant.")
WRONG_METHOD: Final = ProblemKind("wrong_method", 405, "The API only reads: use GET or HEAD.")
OVER_RATE: Final = ProblemKind("over_rate", 429, "The token's rate is used up.", retry_after=True)
TOO_MANY_WAITING: Final = ProblemKind("too_many_waiting", 429, "Too many calls wait for events.", retry_after=True)
INDEX_INCOMPLETE: Final = ProblemKind(
    "index_incomplete", 503, "The index has not read the topics to their ends yet.", retry_after=True
)

#: Those that any call can meet, in the order in which they are decided.
OF_EVERY_CALL: Final = (
    TOKEN_IN_URL,
    UNAUTHENTICATED,
    OVER_RATE,
    SCOPE_MISSING,
    WRONG_METHOD,
    INVALID_PARAMETER,
    INDEX_INCOMPLETE,
)
PROBLEMS: Final = (*OF_EVERY_CALL, NOT_FOUND, TOO_MANY_WAITING)


def by_status(kinds: tuple[ProblemKind, ...]) -> Mapping[int, tuple[ProblemKind, ...]]:
    """The problems of each status, the lowest status first."""
    found: dict[int, tuple[ProblemKind, ...]] = {}
    for one in sorted(kinds, key=lambda kind: kind.status):
        found[one.status] = (*found.get(one.status, ()), one)
    return found
