"""A provider's side that is not the provider: certificates nobody vouches for, and answers that are no HTTP."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from paynotify.processors.providers.http import exchange
from paynotify.sandbox.certificates import Authority, Issued
from paynotify.schemas.errors import ProviderUnavailableError, RetryableError
from tests.fakes.gateway import world

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
SECONDS = 1.0


@asynccontextmanager
async def speaking(answer: bytes, *, again: bool = False, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that says ``answer`` once it has heard something, for ever if ``again``; its address."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(65536)
            writer.write(answer)
            await writer.drain()
            while again:
                writer.write(answer)
                await writer.drain()
            writer.close()
        except OSError:
            return

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{port}/"
    finally:
        server.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def context_of(issued: Issued) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.certificate, issued.key)
    return context


async def test_certificate_of_a_known_authority_for_the_right_name_is_accepted(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the refusals below would prove nothing."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    async with speaking(ANSWER, context=context_of(authority.issue("right"))) as url, world() as here:
        assert (await exchange(here.call_context(), "GET", url, headers={})).body == b"{}"


async def test_certificate_of_an_unknown_authority_is_refused(authority: Authority) -> None:
    async with speaking(ANSWER, context=context_of(authority.issue("unknown"))) as url, world() as here:
        with pytest.raises(ProviderUnavailableError, match="broke off"):
            await exchange(here.call_context(), "GET", url, headers={"Authorization": "Bearer secret"})


async def test_certificate_for_another_name_is_refused(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    async with speaking(ANSWER, context=context_of(authority.issue("other", "127.0.0.2"))) as url, world() as here:
        with pytest.raises(ProviderUnavailableError, match="broke off"):
            await exchange(here.call_context(), "GET", url, headers={})


async def test_certificate_that_signed_itself_is_refused(tmp_path: Path) -> None:
    own = Authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(own.certificate, tmp_path / "authority.key")
    async with speaking(ANSWER, context=context) as url, world() as here:
        with pytest.raises(ProviderUnavailableError, match="broke off"):
            await exchange(here.call_context(), "GET", url, headers={})


@pytest.mark.parametrize("old", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
async def test_tls_of_the_last_century_is_refused(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, old: ssl.TLSVersion
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    context = context_of(authority.issue("old"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = old
    async with speaking(ANSWER, context=context) as url, world() as here:
        with pytest.raises(ProviderUnavailableError, match="broke off"):
            await exchange(here.call_context(), "GET", url, headers={})


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "again"),
    [
        pytest.param(b"", False, id="nothing"),
        pytest.param(b"\0" * 1000, False, id="NUL"),
        pytest.param(b"a" * 1000, True, id="no status for ever"),
        pytest.param(b"HTTP/1.1 200 " + b"a" * 100_000, True, id="an endless reason"),
        pytest.param(HEAD, False, id="half a head"),
        pytest.param(HEAD + b"X: 1\r\n" * 100_000, True, id="endless headers"),
        pytest.param(HEAD + b"X: " + b"a" * 100_000, True, id="one endless header"),
        pytest.param(HEAD + b"Content-Length: -1\r\n\r\n{}", False, id="a negative length"),
        pytest.param(HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n{}", False, id="a length beyond all"),
        pytest.param(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", False, id="two lengths"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", False, id="a chunk of no size"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", False, id="a huge chunk"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 90_000, True, id="an endless extension"),
        pytest.param(HEAD + b"\xff\xfe: \xff\r\n\r\n", False, id="headers that are no text"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", True, id="continue for ever"),
        pytest.param(b"HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n", False, id="an unheard status"),
        pytest.param(
            b"HTTP/1.1 301 M\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", False, id="moved"
        ),
        pytest.param(b"\x16\x03\x01\x02\x00\x01" * 50, False, id="TLS where none is"),
    ],
)
async def test_bytes_that_are_no_answer_end_soon_in_an_error_of_ours(answer: bytes, again: bool) -> None:
    async with speaking(answer, again=again) as url, world() as here:
        began = time.monotonic()
        with pytest.raises(RetryableError):
            await exchange(here.call_context(max_response_bytes=1000, timeout_seconds=SECONDS), "GET", url, headers={})
        assert time.monotonic() - began < 20 * SECONDS, "it has an end, also on a busy machine"


@pytest.mark.parametrize(
    "make",
    [lambda url: url + "\0", lambda url: url.replace("127.0.0.1", "127.0.0.1:1:1"), lambda url: "https://\ud800/"],
)
async def test_address_that_is_none_is_an_error_of_ours_too(make: Callable[[str], str]) -> None:
    async with speaking(ANSWER) as url, world() as here:
        with pytest.raises(RetryableError):
            await exchange(here.call_context(), "GET", make(url), headers={})
