"""What the bench concludes from the times of arrivals and results when a worker ends."""

from __future__ import annotations

import pytest

from tests.bench.catch_up import KILLED, RESTARTED, judged

#: 100 a second over 30 s, alternately in two partitions.
ARRIVALS = [number / 100 for number in range(3000)]
EVEN, ODD = ARRIVALS[0::2], ARRIVALS[1::2]


def test_silence_is_of_the_partition_that_waited_longest() -> None:
    # the second partition has no result from 10 s to 22 s, then gets its own 600 late ones in 4 s
    late = [22 + number * 4 / 800 for number in range(800)]
    odd = [*(at for at in ODD if at <= 10), *late, *(at for at in ODD if at > 26)]
    found = judged(KILLED, 10.0, 29.0, ARRIVALS, {0: EVEN, 1: odd})
    assert found.silent_seconds == pytest.approx(12, abs=0.1)
    assert found.stalled == 1
    assert found.backlog == pytest.approx(600, abs=5)
    assert found.arrivals_per_second == pytest.approx(100, rel=0.01)
    assert found.worked_off_ratio == pytest.approx(2.5, rel=0.02)


def test_short_restart_has_no_backlog_to_judge() -> None:
    odd = [at if at < 10 or at > 12 else 12.0 for at in ODD]
    found = judged(RESTARTED, 10.0, 20.0, ARRIVALS, {0: EVEN, 1: odd})
    assert found.silent_seconds == pytest.approx(2, abs=0.1)
    assert found.worked_off_ratio is None


def test_backlog_that_stays_counts_until_the_load_ends() -> None:
    odd = [*(at for at in ODD if at <= 5), *(at + 10 for at in ODD if 5 < at < 20)]
    found = judged(KILLED, 5.0, 29.0, ARRIVALS, {0: EVEN, 1: odd})
    assert found.silent_seconds == pytest.approx(10, abs=0.1)
    assert found.worked_off_ratio == pytest.approx(1, rel=0.02)
