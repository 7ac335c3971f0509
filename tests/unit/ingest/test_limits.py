"""The bounds of the ingress by themselves."""

import asyncio
from typing import Any

import pytest

from ingest.limits import AddressLimits, Slots, TokenBucket, Unread, read_body
from service.asgi import Receive


def receiving(*messages: dict[str, Any]) -> Receive:
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    return receive


def part(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_token_bucket_allows_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate_per_second=10, burst=3)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.take(100.05) is False
    assert bucket.take(100.11) is True
    assert [bucket.take(1_000.0) for _ in range(4)] == [True, True, True, False]


def test_slots_are_a_hard_limit() -> None:
    slots = Slots(2)
    assert [slots.take() for _ in range(3)] == [True, True, False]
    slots.release()
    assert slots.take()


@pytest.mark.parametrize(
    ("parts", "read"),
    [
        ([part(b"abc")], b"abc"),
        ([part(b"")], b""),
        ([part(b"ab", more=True), part(b"", more=True), part(b"c")], b"abc"),
        ([part(b"12345")], b"12345"),
        ([part(b"123456")], Unread.TOO_LARGE),
        ([part(b"1234", more=True), part(b"56", more=True)], Unread.TOO_LARGE),
        ([{"type": "http.disconnect"}], Unread.GONE),
        ([part(b"ab", more=True), {"type": "http.disconnect"}], Unread.GONE),
    ],
)
async def test_body_is_read_whole_or_not_at_all(parts: list[dict[str, Any]], read: bytes | Unread) -> None:
    assert await read_body(receiving(*parts), max_bytes=5, deadline_seconds=5) == read


async def test_slow_body_is_cut() -> None:
    assert await read_body(receiving(part(b"a", more=True)), 5, deadline_seconds=0.01) is Unread.TOO_SLOW
    assert await read_body(receiving(), 5, deadline_seconds=0.01) is Unread.TOO_SLOW


def test_address_limits_have_a_bucket_for_each_address() -> None:
    limits = AddressLimits(1.0, 2)
    assert [limits.take("192.0.2.1", 10.0) for _ in range(3)] == [True, True, False]
    assert limits.take("192.0.2.2", 10.0)
    assert limits.take("192.0.2.1", 11.0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8:0:0:ffff::9", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("not:an:address", "not:an:address", True),
    ],
)
def test_address_limits_count_an_ipv6_network_as_one_caller(one: str, other: str, same: bool) -> None:
    limits = AddressLimits(1.0, 1)
    assert limits.take(one, 10.0)
    assert limits.take(other, 10.0) is not same


def test_address_limits_track_a_limited_number_of_addresses() -> None:
    limits = AddressLimits(1.0, 1, limit=3)
    for number in range(4):
        assert limits.take(f"192.0.2.{number}", 10.0)
    assert not limits.take("192.0.2.3", 10.0)
    assert limits.take("192.0.2.0", 10.0), "heard of longest ago"
