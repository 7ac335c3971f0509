"""Every row of the documented table of odd requests is true."""

from __future__ import annotations

import re
from typing import Final

from tests.fakes.listening_ingress import listening
from tests.fakes.odd_requests import BODY, REQUESTS, Answer, table

CONFIGURATION: Final = """
sandbox: true
ingest: {max_body_bytes: 1000}
merchants:
  - {id: shop-nl, provider: omnikassa, poi_id: 1, base_url: "https://nl.example", signing_keys: [{value: k}]}
"""


def test_table_has_a_row_for_each_odd_request() -> None:
    assert list(table()) == list(REQUESTS)


async def test_odd_requests_are_answered_as_the_table_says() -> None:
    wrong = []
    async with listening(CONFIGURATION) as site:
        for row, answer in table().items():
            for sent in REQUESTS[row]:
                site.log.values.clear()
                response = await site.say(sent)
                told = Answer(int(response[9:12]), b"connection: close\r\n" in response)
                stored = [b"" if re.search(rb"content-length: 0\r", sent) else BODY] if answer.status == 200 else []
                if told != answer or site.log.values != stored:
                    wrong.append((row, sent, told, site.log.values[:]))
        await site.until(lambda: not site.connections)
    assert wrong == []


async def test_inflated_body_is_stored_with_the_coding_it_had() -> None:
    async with listening(CONFIGURATION) as site:
        for row in ("`Content-Encoding: gzip` or `x-gzip`", "`Content-Encoding: identity`, or an empty one"):
            for sent in REQUESTS[row]:
                await site.say(sent)
    codings = [headers.get("http-content-encoding") for headers in site.log.headers]
    assert codings == [b"gzip", b"x-gzip", b"gzip", b"gzip", None, None]
    assert site.log.values == [BODY] * 6


async def test_coding_that_is_not_known_is_answered_with_those_that_are() -> None:
    async with listening(CONFIGURATION) as site:
        assert b"accept-encoding: gzip, deflate\r\n" in await site.say(
            REQUESTS["`Content-Encoding: br`, or another"][0]
        )
        assert site.slots.taken == 0
