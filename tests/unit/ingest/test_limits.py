"""The bounds of the ingress by themselves."""

import pytest

from paynotify.ingest.limits import AddressLimits, Slots, TokenBucket


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


def test_address_waits_until_it_has_earned_a_token() -> None:
    limits = AddressLimits(0.5, 1)
    assert limits.wait_seconds("192.0.2.1", 10.0) == 0
    assert limits.take("192.0.2.1", 10.0)
    assert [limits.wait_seconds("192.0.2.1", second) for second in (10.0, 11.0, 12.0)] == [2.0, 1.0, 0.0]
    assert limits.take("192.0.2.1", 12.0), "asking takes nothing"


def test_long_call_takes_the_tokens_of_several_and_leaves_a_debt() -> None:
    bucket = TokenBucket(rate_per_second=1, burst=3)
    assert bucket.take(0)
    bucket.charge(4)
    assert [bucket.take(second) for second in (1, 2, 3, 4)] == [False, False, True, True]


def test_debt_is_no_more_than_a_burst() -> None:
    bucket = TokenBucket(rate_per_second=1, burst=3)
    assert bucket.take(0)
    bucket.charge(1000)
    assert [bucket.take(second) for second in (3, 4)] == [False, True]


def test_charge_of_an_address_is_its_own() -> None:
    limits = AddressLimits(rate_per_second=1, burst=2)
    assert limits.take("192.0.2.1", 0)
    limits.charge("192.0.2.1", 1)
    limits.charge("192.0.2.2", 1)  # it has not called yet
    assert [limits.take(one, 0) for one in ("192.0.2.1", "192.0.2.2")] == [False, True]
