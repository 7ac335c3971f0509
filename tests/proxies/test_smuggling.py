"""Odd and hidden requests through real proxies: the ingress sees the requests that the proxy sent, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fakes.listening_ingress import DEADLINE_SECONDS, Site, listening
from tests.fakes.odd_requests import BODY, PATH, REQUESTS, chunked, plain
from tests.proxies.pooling import Client, pooling

CONFIGURATION: Final = """
sandbox: true
ingest: {max_body_bytes: 1000, trusted_proxies: [127.0.0.1]}
merchants:
  - {id: shop-nl, provider: omnikassa, poi_id: 1, base_url: "https://nl.example", signing_keys: [{value: k}]}
"""
WAYS: Final = {
    "nginx": ("nginx", ""),
    "nginx without buffers": ("nginx", "proxy_request_buffering off;"),
    "haproxy": ("haproxy", ""),
}
#: What an attacker wants the ingress to take for a request of its own. No proxy has added its header to it.
HIDDEN: Final = plain("content-length: 8", body=b"smuggled")
#: A chunk with it, and one that ends the body before it.
IN_CHUNK: Final = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
AFTER_CHUNKS: Final = b"0\r\n\r\n" + HIDDEN

#: Ways to write `Transfer-Encoding: chunked` that one reader may know and another not.
DISGUISES: Final = (
    "transfer-encoding: chunked",
    "transfer-encoding : chunked",
    "transfer-encoding: xchunked",
    "transfer-encoding: chunked\x0b",
    "transfer-encoding:\x0bchunked",
    "transfer-encoding: \x00chunked",
    "transfer-encoding: identity, chunked",
    "transfer-encoding: chunked, identity",
    "transfer-encoding: x\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ntransfer-encoding: x",
    "transfer-encoding:\r\n chunked",
    "transfer-encoding\r\n : chunked",
    "x: y\rtransfer-encoding: chunked",
    "x: y\ntransfer-encoding: chunked",
    "transfer_encoding: chunked",
    "transfer-encoding: 'chunked'",
    "transfer-encoding: chunk",
    "\ttransfer-encoding: chunked",
    "connection: transfer-encoding\r\ntransfer-encoding: chunked",
)


def attacks() -> Iterator[bytes]:
    """Requests with a hidden one, which is a body or a part of one for some readers."""
    for disguise in DISGUISES:
        yield plain(disguise, f"content-length: {len(AFTER_CHUNKS)}", body=AFTER_CHUNKS)
        yield plain(f"content-length: {len(AFTER_CHUNKS)}", disguise, body=AFTER_CHUNKS)
        yield plain(disguise, "content-length: 4", body=IN_CHUNK)
        yield plain("content-length: 4", disguise, body=IN_CHUNK)
    length = f"content-length: {len(HIDDEN)}"
    for other in ("content-length: 0", "content-length: +0", "content-length : 0", "content_length: 0", "x: y"):
        yield plain(other, length, body=HIDDEN)
        yield plain(length, other, body=HIDDEN)
    for value in (f"0, {len(HIDDEN)}", f"{len(HIDDEN)}, 0", f"+{len(HIDDEN)}", f"0{len(HIDDEN)}", f"{len(HIDDEN)}\x0b"):
        yield plain(f"content-length: {value}", body=HIDDEN)
    # answered before the body is read
    for line in ("POST /other HTTP/1.1", f"PUT {PATH} HTTP/1.1", f"GET {PATH} HTTP/1.1", f"POST {PATH} HTTP/1.1"):
        for more in ("x: y", "expect: 100-continue", "expect: x", "connection: upgrade\r\nupgrade: h2c"):
            yield plain(more, length, body=HIDDEN, line=line)
            yield plain(more, "transfer-encoding: chunked", body=IN_CHUNK, line=line)
    yield plain(f"content-length: {len(HIDDEN) + 2000}", body=b"x" * 2000 + HIDDEN)
    for first in (
        b"1;\nx\r\nok\r\n",
        b"2;a=\nok\r\n",
        b"2\nok\r\n",
        b"1\r\nok\r\n",
        b"2\r\nok",
        b"10000000000000002\r\nok\r\n",
    ):
        yield chunked("transfer-encoding: chunked", body=first + AFTER_CHUNKS[:5] + b"0\r\n\r\n")
        yield chunked("transfer-encoding: chunked", body=first + IN_CHUNK)
    yield chunked("transfer-encoding: chunked", body=b"2\r\nok\r\n0\r\nx: y\r\n " + HIDDEN + b"\r\n\r\n")


class Watched:
    """An ingress whose calls are seen as they begin."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site = site
        self.begun: list[tuple[str, dict[bytes, bytes]]] = []
        before = site.ingress.begin

        def begin(call: Any) -> None:
            self.begun.append((call.path, call.fields))
            before(call)

        monkeypatch.setattr(site.ingress, "begin", begin)

    def not_sent_by_the_proxy(self) -> list[tuple[str, dict[bytes, bytes]]]:
        return [(path, fields) for path, fields in self.begun if b"x-forwarded-for" not in fields]


async def told(port: int, sent: bytes) -> bytes:
    """All that a caller gets which sends nothing more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        writer.write_eof()
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("way", WAYS)
async def test_hidden_request_reaches_nobody_behind_a_proxy(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, more = WAYS[way]
    async with listening(CONFIGURATION) as site, pooling(name, tmp_path, [site.port], more=more) as port:
        watched = Watched(site, monkeypatch)
        for number, attack in enumerate(attacks()):
            await told(port, attack)
            # the next caller on the proxy's connections gets the answer to its own call
            for victim in (b"victim %d" % number, b"other %d" % number):
                client = Client(port)
                assert await client.post(PATH.encode(), victim) == 200, attack
                client.close()
                assert site.log.values.count(victim) == 1, attack
            assert watched.not_sent_by_the_proxy() == [], attack
    assert number > 100


@pytest.mark.parametrize("way", WAYS)
async def test_odd_requests_disturb_no_other_call_behind_a_proxy(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, more = WAYS[way]
    async with listening(CONFIGURATION) as site, pooling(name, tmp_path, [site.port], more=more) as port:
        watched = Watched(site, monkeypatch)
        for row, variants in REQUESTS.items():
            for sent in variants:
                site.log.values.clear()
                response = await told(port, sent)
                assert set(site.log.values) <= {BODY, b""}, row
                assert b" 200 " not in response or site.log.values, row
                client = Client(port)
                assert await client.post(PATH.encode(), b"next") == 200, row
                client.close()
                assert site.log.values.count(b"next") == 1, row
        assert watched.not_sent_by_the_proxy() == []
