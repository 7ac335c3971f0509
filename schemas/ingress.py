"""The ingress's HTTP responses: one row for each way a request ends. The OpenAPI document is generated from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Final


class RequestOutcome(Enum):
    """How a request ended; also its label in the metrics."""

    STORED = "stored"
    NO_SUCH_ROUTE = "no_such_route"
    WRONG_METHOD = "wrong_method"
    OTHER_CALLER = "other_caller"
    OTHER_PROTOCOL = "other_protocol"
    OTHER_ENCODING = "other_encoding"
    BAD_ENCODING = "bad_encoding"
    TOO_SLOW = "too_slow"
    TOO_LARGE = "too_large"
    OVER_RATE = "over_rate"
    FULL = "full"
    NOT_STORED = "not_stored"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class IngressResponse:
    """A response: its status, its meaning for callers, and which headers it has besides an empty length."""

    status: int
    meaning: str
    retry_after: bool = False
    close: bool = False

    def status_line(self) -> str:
        """The first line of the response."""
        return f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"

    def head(self) -> bytes:
        """The response's head in HTTP/1.1, for a connection that has no parsed request to answer."""
        lines = [self.status_line(), "content-length: 0"]
        if self.close:
            lines.append("connection: close")
        return "\r\n".join([*lines, "", ""]).encode()


_NOT_STORED: Final = IngressResponse(503, "Not stored; send it again.", retry_after=True)
_BAD: Final = IngressResponse(
    400,
    "The request can't be read, or is of another protocol of the provider's. Not stored.",
    close=True,
)

#: A client that has closed the connection has a response too; the server drops it.
RESPONSES: Final[Mapping[RequestOutcome, IngressResponse]] = {
    RequestOutcome.STORED: IngressResponse(200, "Stored: the brokers have acknowledged the record."),
    RequestOutcome.NO_SUCH_ROUTE: IngressResponse(404, "No such provider or merchant."),
    RequestOutcome.WRONG_METHOD: IngressResponse(405, "Not a method of this provider."),
    RequestOutcome.OTHER_CALLER: IngressResponse(403, "The caller's address is not one of the merchant's callers."),
    RequestOutcome.OTHER_PROTOCOL: _BAD,
    RequestOutcome.OTHER_ENCODING: IngressResponse(415, "The Content-Encoding is neither gzip nor deflate."),
    RequestOutcome.BAD_ENCODING: _BAD,
    RequestOutcome.TOO_SLOW: IngressResponse(408, "The head or body arrived too slowly.", close=True),
    RequestOutcome.TOO_LARGE: IngressResponse(413, "The body is longer than the limit, received or inflated."),
    RequestOutcome.OVER_RATE: IngressResponse(429, "Over the route's or the address's rate limit.", retry_after=True),
    RequestOutcome.FULL: _NOT_STORED,
    RequestOutcome.NOT_STORED: _NOT_STORED,
    RequestOutcome.GONE: _BAD,
}

#: Sent before a request is parsed, so it has no outcome.
HEAD_TOO_LARGE: Final = IngressResponse(431, "The head is longer than the configured limit.", close=True)
