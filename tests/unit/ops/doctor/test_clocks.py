"""The doctor's comparison of clocks: a warning from two seconds, an error from thirty."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from paynotify.ops.doctor.clocks import broker_skews, compared, provider_skew

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


class Brokers:
    """A producer whose records each broker stamps with its own clock; None leaves the sender's stamp."""

    def __init__(self, *ahead_seconds: float | None) -> None:
        self._ahead_seconds = ahead_seconds

    def partitions_for(self, topic: str) -> set[int]:
        return set(range(len(self._ahead_seconds)))

    def send(self, topic: str, value: bytes, *, partition: int, timestamp_ms: int) -> Any:
        ahead = self._ahead_seconds[partition]
        stamp = timestamp_ms if ahead is None else round((NOW.timestamp() + ahead) * 1000)
        return SimpleNamespace(get=lambda timeout: SimpleNamespace(timestamp=stamp))


def _ticking(*seconds: float) -> Callable[[], datetime]:
    moments = iter(seconds)
    return lambda: NOW + timedelta(seconds=next(moments))


@pytest.mark.parametrize(
    ("skew_seconds", "verdict", "words"),
    [
        (0.0, "ok", "the same as"),
        (1.9, "ok", "the same as"),
        (-1.9, "ok", "the same as"),
        (2.0, "warning", "2 s ahead of"),
        (-29.0, "warning", "29 s behind"),
        (30.0, "error", "30 s ahead of"),
        (-3600.0, "error", "3600 s behind"),
    ],
)
def test_clock_warns_from_two_seconds_and_fails_from_thirty(
    skew_seconds: float, verdict: Literal["ok", "warning", "error"], words: str
) -> None:
    finding = compared("brokers", "the brokers'", timedelta(seconds=skew_seconds))
    assert finding.verdict == verdict
    assert words in finding.what


def test_each_brokers_clock_is_read_from_the_record_it_stamps() -> None:
    found = broker_skews(Brokers(-3.0, 40.0), "paynotify.clock", _ticking(0, 0, 0, 0))
    assert [one.total_seconds() for one in found] == [3.0, -40.0]


def test_slow_acknowledgement_is_not_taken_for_a_wrong_clock() -> None:
    (skew,) = broker_skews(Brokers(2.0), "paynotify.clock", _ticking(0, 4))
    assert skew == timedelta(0)


def test_topic_that_keeps_the_senders_time_says_nothing() -> None:
    assert list(broker_skews(Brokers(None), "paynotify.clock", _ticking(0, 0))) == []


def test_providers_date_is_compared_with_the_middle_of_the_call() -> None:
    skew = provider_skew(lambda: NOW - timedelta(seconds=10), _ticking(0, 1))
    assert skew == timedelta(seconds=10)
    assert provider_skew(lambda: None, _ticking(0)) is None
    assert provider_skew(lambda: NOW.replace(tzinfo=None), _ticking(0)) is None
