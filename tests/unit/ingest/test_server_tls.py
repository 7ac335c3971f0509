"""TLS at the ingress itself: calls over it, certificates that are replaced, and the PROXY protocol before it."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from paynotify.ingest.server_tls import ServerTLS
from paynotify.sandbox.certificates import Authority, Issued
from paynotify.schemas.errors import ConfigurationError
from tests.fakes.listening_ingress import DEADLINE_SECONDS, Site, listening
from tests.unit.ingest.test_proxy_header import told_by_ipv4

CALL: Final = b"POST /notifications/omnikassa/shop-nl HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def issued(authority: Authority) -> Issued:
    return authority.issue("first")


def configured(issued: Issued, more: str = "") -> str:
    return f"""
sandbox: true
ingest: {{tls_certfile: "{issued.certificate}", tls_keyfile: "{issued.key}", body_deadline_seconds: 1, {more}}}
merchants:
  - {{id: shop-nl, provider: omnikassa, poi_id: 1, base_url: "https://nl.example", signing_keys: [{{value: k}}],
      callers: [127.0.0.0/8, 203.0.113.0/24]}}
"""


@pytest.fixture
async def site(issued: Issued) -> AsyncIterator[Site]:
    async with listening(configured(issued)) as found:
        yield found


def client(authority: Authority, **versions: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])
    for name, version in versions.items():
        setattr(context, name, version)
    return context


async def told(port: int, context: ssl.SSLContext, sent: bytes, first: bytes = b"") -> tuple[bytes, str | None, str]:
    """The response, the protocol agreed on, and the serial number of the certificate."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if first:
            writer.write(first)
        async with asyncio.timeout(DEADLINE_SECONDS):
            await writer.start_tls(context, server_hostname="127.0.0.1")
            writer.write(sent)
            response = await reader.readuntil(b"\r\n\r\n")
        layer = writer.get_extra_info("ssl_object")
        return response, layer.selected_alpn_protocol(), layer.getpeercert()["serialNumber"]
    finally:
        writer.close()


async def test_call_over_tls_is_stored(site: Site, authority: Authority) -> None:
    response, protocol, _ = await told(site.port, client(authority), CALL)
    assert response.startswith(b"HTTP/1.1 200 ")
    assert protocol == "http/1.1"
    assert site.log.values == [b"ok"]


async def test_large_body_over_tls_gets_its_answer(site: Site, authority: Authority) -> None:
    head = b"POST /notifications/omnikassa/shop-nl HTTP/1.1\r\nhost: x\r\ncontent-length: 500000\r\n\r\n"
    response, *_ = await told(site.port, client(authority), head + b"x" * 500_000)
    assert response.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in response


async def test_old_versions_and_plain_http_are_refused(site: Site, authority: Authority) -> None:
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await site.say(CALL)
    old = client(authority, minimum_version=ssl.TLSVersion.TLSv1_2, maximum_version=ssl.TLSVersion.TLSv1_2)
    assert (await told(site.port, old, CALL))[0].startswith(b"HTTP/1.1 200 ")
    assert site.log.values == [b"ok"]
    await site.until(lambda: not site.connections)


async def test_handshake_that_never_ends_is_cut(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"\x16\x03\x01")
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await reader.read() == b""
    writer.close()


async def test_replaced_certificate_is_used_without_a_restart(
    site: Site, authority: Authority, issued: Issued, caplog: pytest.LogCaptureFixture
) -> None:
    _, _, before = await told(site.port, client(authority), CALL)
    second = authority.issue("second")
    with caplog.at_level(logging.INFO):
        second.certificate.replace(issued.certificate)
        for _ in range(2):  # the key does not fit yet
            assert (await told(site.port, client(authority), CALL))[2] == before
        second.key.replace(issued.key)
        response, _, after = await told(site.port, client(authority), CALL)
    assert response.startswith(b"HTTP/1.1 200 ")
    assert after != before
    messages = [one.getMessage() for one in caplog.records]
    assert messages.count("changed_certificate_rejected") == 1
    assert messages.count("certificate_replaced") == 1


async def test_proxy_header_comes_before_the_handshake(issued: Issued, authority: Authority) -> None:
    async with listening(configured(issued, "trusted_proxies: [127.0.0.0/8], proxy_protocol: true")) as site:
        for caller, status in (("203.0.113.9", b"200"), ("198.51.100.9", b"403")):
            response, *_ = await told(site.port, client(authority), CALL, told_by_ipv4(caller))
            assert response[9:12] == status


def test_certificate_that_cannot_be_used_ends_the_start(issued: Issued, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ingest.tls_certfile .* No such file"):
        ServerTLS(str(tmp_path / "missing.pem"), str(issued.key))
    issued.key.write_text("no key", "utf-8")
    with pytest.raises(ConfigurationError, match="no usable PEM"):
        ServerTLS(str(issued.certificate), str(issued.key))
