"""Any sequence of requests, cut anywhere, with acknowledgements at any time: one right response each, in order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.app import Ingress
from ingest.connection import BoundedConnection, bounded
from ingest.limits import Slots
from ingest.metrics import IngestMetrics
from ingest.notification import RecordHeaders
from ingest.record_group import Told
from schemas.configuration.load import parse
from schemas.ingress import RequestOutcome
from schemas.providers import provider_names

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
    bodies.map(lambda body: Request(post(body, chunked, *offer), 200, body)),
    bodies.map(lambda body: Request(post(body, path=b"/other"), 404)),
    bodies.map(lambda body: Request(post(body + b"x" * 1001), 413)),
    bodies.map(lambda body: Request(post(body + b"x" * 1001, chunked), 413)),
    st.just(Request(b"PUT %b HTTP/1.1\r\nhost: x\r\n\r\n" % PATH, 405)),
    bodies.map(lambda body: Request(post(body, b"connection: close"), 200, body, last=True)),
    st.just(Request(post(b"", b"x: " + b"y" * 2000), 431, last=True)),
    st.just(Request(b"\x16\x03\x01 no http\r\n\r\n", 400, last=True)),
)


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.closing = self.paused = False

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.1", 40_000) if name == "peername" else None

    def write(self, data: bytes) -> None:
        assert not self.closing
        self.written += data

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
        self.connections: set[BoundedConnection] = set()
        meters = IngestMetrics(provider_names(), tuple(outcome.value for outcome in RequestOutcome))
        kind = bounded(
            Ingress(CONFIGURATION, self.log, self.slots, meters),
            max_head_bytes=2000,
            max_body_bytes=1000,
            read_seconds=10.0,
            keep_alive_seconds=30.0,
            max_connections=10,
        )
        self.wire = Wire()
        self.connection = kind(server_state=self)  # type: ignore[arg-type]  # only its connections are used
        self.connection.connection_made(self.wire)

    async def settle(self) -> None:
        """Let everything that was sent be handled, and acknowledged."""
        for _ in range(200):
            await asyncio.sleep(0)
            self.log.acknowledge()


async def sent(sequence: list[Request], cuts: list[int], acknowledge: bool) -> Server:
    """Send the requests in pieces of these lengths; acknowledge in between, or only when nothing more is read."""
    server = Server()
    data = b"".join(request.wire for request in sequence)
    while data and not server.wire.closing:
        if server.wire.paused or acknowledge:
            server.log.acknowledge()
        await asyncio.sleep(0)
        if not server.wire.paused:
            length = cuts.pop(0) if cuts else len(data)
            server.connection.data_received(data[:length])
            data = data[length:]
    await server.settle()
    return server


@given(st.lists(requests, min_size=1, max_size=8), st.lists(st.integers(1, 400), max_size=30), st.booleans())
def test_requests_get_their_responses_in_order_however_they_are_cut(
    sequence: list[Request], cuts: list[int], acknowledge: bool
) -> None:
    server = asyncio.run(sent(sequence, cuts, acknowledge))
    answered: list[Request] = []
    for request in sequence:
        answered.append(request)
        if request.last:
            break
    statuses = [int(part[:3]) for part in server.wire.written.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [request.status for request in answered]
    assert server.log.values == [request.value for request in answered if request.value is not None]
    assert server.wire.closing is answered[-1].last
    assert server.slots.taken == 0


@given(st.lists(requests, min_size=1, max_size=8), st.integers(0, 3000))
def test_connection_that_is_lost_anywhere_leaves_no_slot_taken(sequence: list[Request], length: int) -> None:
    async def lost() -> Server:
        server = Server()
        data = b"".join(request.wire for request in sequence)[:length]
        if data:
            server.connection.data_received(data)
        server.wire.closing = True
        server.connection.connection_lost(None)
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
                server.connection.data_received(piece)
        server.connection.connection_lost(None)
        await server.settle()
        return server

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingest.connection.event", lambda *_, **more: pytest.fail(str(more)))
        server = asyncio.run(fed())
    assert server.slots.taken == 0
