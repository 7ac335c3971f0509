"""The pull, against a real HTTP server: stored first, never repeated by itself, drained page by page."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from datetime import timedelta
from typing import Any, Final

import pytest
from aiohttp import web

from paynotify.processors.interpret.stage import response_of
from paynotify.processors.providers.base import Call, ProviderResponse, WaitingLookup
from paynotify.processors.providers.outcomes import Failed, Succeeded
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.providers.response_record import response_record
from paynotify.schemas.errors import (
    PermanentError,
    ProviderUnavailableError,
    RateLimitedError,
    RetryableError,
    UnreadableError,
)
from paynotify.schemas.records import Record
from tests.fakes.accounts import NOW, account, vectors, waiting
from tests.fakes.gateway import json_answer, serving, world

OMNIKASSA: Final = provider_specs()["omnikassa"].provider
EVENT: Final = "merchant.order.status.changed"
VALID: Final = "2026-06-01T14:10:00.000+02:00"  # ten minutes after the tests' clock
LATER: Final = "2026-06-01T12:20:00.5Z"
EXPIRED: Final = "2026-06-01T11:59:00.000+0000"


def _page(vector_id: str) -> str:
    return str(next(one["body"] for one in vectors("omnikassa")["vectors"] if one["id"] == vector_id))


LAST: Final = _page("S03")
FULL: Final = _page("S36")
KEY: Final = str(next(one["signing_key_base64"] for one in vectors("omnikassa")["vectors"] if one["id"] == "S03"))


def ping(lookup_id: str, expires: str = VALID, token: str = "aa.bb.cc") -> WaitingLookup:
    return waiting("omnikassa", lookup_id=lookup_id, event=EVENT, token=token, expires=expires)


def call_of(*pings: WaitingLookup) -> Call:
    (call,) = OMNIKASSA.calls(pings, None)  # type: ignore[arg-type]  # calls() of this provider needs no context
    return call


async def test_one_pull_answers_all_waiting_pings_with_the_newest_token() -> None:
    async with serving(json_answer(LAST)) as bank, world() as here:
        shop = account("omnikassa", base_url=bank.url + "/omnikassa-api/")
        call = call_of(ping("old", EXPIRED, "ee.ee.ee"), ping("a"), ping("b", LATER, "new.est.token"))
        outcomes = await OMNIKASSA.fetch(call, shop, here.call_context(), here.store)
    assert outcomes == {"old": Succeeded(), "a": Succeeded(), "b": Succeeded()}
    (seen,) = bank.seen
    assert (seen.method, seen.path) == ("GET", f"/omnikassa-api/order/server/api/v2/events/results/{EVENT}")
    assert seen.headers["Authorization"] == "Bearer new.est.token"
    assert seen.headers["User-Agent"].startswith("paynotify/")
    (stored,) = here.stored
    assert stored.body.decode() == LAST
    assert [one.lookup_id for one in here.answered[-1]] == ["old", "a", "b"]
    assert stored.reference is None
    assert here.paced == ["shop"]


async def test_v1_webshop_pulls_from_the_v1_path() -> None:
    async with serving(json_answer(_page("R05"))) as bank, world() as here:
        shop = account("omnikassa", base_url=bank.url, results_version=1)
        await OMNIKASSA.fetch(call_of(ping("a")), shop, here.call_context(), here.store)
    assert bank.seen[0].path == f"/order/server/api/events/results/{EVENT}"
    assert here.stored[0].facts == {"results-version": "1"}


async def test_pages_are_stored_one_before_the_next_is_asked_for() -> None:
    stored_at_call: list[int] = []

    async with world() as here:

        async def page(request: web.Request, body: bytes) -> web.StreamResponse:
            stored_at_call.append(len(here.stored))
            return json_answer(LAST if len(stored_at_call) == 3 else FULL)

        async with serving(page) as bank:
            shop = account("omnikassa", base_url=bank.url)
            outcomes = await OMNIKASSA.fetch(call_of(ping("a")), shop, here.call_context(), here.store)
    assert stored_at_call == [0, 1, 2]
    assert [one.body.decode() for one in here.stored] == [FULL, FULL, LAST]
    assert outcomes == {"a": Succeeded()}
    assert here.paced == ["shop"] * 3


@pytest.mark.parametrize("more", ["true", '"true"', "1"])
async def test_true_without_orders_and_words_that_are_no_boolean_end_the_loop(more: str) -> None:
    page = f'{{"moreOrderResultsAvailable": {more}, "orderResults": []}}'
    async with serving(json_answer(page)) as bank, world() as here:
        await OMNIKASSA.fetch(
            call_of(ping("a")), account("omnikassa", base_url=bank.url), here.call_context(), here.store
        )
    assert len(bank.seen) == len(here.stored) == 1


async def test_endless_backlog_is_left_to_the_next_ping() -> None:
    async with serving(json_answer(FULL)) as bank, world() as here:
        shop = account("omnikassa", base_url=bank.url)
        outcomes = await OMNIKASSA.fetch(call_of(ping("a")), shop, here.call_context(), here.store)
    assert len(bank.seen) == len(here.stored) == 200
    assert outcomes == {"a": Succeeded()}


async def test_token_that_expires_between_pages_ends_the_pull() -> None:
    async with world() as here:

        async def page(request: web.Request, body: bytes) -> web.StreamResponse:
            here.now += timedelta(minutes=6)
            return json_answer(FULL)

        async with serving(page) as bank:
            shop = account("omnikassa", base_url=bank.url)
            outcomes = await OMNIKASSA.fetch(call_of(ping("a")), shop, here.call_context(), here.store)
    assert len(bank.seen) == len(here.stored) == 2
    assert outcomes == {"a": Succeeded()}


@pytest.mark.parametrize("expires", [EXPIRED, "", "soon"])
async def test_without_a_valid_token_nothing_is_pulled(expires: str) -> None:
    async with serving(json_answer(LAST)) as bank, world() as here:
        shop = account("omnikassa", base_url=bank.url)
        outcomes = await OMNIKASSA.fetch(call_of(ping("a", expires)), shop, here.call_context(), here.store)
    assert bank.seen == []
    outcome = outcomes["a"]
    assert isinstance(outcome, Failed)
    assert outcome.reason == "expired_token"


async def test_token_dropped_by_a_fast_clock_leaves_the_results_to_the_next_pull() -> None:
    """A worker cannot tell a clock that is ahead from a notification that waited (docs/reference/guarantees.md)."""
    async with serving(json_answer(LAST)) as bank, world() as here:
        shop = account("omnikassa", base_url=bank.url)
        right, here.now = here.now, here.now + timedelta(hours=1)
        dropped = await OMNIKASSA.fetch(call_of(ping("a")), shop, here.call_context(), here.store)
        assert isinstance(dropped["a"], Failed)
        assert (bank.seen, here.stored) == ([], [])
        here.now = right
        assert await OMNIKASSA.fetch(call_of(ping("b")), shop, here.call_context(), here.store) == {"b": Succeeded()}
    assert len(here.stored) == 1


async def test_lookup_with_another_event_or_token_is_never_put_into_an_address() -> None:
    bad = waiting("omnikassa", lookup_id="x", event="../../gatekeeper/refresh?x=", token="a.b.c", expires=VALID)
    async with serving(json_answer(LAST)) as bank, world() as here:
        shop = account("omnikassa", base_url=bank.url)
        outcomes = await OMNIKASSA.fetch(
            call_of(bad, ping("y", token="a.b.c\r\nX: y")), shop, here.call_context(), here.store
        )
    assert bank.seen == []
    assert all(isinstance(one, Failed) for one in outcomes.values())


async def test_failure_after_a_stored_page_keeps_it_and_asks_again_once() -> None:
    async with serving(json_answer(FULL), json_answer("<html>", 503)) as bank, world() as here:
        shop = account("omnikassa", base_url=bank.url)
        outcomes = await OMNIKASSA.fetch(call_of(ping("a"), ping("b", LATER)), shop, here.call_context(), here.store)
    assert len(here.stored) == 1
    assert outcomes == {"a": Succeeded(), "b": Succeeded(again="unavailable")}
    assert len(bank.seen) == 2


async def test_page_that_can_not_be_read_is_kept_because_it_may_be_consumed() -> None:
    async with serving(json_answer('{"moreOrderResultsAvailable": true, "orderRes')) as bank, world() as here:
        shop = account("omnikassa", base_url=bank.url)
        outcomes = await OMNIKASSA.fetch(call_of(ping("a")), shop, here.call_context(), here.store)
    assert len(bank.seen) == len(here.stored) == 1
    assert outcomes == {"a": Succeeded()}


async def test_broken_connection_is_not_repeated_behind_our_back() -> None:
    """The HTTP library would repeat a GET by itself; the bank might have handed a page over to nobody."""
    asked = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server, world() as here:
        shop = account("omnikassa", base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(ProviderUnavailableError):
            await OMNIKASSA.fetch(call_of(ping("a")), shop, here.call_context(), here.store)
    assert asked == 1
    assert here.stored == []


ERRORS: Final = vectors("omnikassa")["samples_unsigned"]["error_bodies"]


@pytest.mark.parametrize("sample", ERRORS, ids=range(len(ERRORS)))
async def test_banks_errors_are_errors_whatever_the_status(sample: Any) -> None:
    status = sample["http_status"] or 200
    is_html = sample["body"].startswith("<")
    token = status in (401, 403) or (not is_html and str(json.loads(sample["body"])["errorCode"]) == "5001")
    async with serving(json_answer(sample["body"], status)) as bank, world() as here:
        shop = account("omnikassa", base_url=bank.url)
        with pytest.raises((PermanentError, RetryableError)) as error:
            await OMNIKASSA.fetch(call_of(ping("a")), shop, here.call_context(), here.store)
    assert isinstance(error.value, PermanentError | RetryableError)
    assert error.value.reason == ("unavailable" if is_html else "credentials" if token else "refused")
    assert len(here.stored) == (status == 200)
    assert "Full authentication" not in str(error.value)


ZIPPED: Final = gzip.compress(LAST.encode())


@pytest.mark.parametrize(
    ("body", "headers", "readable"),
    [
        pytest.param(b"\xef\xbb\xbf" + LAST.encode(), {}, True, id="a byte order mark"),
        pytest.param(LAST.encode(), {"Content-Type": "text/html"}, True, id="another content type"),
        pytest.param(LAST.encode(), {"Content-Encoding": ""}, True, id="an empty encoding"),
        pytest.param(LAST.encode(), {"Content-Encoding": "utf-8"}, True, id="a charset as encoding"),
        pytest.param(LAST.encode(), {"Content-Encoding": "gzip"}, True, id="decoded on the way"),
        pytest.param(ZIPPED, {"Content-Encoding": "x-gzip"}, True, id="gzip's old name"),
        pytest.param(ZIPPED, {}, True, id="gzip nobody mentions"),
        pytest.param(zlib.compress(LAST.encode()), {"Content-Encoding": "deflate"}, True, id="deflate"),
        pytest.param(b"\x8b\x10brotli", {"Content-Encoding": "br"}, False, id="an encoding nobody knows"),
        pytest.param(b"no gzip at all", {"Content-Encoding": "gzip"}, False, id="not compressed and no JSON"),
        pytest.param(ZIPPED[:-9], {"Content-Encoding": "gzip"}, False, id="a compressed end that is missing"),
        pytest.param(ZIPPED[:40] + b"\0" * 9 + ZIPPED[49:], {"Content-Encoding": "gzip"}, False, id="damaged"),
        pytest.param(gzip.compress(b"0" * 9_000_000), {"Content-Encoding": "gzip"}, False, id="a bomb"),
    ],
)
async def test_whatever_a_200_holds_is_stored_before_it_is_judged(
    body: bytes, headers: dict[str, str], readable: bool
) -> None:
    """The call can't be repeated: what is lost here is lost at the bank too."""
    async with serving(json_answer(body, headers=headers)) as bank, world() as here:
        shop = account("omnikassa", base_url=bank.url)
        outcomes = await OMNIKASSA.fetch(call_of(ping("a")), shop, here.call_context(), here.store)
    (stored,) = here.stored
    assert outcomes == {"a": Succeeded()}
    assert len(bank.seen) == 1
    judged = response_of(_stored_record(stored))
    key = account("omnikassa", poi_id=5000, signing_keys=[{"value": KEY}])
    if readable:
        assert len(OMNIKASSA.interpret(judged, key).observations) == 1
        return
    assert (judged.body, judged.content_encoding) == (body, headers["Content-Encoding"])
    with pytest.raises(UnreadableError):
        OMNIKASSA.interpret(judged, key)


def _stored_record(stored: ProviderResponse) -> Record:
    output = response_record("responses.omnikassa", "omnikassa", "shop", stored)
    return Record(output.topic, 0, 0, output.key, output.value, output.headers, NOW.timestamp())


async def test_page_whose_connection_breaks_off_is_stored_and_asked_for_again() -> None:
    async def cut(request: web.Request, body: bytes) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": str(len(LAST))})
        await answer.prepare(request)
        await answer.write(LAST[:-40].encode())
        assert request.transport is not None
        request.transport.close()
        return answer

    async with serving(cut) as bank, world() as here:
        shop = account("omnikassa", base_url=bank.url)
        with pytest.raises(ProviderUnavailableError):
            await OMNIKASSA.fetch(call_of(ping("a")), shop, here.call_context(), here.store)
    (stored,) = here.stored
    assert stored.body.decode() == LAST[:-40]
    assert not response_of(_stored_record(stored)).complete


async def test_page_of_html_is_stored_and_asked_for_again() -> None:
    async with serving(json_answer("<html>", headers={"Content-Type": "text/html"})) as bank, world() as here:
        shop = account("omnikassa", base_url=bank.url)
        with pytest.raises(ProviderUnavailableError):
            await OMNIKASSA.fetch(call_of(ping("a")), shop, here.call_context(), here.store)
    assert [one.body for one in here.stored] == [b"<html>"]


async def test_error_of_the_bank_beside_orders_is_no_error() -> None:
    page = json.dumps({**json.loads(LAST), "errorCode": 5001})
    async with serving(json_answer(page)) as bank, world() as here:
        shop = account("omnikassa", base_url=bank.url)
        outcomes = await OMNIKASSA.fetch(call_of(ping("a")), shop, here.call_context(), here.store)
    assert outcomes == {"a": Succeeded()}


async def test_429_asks_for_patience() -> None:
    async with serving(json_answer("{}", 429, {"Retry-After": "17"})) as bank, world() as here:
        with pytest.raises(RateLimitedError) as busy:
            await OMNIKASSA.fetch(
                call_of(ping("a")), account("omnikassa", base_url=bank.url), here.call_context(), here.store
            )
    assert busy.value.retry_after_seconds == 17.0
