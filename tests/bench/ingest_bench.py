"""Load on the ingress: requests over keep-alive connections, each sent when the one before is answered.

The generator is a process of its own and as lean as Python allows (raw protocols, requests built before), so
that what is measured is the ingress and the brokers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import uvloop


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """One run. Latencies in milliseconds; ``refused`` counts every answer that is not a 200."""

    requests: int
    refused: int
    seconds: float
    p50_milliseconds: float
    p95_milliseconds: float
    p99_milliseconds: float

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds


class _Client(asyncio.Protocol):
    """One connection: the next request leaves when the answer's head is complete (answers have no body)."""

    def __init__(self, request: bytes, until: float, latencies: list[float], done: asyncio.Future[None]) -> None:
        self._request = request
        self._until = until
        self._latencies = latencies
        self._done = done
        self._buffer = b""
        self._sent_at = 0.0
        self.refused = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._buffer.endswith(b"\r\n\r\n"):
            return
        now = time.perf_counter()
        if self._buffer.startswith(b"HTTP/1.1 200 "):
            self._latencies.append(now - self._sent_at)
        else:
            self.refused += 1
        self._buffer = b""
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)


async def load(address: tuple[str, int], path: str, connections: int, body: bytes, seconds: float) -> LoadResult:
    """POST ``body`` to ``path`` over so many connections for so long."""
    return await load_each(address, path, [body] * connections, seconds)


async def load_each(address: tuple[str, int], path: str, bodies: Sequence[bytes], seconds: float) -> LoadResult:
    """POST to ``path`` over one connection for each body, the same body again and again, for so long."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    ends = [loop.create_future() for _ in bodies]
    begun = time.perf_counter()
    until = begun + seconds
    clients = [
        _Client(_request(address, path, body), until, latencies, end) for body, end in zip(bodies, ends, strict=True)
    ]
    for client in clients:
        await loop.create_connection(lambda client=client: client, *address)  # type: ignore[misc]  # lambda default
    await asyncio.wait_for(asyncio.gather(*ends), seconds + 30)
    elapsed = time.perf_counter() - begun
    latencies.sort()
    return LoadResult(
        requests=len(latencies),
        refused=sum(client.refused for client in clients),
        seconds=elapsed,
        p50_milliseconds=_percentile(latencies, 0.50),
        p95_milliseconds=_percentile(latencies, 0.95),
        p99_milliseconds=_percentile(latencies, 0.99),
    )


def _request(address: tuple[str, int], path: str, body: bytes) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nhost: {address[0]}:{address[1]}\r\nuser-agent: load\r\naccept: */*\r\n"
        f"content-type: application/x-www-form-urlencoded\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0


def main() -> None:
    """Print one run as JSON; run as a process of its own beside the ingress."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--body-bytes", type=int, default=600)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    result = asyncio.Runner(loop_factory=uvloop.new_event_loop).run(
        load_each(
            ("127.0.0.1", arguments.port),
            arguments.path,
            [_body(number, arguments.body_bytes) for number in range(arguments.connections)],
            arguments.seconds,
        )
    )
    print(json.dumps(asdict(result)))


def _body(number: int, length_bytes: int) -> bytes:
    """A form about a transaction of its own, so that the records spread over the partitions."""
    reference = b"transactionreference=57-9-%d&errorcode=0&filler=" % (2204417 + number)
    return reference.ljust(length_bytes, b"x")


if __name__ == "__main__":
    main()
