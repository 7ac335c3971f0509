"""The proxy breaks what it is told to break, and carries all else unchanged."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from paynotify.sandbox.processes import wait_for
from tests.fault.proxy import Proxy

SECONDS = 10.0
SILENCE_SECONDS = 0.3


class Echo:
    """Sends everything back; knows how its connections ended."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.ended: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1000):
                    connection.sendall(data)
                self.ended.append("closed")
            except ConnectionResetError:
                self.ended.append("reset")

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    one = Echo()
    yield one
    one.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as one:
        yield one


def connected(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=SECONDS)


def said_back(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    return connection.recv(1000)


def said_nothing(connection: socket.socket) -> bool:
    try:
        return said_back(connection, b"hello") == b""
    except OSError:
        return True


def test_bytes_pass_unchanged_and_the_way_round_stays_the_same(proxy: Proxy, echo: Echo) -> None:
    address = proxy.detour(echo.address)
    assert proxy.detour(echo.address) == address != echo.address
    with closing(connected(address)) as connection:
        assert said_back(connection, b"hello") == b"hello"
    assert wait_for(lambda: echo.ended == ["closed"], within_seconds=SECONDS)


def test_reset_reaches_both_ends(proxy: Proxy, echo: Echo) -> None:
    with closing(connected(proxy.detour(echo.address))) as connection:
        assert said_back(connection, b"hello") == b"hello"
        assert proxy.reset([echo.address]) == 1
        with pytest.raises(ConnectionResetError):
            said_back(connection, b"hello")
    assert wait_for(lambda: echo.ended == ["reset"], within_seconds=SECONDS)


def test_half_open_connection_is_silent_and_its_far_end_learns_nothing(proxy: Proxy, echo: Echo) -> None:
    address = proxy.detour(echo.address)
    with closing(connected(address)) as connection:
        assert said_back(connection, b"hello") == b"hello"
        assert proxy.half_open([echo.address]) == 1
        connection.settimeout(SILENCE_SECONDS)
        with pytest.raises(TimeoutError):
            said_back(connection, b"hello")
    with closing(connected(address)) as other:
        assert said_back(other, b"new ones are well") == b"new ones are well"
        assert echo.ended == []


def test_cut_connection_carries_nothing_until_it_is_healed(proxy: Proxy, echo: Echo) -> None:
    address = proxy.detour(echo.address)
    proxy.cut([echo.address])
    with closing(connected(address)) as connection:
        assert said_nothing(connection)
    proxy.heal()
    with closing(connected(address)) as connection:
        assert said_back(connection, b"hello") == b"hello"


def test_proxy_resets_the_named_targets_alone(proxy: Proxy, echo: Echo) -> None:
    with closing(connected(proxy.detour(echo.address))) as connection:
        assert said_back(connection, b"hello") == b"hello"
        assert proxy.reset(["127.0.0.1:1"]) == 0
        assert said_back(connection, b"hello") == b"hello"


def test_latency_is_added_in_each_direction(proxy: Proxy, echo: Echo) -> None:
    with closing(connected(proxy.detour(echo.address))) as connection:
        assert said_back(connection, b"hello") == b"hello"
        proxy.slow([echo.address], SILENCE_SECONDS)
        connection.settimeout(SILENCE_SECONDS)
        with pytest.raises(TimeoutError):
            said_back(connection, b"hello")
        connection.settimeout(SECONDS)
        assert connection.recv(1000) == b"hello"
