"""The ingress as an ASGI application: each request becomes one record and gets a response, mostly an empty one.

A 200 is sent only after the brokers have acknowledged the record: a caller that reads it need not send the
notification again. Every other outcome has a row in `schemas.ingress.RESPONSES`.
"""

from __future__ import annotations

import time
from asyncio import Future
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ingest.limits import AddressLimits, Slots, TokenBucket, Unread, read_body
from ingest.metrics import UNKNOWN, IngestMetrics
from ingest.notification import Origin, RecordHeaders, TimestampFormatter, origin, plain, record_headers
from schemas.configuration.ingest import IngestSettings
from schemas.configuration.merchants import provider_of
from schemas.configuration.model import Configuration
from schemas.ingress import RESPONSES, IngressResponse, RequestOutcome
from schemas.providers import provider_contracts, provider_names
from schemas.routes import Answer, Route, token_digest, without_token
from schemas.topics import notifications
from service.asgi import Receive, Scope, Send

_UNREAD: Final = {
    Unread.TOO_LARGE: RequestOutcome.TOO_LARGE,
    Unread.TOO_SLOW: RequestOutcome.TOO_SLOW,
    Unread.GONE: RequestOutcome.GONE,
}

#: A Content-Length with more digits is over any limit.
_MAX_DIGITS: Final = 18

_END: Final = {"type": "http.response.body", "body": b""}


class NotificationStore(Protocol):
    """Stores records; `ingest.publisher.NotificationPublisher` in the running process."""

    def publish(self, topic: str, key: bytes, value: bytes, headers: RecordHeaders) -> Future[bool] | None:
        """A future of whether the record was stored, or None if it was refused at once."""


@dataclass(frozen=True, slots=True)
class Destination:
    """One configured path: its merchant, the topic of its records, and its rate limit."""

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
    """The application. ``slots`` bounds the requests that are in memory."""

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
        self._starts = {outcome: _start(one, self._limits.retry_after_seconds) for outcome, one in RESPONSES.items()}
        self._wrong_method = {
            provider: _start(RESPONSES[RequestOutcome.WRONG_METHOD], 0, allow=", ".join(contract.route.methods))
            for provider, contract in provider_contracts().items()
        }
        self._stored_answers = {
            provider: _stored_answer(contract.route.stored) for provider, contract in provider_contracts().items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _lifespan(scope, receive, send)
            return
        destination = self._destinations.get(scope["path"]) or self._with_token(scope["path"])
        if destination is None:
            provider, outcome = provider_in(scope["path"]), RequestOutcome.NO_SUCH_ROUTE
        else:
            provider, outcome = destination.origin.provider, await self._accept(destination, scope, receive)
        self._meters.requests[provider, outcome.value].inc()
        start, end = self._starts[outcome], _END
        if outcome is RequestOutcome.WRONG_METHOD:
            start = self._wrong_method[provider]
        elif outcome is RequestOutcome.STORED:
            start, end = self._stored_answers[provider]
        await send(start)
        await send(end)

    def _with_token(self, path: str) -> Destination | None:
        """The destination of a path that ends with the merchant's URL token."""
        destination = self._destinations.get(path.rpartition("/")[0])
        return destination if destination is not None and destination.has_token else None

    async def _accept(self, destination: Destination, scope: Scope, receive: Receive) -> RequestOutcome:
        """Check the request's head, then read and publish it within a slot."""
        if scope["method"] not in destination.route.methods:
            return RequestOutcome.WRONG_METHOD
        now_seconds = time.monotonic()
        if self._addresses is not None and not self._addresses.take(_address(scope), now_seconds):
            return RequestOutcome.OVER_RATE
        if not destination.bucket.take(now_seconds):
            return RequestOutcome.OVER_RATE
        request = dict(scope["headers"])
        if not destination.route.refused_headers.isdisjoint(request):
            return RequestOutcome.OTHER_PROTOCOL
        length = request.get(b"content-length")
        if length is not None and _over_limit(length, self._limits.max_body_bytes):
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
            if stored is None:  # otherwise the publisher releases it
                self._slots.release()
        return await self._stored(stored, destination.origin.provider)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | Unread:
        if scope["method"] == "GET":
            return b""
        return await read_body(receive, self._limits.max_body_bytes, self._limits.body_deadline_seconds)

    def _publish(
        self, destination: Destination, scope: Scope, request: Mapping[bytes, bytes], body: bytes
    ) -> Future[bool] | None:
        query: bytes = scope["query_string"]
        source = destination.origin
        kept = destination.route.headers_of(scope["headers"])
        digest = None
        if destination.has_token:
            query, token = without_token(query)
            digest = _digest(scope["path"], token)
        headers = record_headers(source, scope["method"], query, request, self._clock.now())
        headers.extend((name, plain(value, len(value))) for name, value in kept.items())
        if digest is not None:
            headers.append(("url-token", digest))
        key = destination.route.key(source.merchant, query, body)
        return self._publisher.publish(destination.topic, key, body, headers)

    async def _stored(self, stored: Future[bool] | None, provider: str) -> RequestOutcome:
        start_seconds = time.monotonic()
        if stored is None or not await stored:
            return RequestOutcome.NOT_STORED
        self._meters.stored[provider].inc()
        self._meters.publish_seconds[provider].observe(time.monotonic() - start_seconds)
        self._meters.last_stored[provider].set_to_current_time()
        return RequestOutcome.STORED


def _over_limit(content_length: bytes, limit_bytes: int) -> bool:
    """Whether Content-Length exceeds the limit. Leading zeros are allowed, but int() refuses thousands of digits."""
    digits = content_length.lstrip(b"0") or b"0"
    return len(digits) > _MAX_DIGITS or not digits.isdigit() or int(digits) > limit_bytes


def _address_limits(limits: IngestSettings) -> AddressLimits | None:
    rate = limits.address_rate_per_second
    return AddressLimits(rate, limits.address_burst) if rate is not None else None


def _address(scope: Scope) -> str:
    """The address of the connection. Headers such as X-Forwarded-For are not trusted: any caller can send them."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _digest(path: str, query_token: bytes) -> bytes | None:
    """The digest of the token in the path or query; None without one. The verify stage compares it."""
    token = path.split("/", 4)[4].encode() if path.count("/") == 4 else query_token
    return token_digest(token).encode() if token else None


def provider_in(path: str) -> str:
    """The provider named in a path, for the metrics; ``unknown`` if it names none."""
    parts = path.split("/", 3)
    return parts[2] if len(parts) == 4 and parts[1] == "notifications" and parts[2] in provider_names() else UNKNOWN


def _stored_answer(answer: Answer) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two parts of the provider's answer to a stored notification."""
    start = _start(RESPONSES[RequestOutcome.STORED], 0)
    headers = [(b"content-length", str(len(answer.body)).encode())]
    if answer.content_type:
        headers.append((b"content-type", answer.content_type.encode()))
    return {**start, "headers": headers}, {**_END, "body": answer.body}


def _start(response: IngressResponse, retry_after_seconds: int, allow: str = "") -> dict[str, Any]:
    headers = [(b"content-length", b"0")]
    if response.retry_after:
        headers.append((b"retry-after", str(retry_after_seconds).encode()))
    if response.close:
        headers.append((b"connection", b"close"))
    if allow:
        headers.append((b"allow", allow.encode()))
    return {"type": "http.response.start", "status": response.status, "headers": headers}


async def _lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Acknowledge start and stop. The process around the application does the work."""
    if scope["type"] != "lifespan":
        return
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
