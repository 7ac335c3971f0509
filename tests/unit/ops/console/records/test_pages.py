"""The page of one record: its key, time, size and headers of ours, and never what somebody sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from starlette.requests import HTTPConnection

from paynotify.ops.console.access.identity import Identity, Role
from paynotify.ops.console.index.payment_index import PaymentIndex
from paynotify.schemas import topics
from paynotify.schemas.messages import PAYMENT_OBSERVED, STATUS_CHANGED, encode
from paynotify.schemas.money import Money
from paynotify.schemas.records import Record
from tests.fakes.console_browser import console_browser
from tests.fakes.console_topics import NAMES, expected_payment, payment_status, record
from tests.fakes.memory_topics import MemoryTopics

PLACED: Final = {
    "original-topic": "notifications.trustpayments",
    "original-partition": "2",
    "original-offset": "77",
    "reason": "bad_signature",
    "ce_id": "note-1",
}


async def answered(
    folder: Path, path: str, records: Sequence[Record], merchants: dict[str, Role] | None = None
) -> httpx.Response:
    PaymentIndex(folder / "index.sqlite", NAMES, "test").close()
    by_topic: dict[str, list[Record]] = {}
    for one in records:
        by_topic.setdefault(one.topic, []).append(one)

    async def known(connection: HTTPConnection) -> Identity:
        return Identity("anna", "basic", merchants or {"*": Role.VIEWER})

    opened = console_browser(
        folder / "index.sqlite", folder, open_reader=lambda: MemoryTopics(by_topic), identify=known
    )
    async with opened as client:
        return await client.get(path)


async def test_record_shows_key_time_size_and_headers_of_ours(tmp_path: Path) -> None:
    sent = {"user-agent": "A Person's Phone", "http-query": "name=A+Person", "x-request-id": "tok_secret"}
    one = record(topics.REJECTED, 0, 7, "shop-uk/57-9-1", b"card=4111", **PLACED, **sent)
    answer = await answered(tmp_path, "/records/notifications.rejected/0/7", [one])
    assert answer.status_code == 200
    page = answer.text
    for text in ("shop-uk/57-9-1", "9 bytes", "2025-11-29T10:00:07.000Z", "bad_signature", "3 more are not shown"):
        assert text in page, text
    assert 'href="/records/notifications.trustpayments/2/77"' in page, "the record that it is a copy of"
    assert 'href="/payments/shop-uk/57-9-1"' in page
    for text in ("Person", "secret", "4111"):
        assert text not in page, text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("reason", "A Person"),
        ("ce_id", "two words"),
        ("ce_time", "tomorrow"),
        ("ce_type", "payment.<b>.v1"),
        ("http-method", "PERSON"),
        ("content-type", "text/anna"),
        ("attempts", "-1"),
        ("replayed-from", "somewhere"),
        ("traceparent", "00-anna-1-01"),
        ("original-topic", "a topic"),
    ],
)
async def test_header_of_another_form_is_not_shown(tmp_path: Path, name: str, text: str) -> None:
    one = record(topics.DEAD, 0, 0, "shop-uk/a", b"", **{name: text})
    page = (await answered(tmp_path, "/records/lookups.dead/0/0", [one])).text
    assert f"<dt>{name}</dt>" not in page
    assert "1 more are not shown" in page


async def test_key_that_a_shop_chose_is_shown_only_in_the_form_of_an_id(tmp_path: Path) -> None:
    one = record(topics.EXPECTED, 0, 0, "somebody@example.com", encode(expected_payment("O-1", Money(1, "GBP"))))
    page = (await answered(tmp_path, "/records/payments.expected/0/0", [one])).text
    assert "somebody" not in page
    assert "<dt>key</dt><dd>?</dd>" in page


@pytest.mark.parametrize(
    "path",
    [
        "/records/notifications.rejected/0/8",
        "/records/notifications.rejected/1/7",
        "/records/no.such.topic/0/0",
        f"/records/notifications.rejected/0/{2**70}",
        f"/records/notifications.rejected/{2**40}/0",
        "/records/notifications.rejected/0/-1",
        f"/records/notifications.rejected/0/{'9' * 5000}",
        f"/records/notifications.rejected/{'9' * 5000}/0",
        "/records/notifications.rejected/0/%C2%B2",
    ],
)
async def test_record_that_is_not_there_is_told(tmp_path: Path, path: str) -> None:
    one = record(topics.REJECTED, 0, 7, "shop-uk/57-9-1", b"", **PLACED)
    assert (await answered(tmp_path, path, [one])).status_code == 404


async def test_brokers_that_are_away_are_told(tmp_path: Path) -> None:
    PaymentIndex(tmp_path / "index.sqlite", NAMES, "test").close()
    async with console_browser(tmp_path / "index.sqlite", tmp_path) as client:
        answer = await client.get("/records/notifications.rejected/0/7")
    assert (answer.status_code, "No Kafka broker answered." in answer.text) == (503, True)


def of_shop_uk() -> list[tuple[str, Record]]:
    event = encode(payment_status("57-9-1", 1))
    typed = {"ce_type": STATUS_CHANGED}
    return [
        ("notifications.rejected", record(topics.REJECTED, 0, 0, "shop-uk/57-9-1", b"", **PLACED)),
        ("payments.status", record(topics.STATUS, 0, 0, "shop-uk/57-9-1", event, **typed)),
        # shops choose their keys: here that of another merchant
        ("payments.expected", record(topics.EXPECTED, 0, 0, "shop-hu", encode(expected_payment("O", Money(1, "GBP"))))),
        ("observations", record(topics.OBSERVATIONS, 0, 0, "shop-hu/a", b"unreadable", ce_type=PAYMENT_OBSERVED)),
        ("lookups.dead", record(topics.DEAD, 0, 0, "", b"")),
    ]


@pytest.mark.parametrize(("topic", "one"), of_shop_uk())
async def test_record_of_a_merchant_that_may_not_be_seen_is_not_there(tmp_path: Path, topic: str, one: Record) -> None:
    allowed: dict[str, Any] = {"shop-hu": Role.CASHIER}
    assert (await answered(tmp_path, f"/records/{topic}/0/0", [one], allowed)).status_code == 404
    assert (await answered(tmp_path, f"/records/{topic}/0/0", [one])).status_code == 200


async def test_record_of_an_own_merchant_is_shown(tmp_path: Path) -> None:
    for topic, one in of_shop_uk()[:3]:
        answer = await answered(tmp_path, f"/records/{topic}/0/0", [one], {"shop-uk": Role.VIEWER})
        assert answer.status_code == 200, topic
