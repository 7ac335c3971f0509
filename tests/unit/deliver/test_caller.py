"""Calls over real connections: bounds, redirects, addresses, names that lead elsewhere."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from paynotify.deliver.answer import DELIVERED, SubscriberAnswer
from paynotify.deliver.caller import SubscriberCaller
from paynotify.deliver.trust import Trust
from paynotify.schemas.configuration.deliver import DeliverSettings, Subscription
from paynotify.schemas.configuration.secrets import SecretRef
from tests.fakes.deliveries import status_event
from tests.fakes.subscriber import OTHER_SECRET, SECRET, FakeSubscriber, Reply

LOOPBACK = ("127.0.0.0/8",)


@pytest.fixture
def subscriber() -> Iterator[FakeSubscriber]:
    made = FakeSubscriber()
    yield made
    made.down()


@asynccontextmanager
async def calling(url: str, secret: str = SECRET, **settings: Any) -> AsyncIterator[SubscriberCaller]:
    subscription = Subscription(id="erp", url=url, secrets=(SecretRef(value=secret),))
    caller = SubscriberCaller(subscription, DeliverSettings(**{"private_networks": LOOPBACK, **settings}), Trust(None))
    try:
        yield caller
    finally:
        await caller.close()


async def answer_of(url: str, **settings: Any) -> SubscriberAnswer:
    async with calling(url, **settings) as caller:
        return await caller.call(status_event("p1", 1, 0))


async def test_call_is_signed_and_has_the_event_as_on_the_topic(subscriber: FakeSubscriber) -> None:
    event = status_event("p1", 1, 0)
    async with calling(subscriber.url) as caller:
        assert await caller.call(event) == DELIVERED
        assert await caller.call(event) == DELIVERED
    first, second = subscriber.calls
    assert first.event_id == second.event_id == event.event_id
    assert not first.problem
    assert first.body == second.body
    assert first.body.startswith(b'{"type":"payment.status.changed.v1","timestamp":"2026-11-29T10:00:00.000Z","data":{')
    assert (event.record.value or b"") in first.body
    assert "cookie" not in first.headers


async def test_redirect_is_not_followed(subscriber: FakeSubscriber) -> None:
    target = FakeSubscriber()
    subscriber.reply = lambda event, number: Reply(307, headers={"Location": target.url})
    assert await answer_of(subscriber.url) == SubscriberAnswer("redirected", is_outage=True)
    target.down()
    assert target.calls == []


async def test_slow_answer_ends_in_time(subscriber: FakeSubscriber) -> None:
    subscriber.reply = lambda event, number: Reply(200, seconds=1.0)
    assert await answer_of(subscriber.url, timeout_seconds=0.1) == SubscriberAnswer("no_answer", is_outage=True)


async def test_long_answer_counts_by_its_status_and_is_not_read(subscriber: FakeSubscriber) -> None:
    subscriber.reply = lambda event, number: Reply(200, body=b"x" * 5_000_000)
    assert await answer_of(subscriber.url, max_answer_bytes=10) == DELIVERED


@contextmanager
def answering(answer: bytes, *, then_waits: bool = False) -> Iterator[str]:
    """A server that answers every call with these bytes."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            self.request.sendall(answer)
            if then_waits:
                self.request.recv(65_536)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


async def test_answer_whose_body_never_ends_counts_by_its_status() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx", then_waits=True) as url:
        assert await answer_of(url, timeout_seconds=0.2) == DELIVERED


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 100_000 + b"\r\n",
    ],
)
async def test_answer_that_is_no_http_is_no_answer(answer: bytes) -> None:
    with answering(answer) as url:
        assert await answer_of(url) == SubscriberAnswer("no_answer", is_outage=True)


async def test_closed_port_is_unreachable(subscriber: FakeSubscriber) -> None:
    subscriber.down()
    assert await answer_of(subscriber.url) == SubscriberAnswer("unreachable", is_outage=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
async def test_private_address_is_never_connected_to(subscriber: FakeSubscriber, host: str) -> None:
    url = subscriber.url.replace("127.0.0.1", host)
    assert await answer_of(url, private_networks=()) == SubscriberAnswer("forbidden_address", is_outage=True)
    assert subscriber.calls == []


async def test_name_that_leads_elsewhere_later_is_judged_where_it_leads(
    subscriber: FakeSubscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look-up gives a public address, each later one this machine's: only the connected one counts."""
    addresses = iter(["203.0.113.77", "127.0.0.1", "127.0.0.1"])

    async def resolve(self: Any, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        assert host == "erp.shop.example"
        found = {"hostname": host, "host": next(addresses), "port": port, "family": socket.AF_INET}
        return [{**found, "proto": 0, "flags": socket.AI_NUMERICHOST}]

    monkeypatch.setattr(aiohttp.resolver.DefaultResolver, "resolve", resolve)
    monkeypatch.setattr("paynotify.deliver.caller._NAMES_SECONDS", 0)
    url = subscriber.url.replace("127.0.0.1", "erp.shop.example")
    async with calling(url, private_networks=()) as caller:
        for _ in range(2):
            assert await caller.call(status_event("p1", 1, 0)) == SubscriberAnswer("forbidden_address", is_outage=True)
    assert subscriber.calls == []


@pytest.mark.parametrize("secret", ["whsec_", "whsec_a", "whsec_§"])
async def test_call_is_not_made_unsigned(subscriber: FakeSubscriber, secret: str) -> None:
    async with calling(subscriber.url, secret=secret) as caller:
        assert await caller.call(status_event("p1", 1, 0)) == SubscriberAnswer("no_secret", is_outage=True)
    assert subscriber.calls == []


async def test_call_with_the_wrong_secret_is_seen_by_the_library(subscriber: FakeSubscriber) -> None:
    async with calling(subscriber.url, secret=OTHER_SECRET) as caller:
        await caller.call(status_event("p1", 1, 0))
    (call,) = subscriber.calls
    assert call.problem == "No matching signature found"


async def test_changed_secret_is_used_beside_the_one_that_stays(
    subscriber: FakeSubscriber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paynotify.schemas.configuration.secrets._RECHECK_SECONDS", 0.0)
    file = tmp_path / "secret"
    file.write_text(OTHER_SECRET + "\n")
    references = (SecretRef(value=SECRET), SecretRef(file=str(file)))
    subscription = Subscription(id="erp", url=subscriber.url, secrets=references)
    caller = SubscriberCaller(subscription, DeliverSettings(private_networks=LOOPBACK), Trust(None))
    newest = "whsec_" + "dGhlIHRoaXJkIHNlY3JldCBvZiB0aGUgdGVzdHMsIDQw"
    try:
        for verifying in (SECRET, OTHER_SECRET, newest, SECRET):
            if verifying == newest:
                file.write_text(newest)
            subscriber.secret = verifying
            await caller.call(status_event("p1", 1, 0))
    finally:
        await caller.close()
    assert [one.problem for one in subscriber.calls] == ["", "", "", ""]
    assert [len(one.headers["webhook-signature"].split()) for one in subscriber.calls] == [2, 2, 2, 2]
