"""A caller of the ingress's application, without a connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from paynotify.ingest.app import Ingress
from paynotify.ingest.call import CallResponse, WebhookCall
from paynotify.ingest.request_parser import RequestHead
from paynotify.schemas.ingress import RequestOutcome


@dataclass(slots=True)
class WebhookCaller:
    """Keeps what it is told."""

    responses: list[CallResponse] = field(default_factory=list)

    def respond(self, call: WebhookCall, response: CallResponse) -> None:
        self.responses.append(response)

    def told(self) -> tuple[int, dict[bytes, bytes], bytes]:
        """Status, headers and body of the only response."""
        (response,) = self.responses
        head, _, body = response.open.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        pairs = [line.partition(b": ") for line in lines]
        return int(first.split(b" ")[1]), {name: value for name, _, value in pairs}, body


def call_ingress(
    ingress: Ingress,
    path: str,
    *,
    method: str = "POST",
    body: Sequence[bytes] = (),
    query: bytes = b"",
    headers: Sequence[tuple[bytes, bytes]] = (),
    address: str = "192.0.2.1",
    otherwise: RequestOutcome | None = None,
) -> WebhookCaller:
    """Make a call with a body in these parts. ``otherwise`` is how it ends if it never becomes complete."""
    caller = WebhookCaller()
    call = WebhookCall(caller, RequestHead(method, path, query, list(headers), True, dict(headers)), address)
    ingress.begin(call)
    for part in body:
        if not call.is_answered:
            ingress.read(call, part)
    if not call.is_answered:
        if otherwise is None:
            ingress.end(call)
        else:
            ingress.abandon(call, otherwise)
    return caller
