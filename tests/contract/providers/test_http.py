"""One HTTP exchange against answers no provider should give: bounded, closed words, never a redirect."""

from __future__ import annotations

import asyncio
import gzip
from datetime import timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from processors.providers.account import Account
from processors.providers.http import basic_authorization, exchange, response_object
from schemas.configuration.secrets import Secret, SecretRef
from schemas.errors import ProviderUnavailableError, RateLimitedError
from tests.fakes.accounts import NOW, account, response
from tests.fakes.gateway import Scripted, json_answer, serving, world

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
        pytest.param(json_answer(b"no gzip", headers={"Content-Encoding": "gzip"}), "broke off", id="no gzip"),
        pytest.param(json_answer(b"{}", headers={"Content-Encoding": "br"}), "content encoding", id="brotli"),
        pytest.param(json_answer(b"{}", 302, {"Location": "https://elsewhere.example/"}), "HTTP 302", id="redirect"),
        pytest.param(json_answer(b"<html>secret</html>", 500), "HTTP 500", id="error page"),
    ],
)
async def test_what_is_no_answer_is_unavailable(answer: Scripted, words: str) -> None:
    async with serving(answer) as gateway, world() as here:
        # the others must not be slow by the machine alone
        outside = here.outside(max_response_bytes=1000, timeout_seconds=0.5 if answer is _slow else 30.0)
        with pytest.raises(ProviderUnavailableError, match=words):
            await exchange(outside, "GET", gateway.url + "/", headers={})
    assert len(gateway.seen) == 1


async def test_no_connection_is_unavailable() -> None:
    async with serving(json_answer("{}")) as gateway:
        closed = gateway.url
    async with world() as here:
        with pytest.raises(ProviderUnavailableError, match="broke off"):
            await exchange(here.outside(), "GET", closed + "/", headers={})


async def test_compressed_answer_is_decoded() -> None:
    async with (
        serving(json_answer(gzip.compress(b'{"a":1}'), headers={"Content-Encoding": "gzip"})) as gateway,
        world() as here,
    ):
        reply = await exchange(here.outside(), "POST", gateway.url + "/", headers={}, content=b"x")
    assert reply.body == b'{"a":1}'
    assert gateway.seen[0].body == b"x"


async def test_cookies_are_not_kept() -> None:
    """Merchants share the client; one's session must not become another's."""
    async with serving(json_answer("{}", headers={"Set-Cookie": "session=1"})) as gateway, world() as here:
        for _ in range(2):
            await exchange(here.outside(), "GET", gateway.url + "/", headers={})
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
            await exchange(here.outside(), "GET", gateway.url + "/", headers={})
    assert busy.value.retry_after_seconds == seconds


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"1", b'"x"', b"{", b"\xff", b"NaN"])
def test_what_is_no_response_object_is_unavailable(body: bytes) -> None:
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
