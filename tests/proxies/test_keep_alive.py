"""Proxies that use their connections again at the worst moments: no call of theirs becomes a 502."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.fakes.listening_ingress import Site, listening
from tests.proxies.pooling import PROXIES, Client, pooling

CONFIGURATION: Final = """
sandbox: true
ingest: {keep_alive_seconds: 1}
merchants:
  - {id: shop-nl, provider: omnikassa, poi_id: 1, base_url: "https://nl.example", signing_keys: [{value: k}]}
"""
PATH: Final = b"/notifications/omnikassa/shop-nl"
CLIENTS: Final = 12
#: How long the proxy keeps a connection without a call; the ingress keeps it twice as long.
IDLE_SECONDS: Final = 0.5
ROUNDS: Final = 4


class Counted:
    """Counts the connections that are made to an ingress."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = 0
        kind = site.server.config.http_protocol_class
        before = kind.connection_made

        def connection_made(connection: object, transport: object) -> None:
            self.made += 1
            before(connection, transport)

        monkeypatch.setattr(kind, "connection_made", connection_made)


@pytest.mark.parametrize("name", PROXIES)
async def test_proxy_that_reuses_connections_as_they_end_makes_no_502(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paces = random.Random(7)

    async def call(port: int) -> list[int]:
        client, told = Client(port), []
        for _ in range(ROUNDS):
            told.append(await client.post(PATH, b"body"))
            # the pace is what is tested: as long as the proxy keeps connections, give or take some
            await asyncio.sleep(IDLE_SECONDS * paces.uniform(0.85, 1.15))
        client.close()
        return told

    async with (
        listening(CONFIGURATION, sweeping=True) as site,
        pooling(name, tmp_path, [site.port], idle_milliseconds=round(IDLE_SECONDS * 1000)) as port,
    ):
        counted = Counted(site, monkeypatch)
        told = await asyncio.gather(*(call(port) for _ in range(CLIENTS)))
    statuses = Counter(status for one in told for status in one)
    assert statuses == {200: CLIENTS * ROUNDS}
    assert counted.made < CLIENTS * ROUNDS, "no connection was used again"


@pytest.mark.parametrize("name", PROXIES)
async def test_proxy_makes_no_502_while_one_of_two_ingresses_stops(name: str, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        sites = [await stack.enter_async_context(listening(CONFIGURATION, sweeping=True)) for _ in range(2)]
        port = await stack.enter_async_context(pooling(name, tmp_path, [site.port for site in sites]))
        statuses: Counter[int] = Counter()
        is_over = False

        async def call() -> None:
            client = Client(port)
            while not is_over:
                statuses[await client.post(PATH, b"body")] += 1
            client.close()

        calls = [asyncio.create_task(call()) for _ in range(CLIENTS)]
        await sites[0].until(lambda: statuses[200] > 200)
        seen = len(sites[0].log.values)
        assert seen
        sites[0].server.should_exit = True
        await sites[0].until(lambda: not sites[0].connections)
        since = statuses[200]
        await sites[0].until(lambda: statuses[200] > since + 200)
        is_over = True
        await asyncio.gather(*calls)
    assert set(statuses) == {200}
    assert statuses[200] == sum(len(site.log.values) for site in sites)
