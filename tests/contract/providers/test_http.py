"""One HTTP exchange against answers no provider should give: bounded, closed words, never a redirect."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from datetime import timedelta
from email.utils import format_datetime
from typing import Final

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.http import basic_authorization, exchange, response_object
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.providers.response_record import response_record
from paynotify.schemas.configuration.secrets import Secret, SecretRef
from paynotify.schemas.errors import (
    PermanentError,
    ProviderRefusedError,
    ProviderUnavailableError,
    RateLimitedError,
    RetryableError,
    UnreadableError,
)
from tests.fakes.accounts import NOW, TRANSACTION, account, response, waiting
from tests.fakes.gateway import Scripted, json_answer, serving, world

LATER: Final = "2026-06-01T12:10:00Z"
BOMB = gzip.compress(b"0" * 50_000_000)
CUT = gzip.compress(b"{}")[:-4]


async def _slow(request: web.Request, body: bytes) -> web.StreamResponse:
    """Sends its headers at once and its body never."""
    answer = web.StreamResponse(headers={"Content-Length": "10"})
    await answer.prepare(request)
    await answer.write(b"{")
    await asyncio.sleep(30)
    return answer


async def _cut(request: web.Request, body: bytes) -> web.StreamResponse:
    """Promises more than it sends."""
    answer = web.StreamResponse(headers={"Content-Length": "10"})
    await answer.prepare(request)
    await answer.write(b"{")
    assert request.transport is not None
    request.transport.close()
    return answer


async def _endless(request: web.Request, body: bytes) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b"0" * 65536)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(_slow, "no complete response within 0.5 s", id="slow"),
        pytest.param(_cut, "broke off", id="cut"),
        pytest.param(_endless, "longer than 1000 bytes", id="endless"),
        pytest.param(json_answer(b"0" * 1001), "longer than 1000 bytes", id="oversized"),
        pytest.param(json_answer(BOMB, headers={"Content-Encoding": "gzip"}), "longer than 1000 bytes", id="gzip bomb"),
        pytest.param(json_answer(BOMB[:900], headers={"Content-Encoding": "gzip"}), "longer than 1000", id="cut bomb"),
        pytest.param(
            json_answer(gzip.compress(b"{}")[:-4], headers={"Content-Encoding": "gzip"}),
            "end is missing",
            id="cut gzip",
        ),
        pytest.param(json_answer(b"no gzip", headers={"Content-Encoding": "gzip"}), "decompress", id="no gzip"),
        pytest.param(json_answer(b"\x8b\x00", headers={"Content-Encoding": "br"}), "content encoding", id="brotli"),
        pytest.param(json_answer(b"{}", 302, {"Location": "https://elsewhere.example/"}), "HTTP 302", id="redirect"),
        pytest.param(json_answer(b"<html>secret</html>", 500), "HTTP 500", id="error page"),
    ],
)
async def test_unusable_response_means_unavailable(answer: Scripted, words: str) -> None:
    async with serving(answer) as gateway, world() as here:
        # the others must not be slow by the machine alone
        context = here.call_context(max_response_bytes=1000, timeout_seconds=0.5 if answer is _slow else 30.0)
        with pytest.raises(ProviderUnavailableError, match=words):
            await exchange(context, "GET", gateway.url + "/", headers={})
    assert len(gateway.seen) == 1


async def test_refused_connection_means_unavailable() -> None:
    async with serving(json_answer("{}")) as gateway:
        closed = gateway.url
    async with world() as here:
        with pytest.raises(ProviderUnavailableError, match="broke off"):
            await exchange(here.call_context(), "GET", closed + "/", headers={})


async def test_compressed_answer_is_decoded() -> None:
    async with (
        serving(json_answer(gzip.compress(b'{"a":1}'), headers={"Content-Encoding": "gzip"})) as gateway,
        world() as here,
    ):
        reply = await exchange(here.call_context(), "POST", gateway.url + "/", headers={}, content=b"x")
    assert reply.body == b'{"a":1}'
    assert gateway.seen[0].body == b"x"


@pytest.mark.parametrize(("method", "content"), [("GET", None), ("POST", b"x=1")])
async def test_request_has_the_calls_headers_and_no_others(method: str, content: bytes | None) -> None:
    own = {"Authorization": "Bearer t", "User-Agent": "Result | host"}
    async with serving(json_answer("{}")) as gateway, world() as here:
        for _ in range(2):
            await exchange(here.call_context(), method, gateway.url + "/a?b=%20", headers=own, content=content)
    assert gateway.seen[0] == gateway.seen[1]
    seen = gateway.seen[0]
    fixed = {"Accept": "application/json", "Accept-Encoding": "gzip", "Connection": "keep-alive"}
    length = {} if content is None else {"Content-Length": "3", "Content-Type": "application/octet-stream"}
    host = {"Host": gateway.url.removeprefix("http://")}
    assert dict(seen.headers) == {**host, **fixed, **own, **length}
    assert (seen.method, seen.path, seen.body) == (method, "/a?b=%20", content or b"")


async def test_cookies_are_not_kept() -> None:
    """Merchants share the client; one's session must not become another's."""
    async with serving(json_answer("{}", headers={"Set-Cookie": "session=1"})) as gateway, world() as here:
        for _ in range(2):
            await exchange(here.call_context(), "GET", gateway.url + "/", headers={})
    assert "Cookie" not in gateway.seen[1].headers


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("999999999", 86400.0),
        ("soon", None),
        ("-1", None),
        ("", None),
    ],
)
async def test_patience_is_read_and_bounded(header: str, seconds: float | None) -> None:
    async with serving(json_answer("{}", 429, headers={"Retry-After": header})) as gateway, world() as here:
        with pytest.raises(RateLimitedError) as busy:
            await exchange(here.call_context(), "GET", gateway.url + "/", headers={})
    assert busy.value.retry_after_seconds == seconds


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"1", b'"x"', b"{", b"\xff", b"NaN"])
def test_response_that_is_no_json_object_means_unavailable(body: bytes) -> None:
    with pytest.raises(ProviderUnavailableError):
        response_object(response(body))


def _authorization(secret: SecretRef) -> str:
    return basic_authorization("u", Account(account("nevogate").merchant, {secret: Secret(secret)}), secret)


@pytest.mark.parametrize(("password", "header"), [("é", "Basic dTrp"), ("€", "Basic dTrigqw=")])
def test_credentials_are_latin_1_where_they_fit(password: str, header: str) -> None:
    assert _authorization(SecretRef(value=password)) == header


def test_secret_that_can_not_be_read_delays_its_own_call_only() -> None:
    with pytest.raises(ProviderUnavailableError, match="PAYNOTIFY_TEST_NOT_SET"):
        _authorization(SecretRef(env="PAYNOTIFY_TEST_NOT_SET"))


SPECS: Final = provider_specs()


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("encoding", ["gzip", "br", "", None])
@pytest.mark.parametrize(
    ("provider", "url_key", "arguments"),
    [
        ("omnikassa", "base_url", {"event": "merchant.order.status.changed", "token": "a.b.c", "expires": LATER}),
        ("trustpayments", "webservices_url", {}),
        ("nevogate", "base_url", {}),
    ],
)
async def test_refusal_with_an_empty_body_is_about_credentials_whatever_its_encoding(
    provider: str, url_key: str, arguments: dict[str, str], encoding: str | None, status: int
) -> None:
    headers = {} if encoding is None else {"Content-Encoding": encoding}
    reference = {"omnikassa": None, "trustpayments": "57-9-2204417", "nevogate": TRANSACTION}[provider]
    async with serving(json_answer(b"", status, headers=headers)) as gateway, world() as here:
        shop = account(provider, **{url_key: gateway.url + "/"})
        spec = SPECS[provider].provider
        (call,) = spec.calls([waiting(provider, reference, **arguments)], here.call_context())
        with pytest.raises(ProviderRefusedError) as refused:
            await spec.fetch(call, shop, here.call_context(), here.store)
    assert refused.value.reason == "credentials"
    assert here.stored == []


NOTHING_ZIPPED: Final = gzip.compress(b"", mtime=0)
HEADERS: Final = st.dictionaries(
    st.sampled_from(["Content-Type", "Content-Encoding", "Retry-After", "X-Odd", "Content-Language"]),
    st.one_of(
        st.sampled_from(["gzip", "br", "deflate", "identity", "", "application/json", "text/html; charset=\xff", "-1"]),
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=300),
    ),
)
BODIES: Final = st.one_of(
    st.binary(max_size=300),
    st.sampled_from(
        [b"", b"{}", b"[]", b"null", b'{"a":"\\ud800"}', b"\xef\xbb\xbf{}", b"[" * 2000, gzip.compress(b"{}")]
    ),
    st.binary(max_size=300).map(lambda body: gzip.compress(body, mtime=0)),
    st.binary(max_size=300).map(lambda body: gzip.compress(body)[:-3]),
)


def _raw(status: int, headers: dict[str, str], body: bytes, framing: str) -> bytes:
    """An answer byte for byte, so that the transport meets what no server library would send."""
    head = f"HTTP/1.1 {status} X\r\n".encode()
    head += b"".join(f"{name}: ".encode() + value.encode("latin-1") + b"\r\n" for name, value in headers.items())
    if framing == "chunked":
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body) or 1, body or b"0")
    length = len(body) + (7 if framing == "short" else 0)
    return head + f"Content-Length: {length}\r\n".encode() * (framing != "none") + b"Connection: close\r\n\r\n" + body


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    status=st.sampled_from([200, 201, 204, 206, 301, 400, 401, 403, 404, 418, 429, 500, 503, 999]),
    headers=HEADERS,
    body=BODIES,
    framing=st.sampled_from(["length", "chunked", "short", "none"]),
)
def test_any_http_answer_is_a_response_or_an_error_of_ours(
    status: int, headers: dict[str, str], body: bytes, framing: str
) -> None:
    raw = _raw(status, headers, body, framing)

    async def ask() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(raw)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with server, world() as here:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            shop = account("omnikassa", base_url=url)
            arguments = {"event": "merchant.order.status.changed", "token": "a.b.c", "expires": LATER}
            (call,) = SPECS["omnikassa"].provider.calls([waiting("omnikassa", **arguments)], here.call_context())
            with contextlib.suppress(PermanentError, RetryableError):
                await SPECS["omnikassa"].provider.fetch(call, shop, here.call_context(), here.store)
            if status == 200 and body and body != NOTHING_ZIPPED:
                assert len(here.stored) == 1
            for one in here.stored:
                assert response_record("t", "omnikassa", "shop", one).value == one.body
                with pytest.raises(UnreadableError):
                    SPECS["omnikassa"].provider.interpret(one, shop)

    asyncio.run(ask())
