"""Server-sent events as they go over the wire of a real server, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from paynotify.ops.console.access.identity import Identity, Role
from paynotify.ops.console.application import build_application
from paynotify.ops.console.index.follower import IndexAge
from paynotify.ops.console.live import event_stream
from paynotify.ops.console.live.event_stream import encoded
from paynotify.ops.console.live.fan_out import MAX_WATCHERS, MAX_WATCHERS_OF_ONE, QUEUED_EVENTS, EventFanOut
from paynotify.ops.console.live.pages import LivePages
from paynotify.ops.console.rendering import PageRenderer
from paynotify.service.asgi_server import AsgiServer
from paynotify.service.listener import open_listener
from tests.fakes import configurations
from tests.unit.ops.console.live.test_fan_out import event, events

WAIT_SECONDS = 10.0

Message = dict[str, str]


def parsed(lines: list[str]) -> Message:
    """One message's fields, as a browser reads them."""
    found: Message = {}
    for line in lines:
        name, _, text = line.partition(":")
        if name:
            found[name] = (found[name] + "\n" if name in found else "") + text.removeprefix(" ")
    return found


@settings(max_examples=50)
@given(st.text(max_size=40), st.sampled_from(["", "news"]), st.sampled_from(["", "a-1"]))
def test_message_means_what_was_encoded(data: str, name: str, mark: str) -> None:
    *lines, end, rest = re.split(r"\r\n|\r|\n", encoded(data, event=name, mark=mark).decode())
    assert (end, rest) == ("", "")
    assert "" not in lines, "an empty line would end the message"
    read = parsed(lines)
    assert re.split(r"\r\n|\r|\n", read["data"]) == re.split(r"\r\n|\r|\n", data)
    assert (read.get("event", ""), read.get("id", "")) == (name, mark)


class Served:
    """The live pages behind a real server."""

    def __init__(self, fan_out: EventFanOut, client: httpx.AsyncClient) -> None:
        self.fan_out = fan_out
        self.client = client

    @contextlib.asynccontextmanager
    async def stream(self, path: str, **headers: str) -> AsyncIterator[AsyncIterator[Message]]:
        async with self.client.stream("GET", path, headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            yield self._messages(answer)

    async def _messages(self, answer: httpx.Response) -> AsyncIterator[Message]:
        lines: list[str] = []
        async for line in answer.aiter_lines():
            if line:
                lines.append(line)
                continue
            yield parsed(lines)
            lines = []


async def told(messages: AsyncIterator[Message]) -> Message:
    """The next message that says something."""
    async with asyncio.timeout(WAIT_SECONDS):
        async for one in messages:
            if "data" in one:
                return one
    raise AssertionError("the stream has ended")


async def nobody_in_particular(_: Any) -> Identity:
    return Identity("restricted", "proxy", {"shop-hu": Role.VIEWER})


@contextlib.asynccontextmanager
async def serving(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[Served, AsgiServer, asyncio.Task[None]]]:
    configuration = configurations.parsed("127.0.0.1:9", "", tmp_path)
    fan_out, renderer = EventFanOut(), PageRenderer(IndexAge)
    pages = LivePages(configuration, fan_out, renderer)
    application = build_application(renderer, pages.routes(), **options)
    server = AsgiServer(uvicorn.Config(application, log_config=None, timeout_graceful_shutdown=60))
    listening = open_listener("127.0.0.1:0")
    listening.listen(200)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=base, timeout=WAIT_SECONDS, limits=limits) as client:
        yield Served(fan_out, client), server, running
        fan_out.close()
    server.should_exit = True
    await asyncio.wait_for(running, WAIT_SECONDS)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as (one, _, _):
        yield one


async def test_events_come_as_rows_newest_first(served: Served) -> None:
    async with served.stream("/live/events") as messages:
        await anext(messages)
        served.fan_out.publish([event(1), event(2, says="<b>")])
        message = await told(messages)
    assert message["data"].index("shop-hu/p2") < message["data"].index("shop-hu/p1")
    assert "&lt;b&gt;" in message["data"]
    assert message["id"] == served.fan_out.mark


async def test_filters_of_the_address_hold_for_page_and_stream(served: Served) -> None:
    made = [event(1), event(2, kind="dead"), event(3, merchant="shop-uk"), event(4, provider="omnikassa")]
    for query, found in (("kind=dead", "p2"), ("merchant=shop-uk", "p3"), ("provider=omnikassa", "p4")):
        async with served.stream(f"/live/events?{query}") as messages:
            await anext(messages)
            served.fan_out.publish(made)
            rows = (await told(messages))["data"]
        page = (await served.client.get(f"/live?{query}")).text
        for text in (rows, page.split("<tbody")[1]):
            assert [one for one in ("p1", "p2", "p3", "p4") if f"/{one}<" in text] == [found], query
    refused = await served.client.get("/live?kind=all")
    assert (refused.status_code, "status, rejected, dead" in refused.text) == (400, True)


async def test_page_without_script_shows_the_newest_fifty(served: Served) -> None:
    served.fan_out.publish(events(60))
    page = (await served.client.get("/live")).text
    assert page.count("/payments/shop-hu/p") == 50
    assert "/p59<" in page
    assert "/p9<" not in page
    stopped = (await served.client.get("/live?stopped=1")).text
    assert "hx-sse:connect" not in stopped


async def test_stream_goes_on_where_the_page_ended(served: Served) -> None:
    served.fan_out.publish([event(1)])
    page = (await served.client.get("/live")).text
    served.fan_out.publish([event(2)])
    (address,) = re.findall(r'hx-sse:connect="([^"]+)"', page)
    async with served.stream(address) as messages:
        message = await told(messages)
        assert "/p2<" in message["data"]
        assert "/p1<" not in message["data"]
    served.fan_out.publish([event(3)])
    async with served.stream(address, **{"last-event-id": message["id"]}) as messages:
        again = (await told(messages))["data"]
    assert ["/p3<" in again, "/p2<" in again] == [True, False]


async def test_viewer_who_is_too_slow_is_told_how_many_were_left_out(served: Served) -> None:
    mark = served.fan_out.mark
    served.fan_out.publish(events(QUEUED_EVENTS + 7))
    async with served.stream(f"/live/events?after={mark}") as messages:
        assert "7 older events were left out" in (await told(messages))["data"]


async def test_news_tell_once_of_many_events_and_nothing_of_other_payments(served: Served) -> None:
    async with served.stream("/live/news?merchant=shop-hu&payment=p1&order=O7") as messages:
        await anext(messages)
        served.fan_out.publish([event(2), event(1), event(1), event(3, order_id="O7")])
        message = await told(messages)
        assert (message["event"], message["data"]) == ("news", "")
        served.fan_out.publish([event(2)])
        served.fan_out.close()
        with pytest.raises(AssertionError, match="ended"):
            await told(messages)


async def test_viewers_beyond_the_bound_are_refused_until_one_leaves(served: Served) -> None:
    async with contextlib.AsyncExitStack() as open_streams:
        for _ in range(MAX_WATCHERS):
            await open_streams.enter_async_context(served.stream("/live/events"))
        refused = await served.client.get("/live/events")
        assert refused.status_code == 503
        assert f"{MAX_WATCHERS} pages are watching" in refused.text
        assert (await served.client.get("/live")).status_code == 200
        assert (await served.client.head("/live/events")).status_code == 200
    async with asyncio.timeout(WAIT_SECONDS):
        while (await served.client.head("/live")) and served.fan_out.watching:
            await asyncio.sleep(0)


async def test_person_who_is_known_has_a_share_of_the_streams(tmp_path: Path) -> None:
    async with serving(tmp_path, identify=nobody_in_particular) as (one, _, _), contextlib.AsyncExitStack() as streams:
        for _ in range(MAX_WATCHERS_OF_ONE):
            await streams.enter_async_context(one.stream("/live/news"))
        assert (await one.client.get("/live/events")).status_code == 503
        one.fan_out.close()


async def test_quiet_stream_has_a_heartbeat_and_tells_the_mark(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.05)
    async with served.stream("/live/events?kind=dead") as messages:
        await anext(messages)
        served.fan_out.publish([event(1)])
        async with asyncio.timeout(WAIT_SECONDS):
            async for one in messages:
                if one.get("id") == served.fan_out.mark:
                    assert "data" not in one
                    break


async def test_stream_ends_after_its_time_so_that_rights_are_asked_again(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(event_stream, "STREAM_SECONDS", 0.2)
    async with served.stream("/live/events") as messages, asyncio.timeout(WAIT_SECONDS):
        async for _ in messages:
            pass


async def test_streams_end_when_the_server_stops(tmp_path: Path) -> None:
    async with serving(tmp_path) as (one, server, running), one.stream("/live/events") as messages:
        await anext(messages)
        server.should_exit = True
        one.fan_out.close()
        async with asyncio.timeout(WAIT_SECONDS):
            async for _ in messages:
                pass
        await asyncio.wait_for(running, WAIT_SECONDS)


async def test_stream_shows_a_restricted_viewer_its_own_merchants_alone(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, identify=nobody_in_particular) as (one, _, _),
        one.stream("/live/events?merchant=shop-uk") as other,
        one.stream("/live/events") as own,
    ):
        await anext(other)
        await anext(own)
        one.fan_out.publish([event(1, merchant="shop-uk"), event(2)])
        assert "shop-uk" not in (await told(own))["data"]
        page = (await one.client.get("/live")).text
        assert "shop-uk" not in page
        one.fan_out.close()
        with pytest.raises(AssertionError, match="ended"):
            await told(other)
