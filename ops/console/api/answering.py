"""Answers of the API as HTTP: JSON with how far the index is behind, or a problem."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from paynotify.ops.console.index.follower import IndexAge
from paynotify.schemas.api.problems import MEDIA_TYPE, UNAUTHENTICATED, ProblemKind
from paynotify.schemas.times import rfc3339_of


class ApiProblemError(Exception):
    """A call is refused; ``retry_seconds`` says when the same one may succeed."""

    def __init__(self, kind: ProblemKind, detail: str, retry_seconds: int = 1) -> None:
        super().__init__(detail)
        self.kind = kind
        self.retry_seconds = retry_seconds

    def response(self) -> Response:
        """As ``application/problem+json``."""
        headers = {"retry-after": str(self.retry_seconds)} if self.kind.retry_after else {}
        if self.kind is UNAUTHENTICATED:
            headers["www-authenticate"] = 'Bearer realm="paynotify"'
        body = msgspec.json.encode(self.kind.problem(str(self)))
        return Response(body, self.kind.status, headers, MEDIA_TYPE)


def answered(body: msgspec.Struct | None, age: IndexAge, status: int = 200, tag: str = "") -> Response:
    """The answer, without a body if there is none; ``tag`` is its entity tag."""
    headers = {**index_headers(age), **({"etag": tag} if tag else {})}
    if body is None:
        return Response(None, status, headers)
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def index_headers(age: IndexAge) -> Mapping[str, str]:
    """How far the index is behind."""
    return {"index-behind": str(age.behind or 0), "index-as-of": as_of(age)}


def as_of(age: IndexAge) -> str:
    """When the brokers had last told how much there is to read."""
    return rfc3339_of(age.seen_at)
