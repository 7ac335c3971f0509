"""The ingress as an ASGI application: one request in, one stored record, one empty answer.

The order is the guarantee (G1): the 200 is sent after the brokers acknowledged the record. Every other end is
one row of `ANSWERS`.
"""

from __future__ import annotations

import time
from asyncio import Future
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

from ingest.limits import AddressLimits, Receive, Slots, TokenBucket, Unread, read_body
from ingest.metrics import UNKNOWN, IngestMetrics
from ingest.notification import Origin, RecordHeaders, TimestampFormatter, origin, record_headers
from schemas.configuration.merchants import provider_of
from schemas.configuration.model import Configuration, IngestSettings
from schemas.providers import provider_contracts, provider_names
from schemas.routes import Route, token_digest, without_token
from schemas.topics import notifications

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class RequestOutcome(Enum):
    """How a request ended; also its label in the metrics."""

    STORED = "stored"
    NO_SUCH_ROUTE = "no_such_route"
    WRONG_METHOD = "wrong_method"
    TOO_SLOW = "too_slow"
    TOO_LARGE = "too_large"
    OVER_RATE = "over_rate"
    FULL = "full"
    NOT_STORED = "not_stored"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class IngressResponse:
    """An answer's status and which headers it carries besides an empty length."""

    status: int
    retry_after: bool = False
    close: bool = False


#: A client that is gone gets the answer too: the server drops it.
ANSWERS: Final[Mapping[RequestOutcome, IngressResponse]] = {
    RequestOutcome.STORED: IngressResponse(200),
    RequestOutcome.NO_SUCH_ROUTE: IngressResponse(404),
    RequestOutcome.WRONG_METHOD: IngressResponse(405),
    RequestOutcome.TOO_SLOW: IngressResponse(408, close=True),
    RequestOutcome.TOO_LARGE: IngressResponse(413),
    RequestOutcome.OVER_RATE: IngressResponse(429, retry_after=True),
    RequestOutcome.FULL: IngressResponse(503, retry_after=True),
    RequestOutcome.NOT_STORED: IngressResponse(503, retry_after=True),
    RequestOutcome.GONE: IngressResponse(400, close=True),
}

_UNREAD: Final = {
    Unread.TOO_LARGE: RequestOutcome.TOO_LARGE,
    Unread.TOO_SLOW: RequestOutcome.TOO_SLOW,
    Unread.GONE: RequestOutcome.GONE,
}

#: Of a body's length; as many make a number no body has.
_MOST_DIGITS: Final = 18

_END: Final = {"type": "http.response.body", "body": b""}


class NotificationStore(Protocol):
    """Where records go; `ingest.publisher.Publisher` in the running process."""

    def publish(self, topic: str, key: bytes, value: bytes, headers: RecordHeaders) -> Future[bool] | None:
        """Whether the record is stored, later; none where it is refused at once."""


@dataclass(frozen=True, slots=True)
class Destination:
    """One configured path: whose it is, where its records go, and how often it may be called."""

    origin: Origin
    route: Route
    topic: str
    bucket: TokenBucket
    has_token: bool = False


def destinations(configuration: Configuration) -> dict[str, Destination]:
    """Every merchant's destination by its path."""
    limits = configuration.ingest
    return {
        f"/notifications/{provider}/{merchant.id}": Destination(
            origin(provider, merchant.id),
            provider_contracts()[provider].route,
            configuration.kafka.topic(notifications(provider)),
            TokenBucket(limits.rate_per_second, limits.burst),
            bool(merchant.url_tokens),
        )
        for merchant in configuration.merchants
        for provider in (provider_of(merchant),)
    }


class Ingress:
    """The application. It keeps no request: what is in memory is counted by ``slots``."""

    def __init__(
        self, configuration: Configuration, publisher: NotificationStore, slots: Slots, meters: IngestMetrics
    ) -> None:
        self._limits = configuration.ingest
        self._addresses = _address_limits(configuration.ingest)
        self._destinations = destinations(configuration)
        self._publisher = publisher
        self._slots = slots
        self._meters = meters
        self._clock = TimestampFormatter()
        self._starts = {outcome: _start(reply, self._limits.retry_after_seconds) for outcome, reply in ANSWERS.items()}
        self._wrong_method = {
            provider: _start(ANSWERS[RequestOutcome.WRONG_METHOD], 0, allow=", ".join(contract.route.methods))
            for provider, contract in provider_contracts().items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _lifespan(scope, receive, send)
            return
        destination = self._destinations.get(scope["path"]) or self._with_token(scope["path"])
        if destination is None:
            provider, outcome = provider_in(scope["path"]), RequestOutcome.NO_SUCH_ROUTE
        else:
            provider, outcome = destination.origin.provider, await self._take(destination, scope, receive)
        self._meters.requests[provider, outcome.value].inc()
        await send(self._wrong_method[provider] if outcome is RequestOutcome.WRONG_METHOD else self._starts[outcome])
        await send(_END)

    def _with_token(self, path: str) -> Destination | None:
        """The destination of a path that ends with the merchant's token."""
        destination = self._destinations.get(path.rpartition("/")[0])
        return destination if destination is not None and destination.has_token else None

    async def _take(self, destination: Destination, scope: Scope, receive: Receive) -> RequestOutcome:
        """Judge the request by its head, then read it while holding a slot."""
        if scope["method"] not in destination.route.methods:
            return RequestOutcome.WRONG_METHOD
        now_seconds = time.monotonic()
        if self._addresses is not None and not self._addresses.take(_address(scope), now_seconds):
            return RequestOutcome.OVER_RATE
        if not destination.bucket.take(now_seconds):
            return RequestOutcome.OVER_RATE
        request = dict(scope["headers"])
        length = request.get(b"content-length")
        if length is not None and _longer(length, self._limits.max_body_bytes):
            return RequestOutcome.TOO_LARGE
        if not self._slots.take():
            return RequestOutcome.FULL
        stored = None
        try:
            body = await self._body(scope, receive)
            if isinstance(body, Unread):
                return _UNREAD[body]
            stored = self._publish(destination, scope, request, body)
        finally:
            if stored is None:  # otherwise the publisher gives it back
                self._slots.give_back()
        return await self._stored(stored, destination.origin.provider)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | Unread:
        if scope["method"] == "GET":
            return b""
        return await read_body(receive, self._limits.max_body_bytes, self._limits.body_deadline_seconds)

    def _publish(
        self, destination: Destination, scope: Scope, request: Mapping[bytes, bytes], body: bytes
    ) -> Future[bool] | None:
        query: bytes = scope["query_string"]
        came_from = destination.origin
        digest = None
        if destination.has_token:
            query, token = without_token(query)
            digest = _digest(scope["path"], token)
        headers = record_headers(came_from, scope["method"], query, request, self._clock.now())
        if digest is not None:
            headers.append(("url-token", digest))
        key = destination.route.key(came_from.merchant, query, body)
        return self._publisher.publish(destination.topic, key, body, headers)

    async def _stored(self, stored: Future[bool] | None, provider: str) -> RequestOutcome:
        begun_seconds = time.monotonic()
        if stored is None or not await stored:
            return RequestOutcome.NOT_STORED
        self._meters.stored[provider].inc()
        self._meters.publish_seconds[provider].observe(time.monotonic() - begun_seconds)
        self._meters.last_stored[provider].set_to_current_time()
        return RequestOutcome.STORED


def _longer(content_length: bytes, most_bytes: int) -> bool:
    """Whether the head tells of a longer body. Zeros before the number mean nothing, but thousands can't be read."""
    digits = content_length.lstrip(b"0") or b"0"
    return len(digits) > _MOST_DIGITS or not digits.isdigit() or int(digits) > most_bytes


def _address_limits(limits: IngestSettings) -> AddressLimits | None:
    rate = limits.address_rate_per_second
    return AddressLimits(rate, limits.address_burst) if rate is not None else None


def _address(scope: Scope) -> str:
    """Who is connected; headers about it are anybody's word."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _digest(path: str, query_token: bytes) -> bytes | None:
    """What is kept of the token in the path or query; none where there is none. Whether it is right, verify says."""
    token = path.split("/", 4)[4].encode() if path.count("/") == 4 else query_token
    return token_digest(token).encode() if token else None


def provider_in(path: str) -> str:
    """The provider a path names, for the metrics; ``unknown`` where it names none."""
    parts = path.split("/", 3)
    return parts[2] if len(parts) == 4 and parts[1] == "notifications" and parts[2] in provider_names() else UNKNOWN


def _start(reply: IngressResponse, retry_after_seconds: int, allow: str = "") -> dict[str, Any]:
    headers = [(b"content-length", b"0")]
    if reply.retry_after:
        headers.append((b"retry-after", str(retry_after_seconds).encode()))
    if reply.close:
        headers.append((b"connection", b"close"))
    if allow:
        headers.append((b"allow", allow.encode()))
    return {"type": "http.response.start", "status": reply.status, "headers": headers}


async def _lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Start and stop need nothing of the application; the process around it does the work."""
    if scope["type"] != "lifespan":
        return
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
