"""What a provider is told of a stored notification, and which of its headers are stored."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import pytest

from paynotify.schemas.routes import Answer, Route
from tests.fakes.listening_ingress import listening
from tests.unit.ingest.test_app import Web

CONFIGURATION: Final = """
sandbox: true
kafka: {topic_prefix: "test."}
ingest: {max_body_bytes: 200}
merchants:
  - {id: shop-nl, provider: omnikassa, poi_id: 1, base_url: "https://nl.example", signing_keys: [{value: k}]}
  - {id: shop-v3, provider: smartpay, base_url: "https://nl.example", jwks_file: keys.json, refresh_token: {value: t}}
"""
PATH: Final = "/notifications/smartpay/shop-v3"
ORDER: Final = b"5d1c2c0e-8f2b-4f0e-9c57-0a6f3f5b7d11"
BODY: Final = b'{"data": {"orderId" : "' + ORDER + b'"}}'
HEADERS: Final = [
    (b"content-type", b"application/rabo-smartpay-webhook-v3+json"),
    (b"x-smartpay-signature", b"aGVhZA..c2lnbg"),
    (b"x-smartpay-event-type", b"order.status.finalized/v1"),
    (b"x-smartpay-event-id", b"evt_1"),
    (b"x-other", b"dropped"),
]


def call(response: bool | None = True, **more: Any) -> tuple[Web, int, dict[bytes, bytes], bytes]:
    web = Web(response, CONFIGURATION)
    more = {"body": [BODY], "headers": HEADERS, **more}
    status, headers, body = web.call(PATH, **more)
    return web, status, headers, body


def test_stored_event_is_answered_with_ack_and_keeps_its_headers() -> None:
    web, status, headers, body = call()
    assert (status, body) == (200, b"ack")
    assert headers == {b"content-length": b"3", b"content-type": b"text/plain"}
    topic, key, value, written = web.log.records[0]
    assert (topic, key, value) == ("test.notifications.smartpay", b"shop-v3/" + ORDER, BODY)
    assert {name: text for name, text in written.items() if name.startswith("x-")} == {
        "x-smartpay-signature": b"aGVhZA..c2lnbg",
        "x-smartpay-event-type": b"order.status.finalized/v1",
        "x-smartpay-event-id": b"evt_1",
    }


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"response": None}, 503),
        ({"response": False}, 503),
        ({"body": [b"x" * 201]}, 413),
        ({"method": "HEAD"}, 405),
        ({"method": "GET"}, 405),
        ({"method": "PUT"}, 405),
    ],
)
def test_event_that_is_not_stored_is_refused_so_that_the_bank_repeats_it(more: Any, status: int) -> None:
    web, told, _, body = call(**more)
    assert (told, body) == (status, b"")
    assert 400 <= told < 600
    assert web.log.response is not True or not web.log.records


def test_repeated_header_is_stored_as_one_value_with_a_comma() -> None:
    web, *_ = call(headers=[*HEADERS, (b"x-smartpay-signature", b"again..again")])
    assert web.log.records[0][3]["x-smartpay-signature"] == b"aGVhZA..c2lnbg, again..again"


def test_headers_are_bounded_and_one_too_long_can_be_told() -> None:
    web, *_ = call(headers=[(b"x-smartpay-signature", b"a" * 9000), (b"x-smartpay-event-id", b"\xff" * 300)])
    written = web.log.records[0][3]
    assert len(written["x-smartpay-signature"]) == 8193
    assert len(written["x-smartpay-event-id"]) == 129
    assert written["x-smartpay-event-id"].isascii()


def test_other_providers_answer_stays_empty_and_refuses_signed_events() -> None:
    web = Web(configuration=CONFIGURATION)
    status, headers, body = web.call("/notifications/omnikassa/shop-nl", body=[b"{}"])
    assert (status, headers, body) == (200, {b"content-length": b"0"}, b"")
    status, _, body = web.call("/notifications/omnikassa/shop-nl", body=[BODY], headers=HEADERS)
    assert (status, body) == (400, b"")


def test_route_stores_no_headers_unless_it_names_them() -> None:
    assert Route(("POST",), None).headers_of(HEADERS) == {}
    assert Route(("POST",), None).stored == Answer(b"", "")


@pytest.mark.parametrize(
    "more", [[], [b"expect: 100-continue"], [b"connection: upgrade", b"upgrade: h2c"], [b"transfer-encoding: chunked"]]
)
async def test_final_answer_on_the_wire_is_200_with_ack(more: list[bytes]) -> None:
    chunked = b"transfer-encoding: chunked" in more
    length = [] if chunked else [b"content-length: %d" % len(BODY)]
    head = [b"POST " + PATH.encode() + b" HTTP/1.1", b"host: x", *length, *more]
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY) if chunked else BODY
    async with listening(CONFIGURATION) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"\r\n".join([*head, b"", b""]) + body)
        async with asyncio.timeout(10):
            told = await reader.readuntil(b"ack")
        writer.close()
    *_, last, answer = told.split(b"\r\n\r\n")
    assert last.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-type: text/plain" in last
    assert answer == b"ack"
