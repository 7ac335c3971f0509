"""One webhook call while the ingress has it, and what its caller is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from paynotify.ingest.destinations import Destination
from paynotify.ingest.request_parser import RequestHead
from paynotify.schemas.ingress import IngressResponse

if TYPE_CHECKING:
    from paynotify.ingest.call_traces import CallTrace

_CLOSE: Final = b"connection: close\r\n"


@dataclass(frozen=True, slots=True)
class CallResponse:
    """A response in HTTP/1.1, built once. ``closing`` is that on a connection which ends with it."""

    open: bytes
    closing: bytes
    closes: bool


def call_response(response: IngressResponse, *headers: tuple[str, str], body: bytes = b"") -> CallResponse:
    """The response with these headers and body."""
    lines = [response.status_line(), f"content-length: {len(body)}", *(f"{name}: {value}" for name, value in headers)]
    head = "\r\n".join([*lines, ""]).encode()
    closing = head + _CLOSE + b"\r\n" + body
    return CallResponse(closing if response.close else head + b"\r\n" + body, closing, response.close)


class Caller(Protocol):
    """Who waits for the response; `ingest.connection.BoundedConnection` in the running process."""

    def respond(self, call: WebhookCall, response: CallResponse) -> None: ...


class WebhookCall:
    """A call from its head to its response."""

    __slots__ = (
        "_destination",
        "address",
        "body",
        "caller",
        "coding",
        "fields",
        "headers",
        "is_answered",
        "is_complete",
        "keeps_alive",
        "method",
        "path",
        "query",
        "stored_bytes",
        "trace",
        "traceparent",
    )

    def __init__(self, caller: Caller, head: RequestHead, address: str) -> None:
        self.caller = caller
        self.method, self.path, self.query, self.headers, self.keeps_alive, self.fields = head
        self.address = address
        self.body: bytes | bytearray = b""
        self.coding: bytes | None = None
        self._destination: Destination | None = None
        #: The bytes of its query and body as they are stored.
        self.stored_bytes = 0
        self.is_complete = False
        self.is_answered = False
        #: The spans of a traced call, and what its record has as ``traceparent``; None where there are no traces.
        self.trace: CallTrace | None = None
        self.traceparent: bytes | None = None

    @property
    def has_destination(self) -> bool:
        """Whether the ingress wants its body."""
        return self._destination is not None

    @property
    def destination(self) -> Destination:
        """Where it goes; known once the ingress wants its body."""
        assert self._destination is not None
        return self._destination

    @destination.setter
    def destination(self, destination: Destination) -> None:
        self._destination = destination

    def add(self, part: bytes) -> None:
        """Add a part of the body; most bodies are one."""
        if not self.body:
            self.body = part
        else:
            if isinstance(self.body, bytes):
                self.body = bytearray(self.body)
            self.body += part
