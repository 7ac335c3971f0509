"""What the brokers stamp bounds their clock: never on the wrong side, and no wider for what is stored slowly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.transport.brokers_clock import BrokersClock

#: How far the brokers' clock is ahead of the time since this machine started.
AHEAD_SECONDS: Final = 1_800_000_000.0
TOLERANCE: Final = timedelta(microseconds=2)


class Process:
    """A process whose records take the given times to be stored, and to be acknowledged after that."""

    def __init__(self) -> None:
        self.elapsed = 1000.0
        self.ahead_seconds = AHEAD_SECONDS
        self.clock = BrokersClock(lambda: self.elapsed)

    def stores(self, storing_seconds: float, acknowledging_seconds: float = 0.0) -> None:
        sent_at = self.elapsed
        self.elapsed += storing_seconds
        stamp_milliseconds = int((self.elapsed + self.ahead_seconds) * 1000)
        self.elapsed += acknowledging_seconds
        self.clock.stamped(sent_at, self.elapsed, (stamp_milliseconds / 1000,))

    @property
    def truth(self) -> datetime:
        return datetime.fromtimestamp(self.elapsed + self.ahead_seconds, UTC)

    def width_seconds(self) -> float:
        """How wide the bounds are around the truth, which is between them."""
        span = self.clock.span(self.elapsed, self.elapsed)
        assert span is not None
        assert span.begins - TOLERANCE <= self.truth <= span.ends + TOLERANCE
        return (span.ends - span.begins).total_seconds()


seconds = st.floats(0.0, 30.0)


@given(st.lists(st.tuples(seconds, seconds, seconds), min_size=1, max_size=20))
def test_truth_is_always_between_the_bounds(stored: list[tuple[float, float, float]]) -> None:
    process = Process()
    for pause_seconds, storing_seconds, acknowledging_seconds in stored:
        process.elapsed += pause_seconds
        process.stores(storing_seconds, acknowledging_seconds)
        process.width_seconds()


@given(st.lists(seconds, max_size=3))
def test_slow_storing_widens_nothing(slow: list[float]) -> None:
    process = Process()
    process.stores(0.002, 0.001)
    before = process.width_seconds()
    for storing_seconds in slow:
        process.stores(storing_seconds / 3)
        assert process.width_seconds() <= before


def test_clock_is_unknown_before_the_first_stamp_and_long_after_the_last() -> None:
    process = Process()
    assert process.clock.span(process.elapsed, process.elapsed) is None
    process.clock.stamped(process.elapsed, process.elapsed, ())
    assert process.clock.span(process.elapsed, process.elapsed) is None
    process.stores(0.002)
    process.elapsed += 3599
    assert process.clock.span(process.elapsed, process.elapsed) is not None
    process.elapsed += 2
    assert process.clock.span(process.elapsed, process.elapsed) is None


@given(st.sampled_from((3600.0, -3600.0, 5.0, -5.0)))
def test_brokers_clock_that_is_set_is_known_from_the_next_stamp(by_seconds: float) -> None:
    process = Process()
    process.stores(0.002, 0.001)
    process.ahead_seconds += by_seconds
    process.stores(0.002, 0.001)
    assert process.width_seconds() < 0.01


@given(st.sampled_from((0.5, -0.5)))
def test_brokers_clock_that_is_corrected_is_known_after_two_periods(by_seconds: float) -> None:
    process = Process()
    process.stores(0.002, 0.001)
    process.ahead_seconds += by_seconds
    for _ in range(65):
        process.elapsed += 1
        process.stores(0.002, 0.001)
    assert process.width_seconds() < 0.01


def test_brokers_whose_clocks_differ_widen_the_bounds_to_both() -> None:
    process = Process()
    for ahead_seconds in (0.0, 0.1, 0.0, 0.1):
        process.ahead_seconds = AHEAD_SECONDS + ahead_seconds
        process.stores(0.002, 0.001)
    span = process.clock.span(process.elapsed, process.elapsed)
    assert span is not None
    assert abs(span.ends - process.truth).total_seconds() < 0.004
    assert abs(span.begins + timedelta(seconds=0.1) - process.truth).total_seconds() < 0.004


def test_span_begins_with_the_first_moment_and_ends_with_the_last() -> None:
    process = Process()
    process.stores(0.002, 0.001)
    span = process.clock.span(process.elapsed - 20, process.elapsed)
    assert span is not None
    assert 20.0 < (span.ends - span.begins).total_seconds() < 20.01
