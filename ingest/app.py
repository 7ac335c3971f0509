"""The ingress's decisions: each call becomes one record and gets a response, mostly an empty one.

A 200 is sent only after the brokers have acknowledged the record: a caller that reads it need not send the
notification again. Every other outcome has a row in `schemas.ingress.RESPONSES`.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Final, Protocol

from paynotify.ingest import content_encoding
from paynotify.ingest.call import CallResponse, WebhookCall, call_response
from paynotify.ingest.call_traces import CallTraces
from paynotify.ingest.destinations import Destination, destinations
from paynotify.ingest.limits import TOKEN_BYTES, AddressLimits, Slots
from paynotify.ingest.metrics import UNKNOWN, IngestMetrics
from paynotify.ingest.notification import RecordHeaders, TimestampFormatter, record_headers
from paynotify.ingest.record_group import Told
from paynotify.ingest.sent_headers import SentHeaders
from paynotify.schemas.configuration.ingest import IngestSettings
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.ingress import RESPONSES, RequestOutcome
from paynotify.schemas.providers import provider_contracts, provider_names
from paynotify.schemas.routes import Route, token_digest, without_token
from paynotify.service import card_numbers
from paynotify.service.value_cipher import cipher_of

#: A Content-Length with more digits is over any limit.
_MAX_DIGITS: Final = 18


class NotificationStore(Protocol):
    """Stores records; `ingest.publisher.NotificationPublisher` in the running process."""

    def publish(self, topic: str, key: bytes, value: bytes, headers: RecordHeaders, told: Told) -> bool:
        """Call ``told`` later with whether the record was stored. False, and no call, if it was refused at once."""


class Ingress:
    """Decides each call. ``slots`` bounds the calls that are in memory.

    A connection calls `begin`, `read` for each part of the body, and `end`; `abandon` if the end never comes. The
    response follows at any of them, or later from the publisher.
    """

    def __init__(
        self,
        configuration: Configuration,
        publisher: NotificationStore,
        slots: Slots,
        meters: IngestMetrics,
        traces: CallTraces | None = None,
    ) -> None:
        self._limits = configuration.ingest
        self._addresses = _address_limits(configuration.ingest)
        self._destinations = destinations(configuration)
        self._publisher = publisher
        self._slots = slots
        self._meters = meters
        self._traces = traces
        cipher = cipher_of(configuration)
        self._cipher = cipher if cipher.encrypts else None
        self._masked = card_numbers.CardNumbers(configuration.id_fields()).masked
        self._sent_headers = SentHeaders(self._masked)
        self._clock = TimestampFormatter()
        routes = {provider: contract.route for provider, contract in provider_contracts().items()}
        self._answers = {
            (provider, outcome): (
                meters.requests[provider, outcome.value],
                _response(outcome, routes.get(provider), configuration.ingest),
            )
            for provider in (*routes, UNKNOWN)
            for outcome in RESPONSES
        }

    def begin(self, call: WebhookCall) -> None:
        """Check the call's head. It takes a slot if its body is wanted, and is answered otherwise."""
        if self._traces is not None:
            self._traces.begin(call)
        destination = self._destinations.get(call.path) or self._with_token(call.path)
        if destination is None:
            self._answer(call, provider_in(call.path), RequestOutcome.NO_SUCH_ROUTE)
            return
        refused = self._refused(destination, call)
        if refused is not None:
            self._answer(call, destination.origin.provider, refused)
            return
        call.destination = destination

    def read(self, call: WebhookCall, part: bytes) -> None:
        """Add a part of the body."""
        call.add(part)
        if len(call.body) > self._limits.max_body_bytes:
            self.abandon(call, RequestOutcome.TOO_LARGE)

    def end(self, call: WebhookCall) -> None:
        """Publish the call, which is complete."""
        is_published, otherwise = False, RequestOutcome.NOT_STORED
        try:
            is_published = self._publish(call, partial(self._told, call, time.monotonic()))
        except content_encoding.UnreadableBodyError:
            otherwise = RequestOutcome.BAD_ENCODING
        except content_encoding.LongBodyError:
            otherwise = RequestOutcome.TOO_LARGE
        finally:
            if not is_published:  # otherwise the publisher releases the slot
                self.abandon(call, otherwise)

    def abandon(self, call: WebhookCall, outcome: RequestOutcome) -> None:
        """End a call that is not published, and release its slot."""
        self._slots.release()
        self._answer(call, call.destination.origin.provider, outcome)

    def _with_token(self, path: str) -> Destination | None:
        """The destination of a path that ends with the merchant's URL token."""
        destination = self._destinations.get(path.rpartition("/")[0])
        return destination if destination is not None and destination.has_token else None

    def _refused(self, destination: Destination, call: WebhookCall) -> RequestOutcome | None:
        """Why the call's body is not wanted. None if it is; then the call has a slot."""
        if destination.callers is not None and call.address not in destination.callers:
            return RequestOutcome.OTHER_CALLER
        if call.method not in destination.route.methods:
            return RequestOutcome.WRONG_METHOD
        now_seconds = time.monotonic()
        if self._addresses is not None and not self._addresses.take(call.address, now_seconds):
            return RequestOutcome.OVER_RATE
        if not destination.bucket.take(now_seconds):
            return RequestOutcome.OVER_RATE
        if not destination.route.refused_headers.isdisjoint(call.fields):
            return RequestOutcome.OTHER_PROTOCOL
        length = call.fields.get(b"content-length")
        if length is not None and _over_limit(length, self._limits.max_body_bytes):
            return RequestOutcome.TOO_LARGE
        encoding = call.fields.get(b"content-encoding")
        if encoding is not None:
            call.coding = content_encoding.coding_of(encoding)
            if call.coding is not None and not content_encoding.is_known(call.coding):
                return RequestOutcome.OTHER_ENCODING
        return None if self._slots.take() else RequestOutcome.FULL

    def _publish(self, call: WebhookCall, told: Told) -> bool:
        query, body = call.query, b"" if call.method == "GET" else bytes(call.body)
        if call.coding is not None and body:
            body = content_encoding.inflated(body, call.coding, self._limits.max_body_bytes)
        destination = call.destination
        source = destination.origin
        digest = None
        if destination.has_token:
            query, token = without_token(query)
            digest = _digest(call.path, token)
        query, body, cards = self._as_stored(call, query, body)
        headers = record_headers(source, call.method, query, call.fields, self._clock.now(), call.traceparent)
        cards += self._sent_headers.add(headers, call.fields)
        if destination.route.stored_headers:
            cards += self._sent_headers.add_own(headers, destination.route.headers_of(call.headers).items())
        if call.coding is not None:
            headers.append(("http-content-encoding", call.coding))
        if cards:
            self._meters.card_numbers[source.provider].count += cards
            headers.append(card_numbers.header(cards))
        if digest is not None:
            headers.append(("url-token", digest))
        key = destination.route.key(source.merchant, query, body)
        if call.trace is not None:
            call.trace.handed_over(destination.topic, len(body))
        if self._cipher is not None:
            body, named = self._cipher.encrypted(destination.topic, key, body)
            headers.append(named)
        return self._publisher.publish(destination.topic, key, body, headers, told)

    def _as_stored(self, call: WebhookCall, query: bytes, body: bytes) -> tuple[bytes, bytes, int]:
        """Query and body as they may be stored, and how many card numbers were masked in them."""
        call.stored_bytes = stored_bytes = len(query) + len(body)
        if stored_bytes > TOKEN_BYTES:
            self._charge_length(call, (stored_bytes - 1) // TOKEN_BYTES)
        in_body, in_query = self._masked(body), self._masked(query) if query else None
        if in_body is None and in_query is None:
            return query, body, 0
        query, queried = in_query or (query, 0)
        body, found = in_body or (body, 0)
        return query, body, queried + found

    def _charge_length(self, call: WebhookCall, more: int) -> None:
        """A long call counts as several, once it is known how long it is: it may have come compressed, or in chunks."""
        call.destination.bucket.charge(more)
        if self._addresses is not None:
            self._addresses.charge(call.address, more)

    def _told(self, call: WebhookCall, since_seconds: float, stored: bool) -> None:
        provider = call.destination.origin.provider
        if not stored:
            self._answer(call, provider, RequestOutcome.NOT_STORED)
            return
        self._meters.stored[provider].inc()
        self._meters.stored_bytes[provider].count += call.stored_bytes
        exemplar = None if call.trace is None else call.trace.exemplar
        self._meters.publish_seconds[provider].observe(time.monotonic() - since_seconds, exemplar)
        self._meters.last_stored[provider] = time.time()
        self._answer(call, provider, RequestOutcome.STORED)

    def _answer(self, call: WebhookCall, provider: str, outcome: RequestOutcome) -> None:
        counted, response = self._answers[provider, outcome]
        counted.inc()
        call.is_answered = True
        if call.trace is not None:
            call.trace.answered(call, provider, outcome)
        call.caller.respond(call, response)


def _over_limit(content_length: bytes, limit_bytes: int) -> bool:
    """Whether Content-Length exceeds the limit. Leading zeros are allowed, but int() refuses thousands of digits."""
    digits = content_length.lstrip(b"0") or b"0"
    return len(digits) > _MAX_DIGITS or not digits.isdigit() or int(digits) > limit_bytes


def _address_limits(limits: IngestSettings) -> AddressLimits | None:
    rate = limits.address_rate_per_second
    return AddressLimits(rate, limits.address_burst) if rate is not None else None


def _digest(path: str, query_token: bytes) -> bytes | None:
    """The digest of the token in the path or query; None without one. The verify stage compares it."""
    token = path.split("/", 4)[4].encode() if path.count("/") == 4 else query_token
    return token_digest(token).encode() if token else None


def provider_in(path: str) -> str:
    """The provider named in a path, for the metrics; ``unknown`` if it names none."""
    parts = path.split("/", 3)
    return parts[2] if len(parts) == 4 and parts[1] == "notifications" and parts[2] in provider_names() else UNKNOWN


def _response(outcome: RequestOutcome, route: Route | None, limits: IngestSettings) -> CallResponse:
    """What a provider's callers are told; without a route, callers of no provider."""
    response = RESPONSES[outcome]
    headers = [("retry-after", str(limits.retry_after_seconds))] if response.retry_after else []
    if route is None:
        return call_response(response, *headers)
    if outcome is RequestOutcome.WRONG_METHOD:
        headers.append(("allow", ", ".join(route.methods)))
    if outcome is RequestOutcome.OTHER_ENCODING:
        headers.append(("accept-encoding", content_encoding.ACCEPTED))
    if outcome is not RequestOutcome.STORED:
        return call_response(response, *headers)
    if route.stored.content_type:
        headers.append(("content-type", route.stored.content_type))
    return call_response(response, *headers, body=route.stored.body)
