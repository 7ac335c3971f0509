"""The management port answers strangers' requests without repeating a word of them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from paynotify.service.management import Management

MARK = b"L3AK"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    one = Management("ingest", "127.0.0.1:0", CollectorRegistry(), lambda: None, lambda: None)
    one.start()
    yield one.port
    one.stop()


def answer(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        parts = []
        with contextlib.suppress(OSError):  # it does not read all of an endless request
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"%b / HTTP/1.1\r\n\r\n" % MARK,
        b"POST /%b HTTP/1.1\r\nContent-Length: 0\r\n\r\n" % MARK,
        b"GET /%b HTTP/1.1\r\nCookie: %b\r\n\r\n" % (MARK, MARK),
        b"GET /livez?%b HTTP/1.1\r\n\r\n" % MARK,
        b"GET / HTTP/%b\r\n\r\n" % MARK,
        b"GET / HTTP/9.9 %b\r\n\r\n" % MARK,
        b"%b\r\n\r\n" % MARK,
        b"\x16\x03\x01\x02\x00%b\r\n\r\n" % MARK,
        b"GET /%b HTTP/1.1\r\n\r\n" % (MARK * 20_000),
        b"GET / HTTP/1.1\r\n" + b"X-%b: 1\r\n" % MARK * 200 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + MARK * 20_000 + b"\r\n\r\n",
    ],
)
def test_management_responses_repeat_nothing_of_the_request(
    port: int, request_bytes: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    assert MARK not in answer(port, request_bytes)
    assert b" 200 " in answer(port, b"GET /livez HTTP/1.0\r\n\r\n")
    said = capfd.readouterr()
    assert MARK.decode() not in said.out + said.err
