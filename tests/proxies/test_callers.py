"""Callers' addresses behind real proxies: the ingress knows them, and callers can't choose them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.fakes.listening_ingress import listening
from tests.proxies.pooling import PROXIES, Client, pooling

CONFIGURATION: Final = """
sandbox: true
ingest: {{{settings}}}
merchants:
  - {{id: shop-nl, provider: omnikassa, poi_id: 1, base_url: "https://nl.example", signing_keys: [{{value: k}}],
      callers: [127.0.0.9]}}
"""
PATH: Final = b"/notifications/omnikassa/shop-nl"
KNOWN, STRANGE = "127.0.0.9", "127.0.0.8"

#: The proxy, what it is told beside the usual, and what the ingress is told of it.
WAYS: Final = {
    "nginx": ("nginx", "", "trusted_proxies: [127.0.0.1]"),
    "haproxy": ("haproxy", "", "trusted_proxies: [127.0.0.1]"),
    "nginx with forwarded": (
        "nginx",
        'proxy_set_header Forwarded "$http_forwarded, for=$remote_addr";',
        "trusted_proxies: [127.0.0.1], forwarded_header: forwarded",
    ),
    "haproxy with proxy protocol": (
        "haproxy",
        "send-proxy-v2",
        "trusted_proxies: [127.0.0.1], proxy_protocol: true",
    ),
}
#: What a caller that wants to be another writes.
CLAIMS: Final = (
    b"x-forwarded-for: 127.0.0.9",
    b"x-forwarded-for: 127.0.0.9, 127.0.0.1",
    b"forwarded: for=127.0.0.9",
    b"x-real-ip: 127.0.0.9",
    b"x: y",
)


@pytest.mark.parametrize("way", WAYS)
async def test_callers_that_are_not_the_merchants_are_refused_behind_a_trusted_proxy(way: str, tmp_path: Path) -> None:
    name, more, settings = WAYS[way]
    async with (
        listening(CONFIGURATION.format(settings=settings)) as site,
        pooling(name, tmp_path, [site.port], more=more) as port,
    ):
        known, strange = Client(port, KNOWN), Client(port, STRANGE)
        for claim in CLAIMS:  # in turns: the proxy's connections are used for both
            assert await strange.post(PATH, b"strange", claim) == 403, claim
            assert await known.post(PATH, b"known") == 200
        known.close()
        strange.close()
    assert site.log.values == [b"known"] * len(CLAIMS)


@pytest.mark.parametrize("name", PROXIES)
async def test_proxy_that_is_not_trusted_is_the_caller_of_all_calls(name: str, tmp_path: Path) -> None:
    async with (
        listening(CONFIGURATION.format(settings="")) as site,
        pooling(name, tmp_path, [site.port]) as port,
    ):
        known = Client(port, KNOWN)
        assert await known.post(PATH, b"known") == 403
        known.close()
    assert site.log.values == []


@pytest.mark.parametrize("name", PROXIES)
async def test_rate_of_each_address_is_limited_behind_a_trusted_proxy(name: str, tmp_path: Path) -> None:
    settings = "trusted_proxies: [127.0.0.1], address_rate_per_second: 0.001, address_burst: 2"
    configuration = CONFIGURATION.format(settings=settings).replace("[127.0.0.9]", "[127.0.0.0/8]")
    async with (
        listening(configuration) as site,
        pooling(name, tmp_path, [site.port]) as port,
    ):
        one, other = Client(port, "127.0.0.7"), Client(port, "127.0.0.6")
        claims = [b"x-forwarded-for: 127.0.0.%d" % number for number in range(20, 24)]
        assert [await one.post(PATH, b"one", claim) for claim in claims] == [200, 200, 429, 429]
        assert await other.post(PATH, b"other") == 200
        one.close()
        other.close()
