"""The PROXY protocol on real connections: the header in pieces, in front of HTTP and of nothing else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.ingest.proxy_header import HEAD_BYTES, ProxyHeaderError, rest_bytes, source
from tests.fakes.listening_ingress import DEADLINE_SECONDS, Site, listening

SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
CONFIGURATION: Final = """
sandbox: true
ingest: {trusted_proxies: [127.0.0.0/8], proxy_protocol: true, body_deadline_seconds: 0.5}
merchants:
  - {id: shop-nl, provider: omnikassa, poi_id: 1, base_url: "https://nl.example", signing_keys: [{value: k}],
     callers: [203.0.113.0/24, "2001:db8::/32"]}
"""
CALL: Final = b"POST /notifications/omnikassa/shop-nl HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok"


def header(kind: int, addresses: bytes, command: int = 0x21, more: bytes = b"") -> bytes:
    rest = addresses + more
    return SIGNATURE + bytes((command, kind)) + len(rest).to_bytes(2, "big") + rest


def told_by_ipv4(address: str, more: bytes = b"") -> bytes:
    return header(0x11, socket.inet_aton(address) + socket.inet_aton("10.0.0.1") + b"\x12\x34\x01\xbb", more=more)


def told_by_ipv6(address: str) -> bytes:
    return header(0x21, socket.inet_pton(socket.AF_INET6, address) + bytes(16) + b"\x12\x34\x01\xbb")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with listening(CONFIGURATION) as found:
        yield found


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (told_by_ipv4("203.0.113.9"), b"200"),
        (told_by_ipv4("203.0.113.9", more=b"\x04\x00\x03abc"), b"200"),
        (told_by_ipv4("198.51.100.9"), b"403"),
        (told_by_ipv6("2001:db8::9"), b"200"),
        (told_by_ipv6("2001:db9::9"), b"403"),
        (told_by_ipv6("::ffff:203.0.113.9"), b"200"),
        (header(0x00, b"", 0x20), b"403"),
        (header(0x11, bytes(12), 0x20), b"403"),
        (header(0x00, b""), b"403"),
        (header(0x31, bytes(216)), b"403"),
    ],
)
async def test_header_says_who_called(site: Site, first: bytes, status: bytes) -> None:
    assert (await site.say(first + CALL))[9:12] == status
    assert site.log.values == ([b"ok"] if status == b"200" else [])


@pytest.mark.parametrize(
    "first",
    [
        CALL,
        b"PROXY TCP4 203.0.113.9 10.0.0.1 4660 443\r\n" + CALL,
        header(0x11, b"\x01" * 11),
        header(0x99, bytes(12)),
        header(0x11, bytes(12), 0x22),
        SIGNATURE + b"\x21\x11\xff\xff",
        b"\x00" * 16,
    ],
)
async def test_connection_without_a_readable_header_is_closed(
    site: Site, first: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await site.say(first)
    await site.until(lambda: not site.connections)
    assert site.log.values == []
    assert "proxy_header_refused" in caplog.text


async def test_connection_that_never_ends_its_header_is_closed(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(told_by_ipv4("203.0.113.9")[:-1])
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await reader.read() == b""
    writer.close()


async def test_header_of_a_stranger_is_not_believed() -> None:
    """A stranger speaks HTTP; where a header is, there is no request that could be read."""
    configuration = CONFIGURATION.replace("127.0.0.0/8", "192.0.2.0/24")
    async with listening(configuration) as site:
        assert (await site.say(told_by_ipv4("203.0.113.9") + CALL))[9:12] == b"400"
        assert (await site.say(CALL))[9:12] == b"403"
        assert site.log.values == []


async def test_calls_after_the_header_are_read_however_it_is_cut(site: Site) -> None:
    whole = told_by_ipv4("203.0.113.9", more=b"\x04\x00\x03abc") + CALL + CALL
    for at in range(1, len(whole) - 1, 7):
        site.log.values.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(whole[:at])
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(whole[at:])
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert [(await reader.readuntil(b"\r\n\r\n"))[9:12] for _ in range(2)] == [b"200"] * 2
        writer.close()
        assert site.log.values == [b"ok", b"ok"]


async def test_server_stops_while_a_header_is_owed(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(SIGNATURE)
    site.server.should_exit = True
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await reader.read() == b""
    writer.close()


@given(st.binary(min_size=HEAD_BYTES, max_size=HEAD_BYTES), st.binary(max_size=300), st.booleans())
def test_bytes_of_any_kind_are_an_address_or_refused(head: bytes, rest: bytes, signed: bool) -> None:
    if signed:
        head = SIGNATURE + head[12:]
    try:
        length = rest_bytes(head)
        found = source(head, rest[:length])
    except ProxyHeaderError:
        return
    assert length <= 4096
    assert found is None or "." in found or ":" in found
