"""The application behind the real HTTP server: what strangers may send down a socket."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest
from uvicorn.server import Server

from paynotify.ingest.app import Ingress
from paynotify.ingest.connection import PRIVATE_NAMES
from paynotify.ingest.http_server import sweep
from paynotify.schemas.errors import UnsupportedLibraryError
from paynotify.service.private_names import require
from tests.fakes.listening_ingress import DEADLINE_SECONDS, Site, listening

CONFIGURATION = """
sandbox: true
ingest: {max_body_bytes: 1000, max_header_bytes: 2000, body_deadline_seconds: 0.3, max_in_flight: 10}
merchants:
  - {id: shop-nl, provider: omnikassa, poi_id: 1, base_url: "https://nl.example", signing_keys: [{value: k}]}
  - {id: slow, provider: omnikassa, poi_id: 2, base_url: "https://nl.example", signing_keys: [{value: k}]}
"""
PATH = b"/notifications/omnikassa/shop-nl"


def exhaust(ingress: Ingress, path: str) -> None:
    """Take what a route may have at once, so that its next call is over the rate."""
    bucket = ingress._destinations[path].bucket
    bucket._tokens = bucket._rate_per_second = 0.0


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with listening(CONFIGURATION) as found:
        exhaust(found.ingress, "/notifications/omnikassa/slow")
        yield found


def post(body: bytes, path: bytes = PATH, *headers: bytes) -> bytes:
    lines = [b"POST %b HTTP/1.1" % path, b"host: x", b"content-length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def test_body_in_pieces_is_stored_whole(site: Site) -> None:
    whole = post(b"\x00\xffabc" * 50)
    assert (await site.say(whole[:20], whole[20:90], whole[90:])).startswith(b"HTTP/1.1 200 OK\r\n")
    assert site.log.values == [b"\x00\xffabc" * 50]


async def test_chunked_body_is_stored_without_its_framing(site: Site) -> None:
    head = b"POST %b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" % PATH
    assert b" 200 " in await site.say(head, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert site.log.values == [b"abcde"]


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
async def test_upgrade_offer_is_ignored_and_loses_no_body(site: Site, upgrade: bytes) -> None:
    offer = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + upgrade, b"HTTP2-Settings: AAEAAEAAAAIAAAAA")
    whole = post(b'{"whole": 1}', PATH, *offer)
    assert b" 200 " in await site.say(whole)
    assert b" 200 " in await site.say(whole[:30], whole[30:100], whole[100:-5], whole[-5:])
    chunked = b"\r\n".join([b"POST %b HTTP/1.1" % PATH, b"host: x", b"transfer-encoding: chunked", *offer, b"", b""])
    assert b" 200 " in await site.say(chunked + b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n")
    assert site.log.values == [b'{"whole": 1}', b'{"whole": 1}', b"abcde"]


async def test_connection_is_usable_after_an_upgrade_offer(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    offer = (b"connection: upgrade", b"upgrade: h2c")
    plain, last = post(b"2"), post(b"4", PATH, b"connection: close")
    writer.write(post(b"1", PATH, *offer) + plain + post(b"3", PATH, *offer) + last)
    async with asyncio.timeout(DEADLINE_SECONDS):
        responses = await reader.read()
    writer.close()
    assert responses.count(b" 200 ") == 4
    assert site.log.values == [b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("filler", [b"x-a: " + b"a" * 1900, b"\r\n".join([b"x-a: a"] * 250)])
async def test_upgrade_offer_does_not_lift_the_limit_of_heads(site: Site, filler: bytes) -> None:
    offer = (b"connection: upgrade", b"upgrade: h2c")
    assert b" 431 " in await site.say(post(b"", PATH, *offer, filler))
    assert b" 413 " in await site.say(post(b"x" * 1001, PATH, *offer))


async def test_response_names_no_server(site: Site) -> None:
    assert await site.say(post(b"")) == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "path",
    [
        b"/%",
        b"/%zz",
        b"/%00",
        b"/notifications/%FF/%2e%2e",
        b"*",
        b"http://x/notifications",
        b"/\xff",
        b"//",
        b"/?" + b"a" * 900,
    ],
)
async def test_management_server_survives_odd_paths(site: Site, path: bytes) -> None:
    response = await site.say(post(b"", path))
    assert response[9:12] in (b"404", b"400")
    assert b" 200 " in await site.say(post(b"ok"))


async def test_large_body_can_be_sent_whole_and_its_response_be_read(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(post(b"x" * 3_000_000))
    async with asyncio.timeout(DEADLINE_SECONDS):
        await writer.drain()
        response = await reader.read()
    assert response.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in response
    writer.close()
    await site.until(lambda: not site.connections)
    assert site.log.values == []


async def test_body_without_an_end_is_cut_after_its_response(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"POST /other HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n"))[9:12] == b"404"

    async def flood() -> None:
        while True:
            writer.write(b"x" * 100_000)
            await writer.drain()

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(flood(), DEADLINE_SECONDS)
    writer.close()


#: What is answered before the body is read, and what it is answered to.
EARLY = {
    b"404": (b"POST /other HTTP/1.1", b"content-length: 10"),
    b"405": (b"PUT %b HTTP/1.1" % PATH, b"content-length: 10"),
    b"413": (b"POST %b HTTP/1.1" % PATH, b"content-length: 1001"),
    b"429": (b"POST /notifications/omnikassa/slow HTTP/1.1", b"content-length: 10"),
    b"503": (b"POST %b HTTP/1.1" % PATH, b"content-length: 10"),
    b"400": (b"POST %b HTTP/1.1" % PATH, b"content-length: 10\r\nx-smartpay-signature: x"),
}


@pytest.mark.parametrize("expectation", [b"expect: 100-continue", b"x: y"], ids=["100-continue", "body owed"])
@pytest.mark.parametrize("status", EARLY)
async def test_final_answer_before_the_body_closes_the_connection(
    site: Site, status: bytes, expectation: bytes
) -> None:
    """Otherwise the next call, of a client that leaves the body out, would be swallowed as the body."""
    if status == b"503":
        site.slots.taken = site.slots.limit
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"\r\n".join([*EARLY[status], b"host: x", expectation, b"", b""]))
    async with asyncio.timeout(DEADLINE_SECONDS):
        response = await reader.read()
    assert response[9:12] == status
    assert b"\r\nconnection: close\r\n" in response
    assert response.count(b"HTTP/1.1") == 1
    writer.close()
    await site.until(lambda: not site.connections)


@pytest.mark.parametrize("status", [status for status in EARLY if status not in {b"400", b"413"}])
async def test_final_answer_after_the_whole_body_leaves_the_connection_open(site: Site, status: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    if status == b"503":
        site.slots.taken = site.slots.limit
    writer.write(b"\r\n".join([*EARLY[status], b"host: x", b"", b"x" * 10]))
    response = await reader.readuntil(b"\r\n\r\n")
    assert response[9:12] == status
    assert b"connection: close" not in response
    site.slots.taken = 0
    writer.write(post(b"next"))
    assert (await reader.readuntil(b"\r\n\r\n"))[9:12] == b"200"
    writer.close()
    assert site.log.values == [b"next"]


async def test_client_that_may_send_its_body_is_told_so(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(post(b"body", PATH, b"expect: 100-Continue")[:-4])
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"body")
    assert (await reader.readuntil(b"\r\n\r\n"))[9:12] == b"200"
    writer.close()
    assert site.log.values == [b"body"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        post(b"", PATH, b"x-long: " + b"a" * 3_000),
        post(b"", PATH, *[b"x-%d: %b" % (n, b"a" * 50) for n in range(60)]),
        post(b"", b"/" + b"a" * 3_000),
        b"GET /" + b"a" * 600_000,
        b"POST / HTTP/1.1\r\nx: " + b"a" * 600_000,
    ],
    ids=["long header", "many headers", "long path", "endless path", "endless header"],
)
async def test_large_head_is_refused(site: Site, request_bytes: bytes) -> None:
    try:
        response = await site.say(request_bytes)
    except ConnectionError:  # cut while the rest was on its way
        assert len(request_bytes) > 500_000
    else:
        assert response[9:12] == b"431"
    assert site.log.values == []


@pytest.mark.parametrize(
    "unreadable", [b"\x16\x03\x01\x02\x00", b"NONSENSE\r\n\r\n", post(b"", PATH, b"content-length: 5")]
)
async def test_bytes_that_are_not_http_are_refused(site: Site, unreadable: bytes) -> None:
    assert (await site.say(unreadable))[9:12] == b"400"


async def test_slow_body_is_cut(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(post(b"x" * 50)[:-10])
    await site.until(lambda: site.slots.taken == 1)
    loop = asyncio.get_running_loop()
    sweep(site.server, loop.time())
    assert site.slots.taken == 1
    sweep(site.server, loop.time() + 1)
    assert site.slots.taken == 0
    response = await reader.read()
    writer.close()
    assert response.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in response


async def test_slow_head_is_cut(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"POST /notifi")
    await site.until(lambda: any(one.message_bytes for one in site.connections))
    loop = asyncio.get_running_loop()
    sweep(site.server, loop.time())
    assert site.connections
    sweep(site.server, loop.time() + 1)
    assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_rest_of_a_refused_request_may_not_take_long_either(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(post(b"x" * 2000)[:-10])
    assert (await reader.readuntil(b"\r\n\r\n"))[9:12] == b"413"
    sweep(site.server, asyncio.get_running_loop().time() + 1)
    assert await reader.read() == b""
    writer.close()


async def test_connection_without_a_next_request_is_closed_in_silence(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(post(b""))
    assert (await reader.readuntil(b"\r\n\r\n"))[9:12] == b"200"
    sweep(site.server, asyncio.get_running_loop().time() + 74)
    assert site.connections
    sweep(site.server, asyncio.get_running_loop().time() + 76)
    assert await reader.read() == b""
    writer.close()


async def test_connection_opened_in_advance_waits_as_long_for_its_first_request(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    await site.until(lambda: bool(site.connections))
    sweep(site.server, asyncio.get_running_loop().time() + 74)
    writer.write(post(b""))
    assert (await reader.readuntil(b"\r\n\r\n"))[9:12] == b"200"
    writer.close()


async def test_call_on_an_idle_connection_is_answered_while_the_server_stops(site: Site) -> None:
    """A proxy that has not noticed yet would make a 502 of a connection that is closed at this moment."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(post(b"one"))
    assert b"connection: close" not in await reader.readuntil(b"\r\n\r\n")
    site.server.should_exit = True
    await site.until(lambda: any(one._is_stopping for one in site.connections))
    writer.write(post(b"two"))
    async with asyncio.timeout(DEADLINE_SECONDS):
        response = await reader.read()
    assert response.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in response
    writer.close()
    assert site.log.values == [b"one", b"two"]


async def test_idle_connection_does_not_keep_the_server_from_stopping(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    await site.until(lambda: bool(site.connections))
    site.server.should_exit = True
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await reader.read() == b""
    writer.close()


async def test_call_that_waits_for_the_brokers_gets_its_answer_while_the_server_stops(site: Site) -> None:
    site.log.held = []
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(post(b"one"))
    await site.until(lambda: site.log.values == [b"one"])
    site.server.should_exit = True
    await site.until(lambda: any(one._is_stopping for one in site.connections))
    site.log.release()
    async with asyncio.timeout(DEADLINE_SECONDS):
        response = await reader.read()
    assert response.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in response
    writer.close()


async def test_request_that_waits_for_the_brokers_is_not_cut(site: Site) -> None:
    site.log.held = []
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(post(b"one"))
    await site.until(lambda: site.log.values == [b"one"])
    writer.write(post(b"two")[:-1])
    await site.until(lambda: any(one.message_bytes for one in site.connections))
    sweep(site.server, asyncio.get_running_loop().time() + 100)
    site.log.release()
    assert (await reader.readuntil(b"\r\n\r\n"))[9:12] == b"200"
    writer.write(b"o")
    assert (await reader.readuntil(b"\r\n\r\n"))[9:12] == b"200"
    writer.close()
    assert site.log.values == [b"one", b"two"]


async def test_sender_who_leaves_before_the_end_of_the_body_releases_the_slot(site: Site) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(post(b"x" * 50)[:-10])
    await site.until(lambda: site.slots.taken == 1)
    writer.close()
    await site.until(lambda: not site.connections)
    assert site.slots.taken == 0
    assert site.log.values == []


async def test_stop_waits_for_the_brokers_also_if_the_caller_has_left(site: Site) -> None:
    site.log.held = []
    _, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(post(b"one"))
    await site.until(lambda: site.log.values == [b"one"])
    writer.transport.abort()
    (connected,) = site.connections
    await site.until(lambda: connected.is_lost)
    assert site.connections, "the server would end before the brokers respond"
    site.log.release()
    assert not site.connections


@pytest.mark.parametrize("sent", [post(b"whole"), post(b"a part")[:-1], b"POST /notifi"])
async def test_connection_that_ended_is_freed_without_the_garbage_collector(site: Site, sent: bytes) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", site.port)
    await site.until(lambda: bool(site.connections))
    ended = weakref.ref(next(iter(site.connections)))
    gc.collect()
    gc.disable()
    try:
        writer.write(sent)
        await site.until(lambda: site.log.values == [b"whole"] or any(one.message_bytes for one in site.connections))
        writer.close()
        await site.until(lambda: ended() is None)
    finally:
        gc.enable()


async def test_pipelined_requests_are_answered_in_order(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(post(b"one") + post(b"two", b"/other") + post(b"three"))
    told = [(await reader.readuntil(b"\r\n\r\n"))[9:12] for _ in range(3)]
    writer.close()
    assert told == [b"200", b"404", b"200"]
    assert site.log.values == [b"one", b"three"]


async def test_pipelined_requests_are_handled_one_after_the_other(site: Site) -> None:
    site.log.held = []
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(post(b"one") + post(b"x" * 1001) + post(b"three")[:-1])
    await site.until(lambda: site.log.values == [b"one"])
    assert site.slots.taken == 1
    site.log.release()
    assert [(await reader.readuntil(b"\r\n\r\n"))[9:12] for _ in range(2)] == [b"200", b"413"]
    await site.until(lambda: site.slots.taken == 2)  # the log releases none
    writer.write(b"e")
    assert (await reader.readuntil(b"\r\n\r\n"))[9:12] == b"200"
    writer.close()
    assert site.log.values == [b"one", b"three"]


async def test_thousands_of_pipelined_requests_are_answered(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    count = 3000
    writer.write(post(b"", b"/other") * count)
    async with asyncio.timeout(DEADLINE_SECONDS):
        told = [(await reader.readuntil(b"\r\n\r\n"))[9:12] for _ in range(count)]
    writer.close()
    assert told == [b"404"] * count


async def test_nothing_that_follows_a_last_request_is_stored(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(post(b"last", PATH, b"connection: close") + post(b"more"))
    response = await reader.read()
    writer.close()
    assert response.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in response
    assert site.log.values == [b"last"]


async def test_old_http_ends_with_the_response(site: Site) -> None:
    response = await site.say(b"POST %b HTTP/1.0\r\ncontent-length: 2\r\n\r\nok" % PATH)
    assert b" 200 " in response
    assert b"connection: close" in response


async def test_failure_of_the_application_is_logged_and_ends_the_connection(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(site.log, "publish", lambda *_: 1 / 0)
    assert b" 503 " in await site.say(post(b"ok"))
    assert site.slots.taken == 0
    assert "call_failed" in caplog.text


def test_uvicorn_without_the_private_names_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "shutdown", lambda self, sockets=None: None)
    with pytest.raises(UnsupportedLibraryError, match=r"^uvicorn .*does not use connections"):
        require(PRIVATE_NAMES)
