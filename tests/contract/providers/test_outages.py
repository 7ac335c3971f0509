"""A provider that is away for a while, over real HTTP: how many calls it gets meanwhile, and when all are made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import pytest
from aiohttp import web

from paynotify.processors.fetch.stage import FetchStage
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.runtime.stage import BatchContext
from paynotify.schemas.records import Output, Record
from tests.fakes.accounts import account, vectors
from tests.fakes.gateway import Gateway, Scripted, json_answer, serving, world
from tests.fakes.stages import KAFKA, circuits, empty, lookup_record, metrics

PAIR: Final = next(one for one in vectors("nevogate")["sdk_pairs"] if one["id"] == "result_successful_captured")
ANSWER: Final[str] = PAIR["response"]["body"]
LOOKUPS: Final = 40
IN_FLIGHT: Final = 4


async def break_off(request: web.Request, body: bytes) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


OUTAGES: Final[dict[str, Scripted]] = {
    "overloaded": web.Response(status=503),
    "maintenance page": web.Response(text="<html>soon back</html>", content_type="text/html"),
    "broken connections": break_off,
    "another's answers": json_answer('{"ResultCode": ""}'),
}


class Fetching:
    """The stage at a gateway, on a clock that a test moves."""

    def __init__(self, url: str, here_http: object) -> None:
        self.seconds = 0.0
        self.published: list[Output] = []
        numbers = metrics()
        self.stage = FetchStage(
            provider_specs()["nevogate"].provider,
            {"shop": account("nevogate", base_url=url)},
            KAFKA,
            here_http,  # type: ignore[arg-type]
            numbers,
            circuits(numbers, now=lambda: self.seconds),
            delays_seconds=(5.0, 30.0, 120.0, 600.0, 3600.0),
            calls_in_flight=IN_FLIGHT,
        )

    async def publish(self, outputs: Sequence[Output]) -> None:
        self.published += outputs

    async def work(self, records: Sequence[Record]) -> list[Record]:
        """The lookups that wait afterwards."""
        outputs = await self.stage.process(BatchContext(records, empty(), self.publish))
        return [
            Record("lookups.nevogate", 0, 0, one.key, one.value, one.headers, 0.0)
            for one in outputs
            if ".retry." in one.topic
        ]


def transactions() -> list[Record]:
    return [lookup_record(f"l-{n}", f"{n:032x}") for n in range(LOOKUPS)]


def answered_like(gateway: Gateway) -> Scripted:
    async def answer(request: web.Request, body: bytes) -> web.StreamResponse:
        asked = re.search(r"%22([0-9a-f]{32})%22", body.decode())
        assert asked
        return json_answer(ANSWER.replace(PAIR["request"]["json_value"]["TransactionId"], asked.group(1)))

    return answer


@pytest.mark.parametrize("outage", OUTAGES)
async def test_away_provider_gets_one_probe_at_a_time_and_all_calls_once_it_is_back(outage: str) -> None:
    async with serving(OUTAGES[outage]) as gateway, world() as here:
        flow = Fetching(gateway.url, here.call_context())
        waiting = await flow.work(transactions())
        assert len(waiting) == LOOKUPS
        assert 5 <= len(gateway.seen) <= 5 + IN_FLIGHT
        attempts = sum(int(one.header("attempts") or 0) for one in waiting)
        assert attempts == len(gateway.seen), "only calls count"
        for _ in range(5):
            flow.seconds += 5
            before = len(gateway.seen)
            waiting = await flow.work(waiting)
            assert len(gateway.seen) == before + 1, "one probe, whoever waits"
        gateway.script = [answered_like(gateway)]
        flow.seconds += 5
        for _ in range(2):
            waiting = await flow.work(waiting)
        assert waiting == []
        assert sum(one.topic == "responses.nevogate" for one in flow.published) == LOOKUPS


async def test_provider_nobody_listens_for_is_held_back_too() -> None:
    async with serving(web.Response()) as gateway, world() as here:
        url = gateway.url
    async with world() as here:
        waiting = await Fetching(url, here.call_context()).work(transactions())
    untried = [one for one in waiting if not one.header("attempts")]
    assert LOOKUPS - 5 - IN_FLIGHT <= len(untried) <= LOOKUPS - 5
    assert all(one.header("held-since") for one in waiting)


async def test_gateway_that_refuses_everything_gets_every_call() -> None:
    async with serving(web.Response(status=401)) as gateway, world() as here:
        await Fetching(gateway.url, here.call_context()).work(transactions())
        assert len(gateway.seen) == LOOKUPS
