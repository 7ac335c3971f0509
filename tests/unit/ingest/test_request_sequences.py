"""Any sequence of requests, cut anywhere, with acknowledgements at any time: one right response each, in order."""

from __future__ import annotations

import asyncio
import gzip
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.ingest.app import Ingress
from paynotify.ingest.connection import bounded
from paynotify.ingest.limits import Slots
from paynotify.ingest.metrics import IngestMetrics
from paynotify.ingest.notification import RecordHeaders
from paynotify.ingest.record_group import Told
from paynotify.schemas.configuration.load import parse
from paynotify.schemas.ingress import RequestOutcome
from paynotify.schemas.providers import provider_names

CONFIGURATION: Final = parse(
    """
sandbox: true
ingest: {max_body_bytes: 1000, max_header_bytes: 2000}
merchants:
  - {id: shop-nl, provider: omnikassa, poi_id: 1, base_url: "https://nl.example", signing_keys: [{value: k}]}
""",
    "test.yaml",
)
PATH: Final = b"/notifications/omnikassa/shop-nl"


@dataclass(frozen=True)
class Request:
    """A request, the status it deserves, the value it stores, and whether it is the connection's last."""

    wire: bytes
    status: int
    value: bytes | None = None
    last: bool = False


def post(body: bytes, *headers: bytes, path: bytes = PATH) -> bytes:
    head = [b"POST %b HTTP/1.1" % path, b"host: x", *headers]
    if b"transfer-encoding: chunked" in headers:
        chunks = b"".join(
            b"%x\r\n%b\r\n" % (len(body[at : at + 7]), body[at : at + 7]) for at in range(0, len(body), 7)
        )
        return b"\r\n".join([*head, b"", chunks + b"0\r\n\r\n"])
    return b"\r\n".join([*head, b"content-length: %d" % len(body), b"", body])


bodies = st.binary(max_size=60)
chunked = b"transfer-encoding: chunked"
offer = (b"connection: upgrade", b"upgrade: h2c")
requests = st.one_of(
    bodies.map(lambda body: Request(post(body), 200, body)),
    bodies.map(lambda body: Request(post(body, chunked), 200, body)),
    bodies.map(lambda body: Request(post(body, *offer), 200, body)),
    bodies.map(lambda body: Request(post(gzip.compress(body), b"content-encoding: gzip"), 200, body)),
    bodies.map(lambda body: Request(post(body, b"content-encoding: br"), 415)),
    bodies.map(lambda body: Request(post(body, chunked, *offer), 200, body)),
    bodies.map(lambda body: Request(post(body, path=b"/other"), 404)),
    bodies.map(lambda body: Request(post(body + b"x" * 1001), 413)),
    bodies.map(lambda body: Request(post(body + b"x" * 1001, chunked), 413)),
    st.just(Request(b"PUT %b HTTP/1.1\r\nhost: x\r\n\r\n" % PATH, 405)),
    bodies.map(lambda body: Request(post(body, b"expect: 100-continue"), 200, body)),
    bodies.map(lambda body: Request(post(body, b"expect: 100-continue", path=b"/other"), 404)),
    bodies.map(lambda body: Request(post(body, b"connection: close"), 200, body, last=True)),
    st.just(Request(post(b"", b"x: " + b"y" * 2000), 431, last=True)),
    st.just(Request(b"\x16\x03\x01 no http\r\n\r\n", 400, last=True)),
)


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.closing = self.paused = self.ended = False
        self.protocol: Any = None

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.1", 40_000) if name == "peername" else None

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def write(self, data: bytes) -> None:
        assert not self.closing
        assert not self.ended
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        assert not self.closing
        assert not self.ended
        self.ended = True

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False


class Log:
    """Stores everything, and acknowledges one record whenever it is asked to."""

    def __init__(self, slots: Slots) -> None:
        self.values: list[bytes] = []
        self.waiting: list[Told] = []
        self._slots = slots

    def publish(self, topic: str, key: bytes, value: bytes, headers: RecordHeaders, told: Told) -> bool:
        self.values.append(value)
        self.waiting.append(told)
        return True

    def acknowledge(self) -> None:
        if self.waiting:
            self._slots.release()
            self.waiting.pop(0)(True)


class Server:
    """One connection to an ingress of its own."""

    def __init__(self) -> None:
        self.slots = Slots(3)
        self.log = Log(self.slots)
        self.connections: set[Any] = set()
        meters = IngestMetrics(provider_names(), tuple(outcome.value for outcome in RequestOutcome))
        kind = bounded(
            Ingress(CONFIGURATION, self.log, self.slots, meters),
            max_head_bytes=2000,
            max_body_bytes=1000,
            read_seconds=10.0,
            keep_alive_seconds=75.0,
            max_connections=10,
        )
        self.wire = Wire()
        self.connection = kind(server_state=self)  # type: ignore[arg-type]  # only its connections are used
        self.wire.protocol = self.connection
        self.connection.connection_made(self.wire)

    def statuses(self) -> list[int]:
        """Those of the responses, without the invitations to send a body."""
        responses = self.wire.written.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"").split(b"HTTP/1.1 ")
        return [int(one[:3]) for one in responses[1:]]

    async def settle(self) -> None:
        """Let everything that was sent be handled, and acknowledged."""
        for _ in range(200):
            await asyncio.sleep(0)
            self.log.acknowledge()


async def sent(pieces: Iterable[bytes], acknowledge: bool) -> Server:
    """Send the pieces; acknowledge in between, or only when nothing more is read. Then the client leaves."""
    server = Server()
    waiting = deque(piece for piece in pieces if piece)
    while waiting and not server.wire.closing:
        if server.wire.paused or acknowledge:
            server.log.acknowledge()
        await asyncio.sleep(0)
        if not server.wire.paused:
            server.wire.protocol.data_received(waiting.popleft())
    await server.settle()
    return server


def cut(data: bytes, lengths: list[int]) -> list[bytes]:
    """The data in pieces of these lengths, and the rest."""
    pieces = []
    for length in lengths:
        pieces.append(data[:length])
        data = data[length:]
    return [*pieces, data]


def until_last(sequence: list[Request]) -> list[Request]:
    """The requests that deserve a response."""
    ends = [number for number, request in enumerate(sequence, 1) if request.last]
    return sequence[: ends[0]] if ends else sequence


@given(st.lists(requests, min_size=1, max_size=8), st.lists(st.integers(1, 400), max_size=30), st.booleans())
def test_requests_get_their_responses_in_order_however_they_are_cut(
    sequence: list[Request], lengths: list[int], acknowledge: bool
) -> None:
    """A connection ends before its last request only after a response that says so. None is swallowed in silence."""
    server = asyncio.run(sent(cut(b"".join(request.wire for request in sequence), lengths), acknowledge))
    wanted, told = until_last(sequence), server.statuses()
    assert told
    assert told == [request.status for request in wanted[: len(told)]]
    values = [request.value for request in wanted[: len(told)] if request.value is not None]
    assert server.log.values == values
    said = [part for part in server.wire.written.split(b"HTTP/1.1 ") if b"connection: close\r\n" in part]
    ended = server.wire.closing or server.wire.ended
    assert ended is bool(said)
    assert ended is (len(told) < len(wanted) or wanted[-1].last or bool(said))
    if said:
        assert server.wire.written.endswith(said[0]), "something was written after the last response"
        assert wanted[len(told) - 1].last or wanted[len(told) - 1].status in {404, 413, 415}
    assert server.slots.taken == 0


@given(st.lists(requests, min_size=1, max_size=8), st.booleans())
def test_request_that_arrives_whole_is_followed_by_the_next(sequence: list[Request], acknowledge: bool) -> None:
    server = asyncio.run(sent((request.wire for request in sequence), acknowledge))
    wanted = until_last(sequence)
    assert server.statuses() == [request.status for request in wanted]
    assert server.log.values == [request.value for request in wanted if request.value is not None]
    assert (server.wire.closing or server.wire.ended) is wanted[-1].last
    assert server.slots.taken == 0


@given(
    st.sampled_from([404, 405, 413]),
    st.lists(requests, min_size=1, max_size=4),
    st.lists(st.integers(1, 400), max_size=10),
    st.booleans(),
)
def test_call_after_a_body_that_was_left_out_is_never_swallowed(
    status: int, sequence: list[Request], lengths: list[int], with_expectation: bool
) -> None:
    """The client was told the end before it sent the body, and goes on with its next call."""
    target = {404: b"POST /other", 405: b"PUT " + PATH, 413: b"POST " + PATH}[status]
    expectation = [b"expect: 100-continue"] if with_expectation else []
    head = b"\r\n".join([target + b" HTTP/1.1", b"host: x", b"content-length: 5000", *expectation, b"", b""])
    following = b"".join(request.wire for request in sequence)
    server = asyncio.run(sent([head, *cut(following, lengths)], False))
    assert server.statuses() == [status]
    assert b"connection: close\r\n" in server.wire.written
    assert server.wire.ended
    assert server.log.values == []


@given(st.lists(requests, min_size=1, max_size=8), st.integers(0, 3000))
def test_connection_that_is_lost_anywhere_leaves_no_slot_taken(sequence: list[Request], length: int) -> None:
    async def lost() -> Server:
        server = Server()
        data = b"".join(request.wire for request in sequence)[:length]
        if data:
            server.connection.data_received(data)
        server.wire.closing = True
        server.wire.protocol.connection_lost(None)
        await server.settle()
        return server

    server = asyncio.run(lost())
    assert server.slots.taken == 0
    assert server.connections == set()


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=5))
def test_bytes_of_any_kind_break_nothing(pieces: list[bytes]) -> None:
    async def fed() -> Server:
        server = Server()
        for piece in (b"POST %b HTTP/1.1\r\n" % PATH, *pieces):
            if not server.wire.closing:
                server.wire.protocol.data_received(piece)
        server.wire.protocol.connection_lost(None)
        await server.settle()
        return server

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("paynotify.ingest.connection.event", lambda *_, **more: pytest.fail(str(more)))
        server = asyncio.run(fed())
    assert server.slots.taken == 0
