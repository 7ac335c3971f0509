"""The share of the usable CPU that a process has used lately, from its clocks and the limit of its container."""

from __future__ import annotations

from pathlib import Path

import pytest

from paynotify.processors.runtime.batches import gathering_waits
from paynotify.processors.runtime.cpu_share import CpuShare


class Clocks:
    """Both clocks of a process, set by the test."""

    used = 10.0
    now = 100.0


def share_of(clocks: Clocks, limit_file: Path) -> CpuShare:
    return CpuShare(lambda: clocks.used, lambda: clocks.now, limit_file)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(None, 0.4), ("max 100000\n", 0.4), ("200000 100000\n", 0.4), ("50000 100000\n", 0.8), ("nonsense", 0.4)],
    ids=("no file", "no limit", "two CPUs", "half a CPU", "unreadable"),
)
def test_share_is_of_what_one_event_loop_may_use(tmp_path: Path, limit: str | None, expected: float) -> None:
    file = tmp_path / "cpu.max"
    if limit is not None:
        file.write_text(limit, "ascii")
    clocks = Clocks()
    share = share_of(clocks, file)
    assert share() == 0.0
    clocks.now, clocks.used = 101.0, 10.4
    assert share() == pytest.approx(expected)


def test_share_is_measured_over_a_while(tmp_path: Path) -> None:
    clocks = Clocks()
    share = share_of(clocks, tmp_path / "missing")
    clocks.now, clocks.used = 100.1, 10.1
    assert share() == 0.0, "not over a tenth of a second"
    clocks.now, clocks.used = 100.25, 10.2
    assert share() == pytest.approx(0.8)
    clocks.now, clocks.used = 110.25, 10.3
    assert share() == pytest.approx(0.01), "a burst before a pause says nothing"


def test_batches_wait_longer_the_less_cpu_is_to_spare() -> None:
    assert [gathering_waits(1, share, are_many=False) for share in (0.0, 0.5)] == [0.0, 0.0], "a lone one goes at once"
    assert gathering_waits(1, 0.0, are_many=True) == 1.0
    assert [gathering_waits(32, 1.0, are_many=one) for one in (False, True)] == [0.0, 1.0], "many are worth no wait"
    assert (
        0.0
        < gathering_waits(1, 0.6, are_many=False)
        < gathering_waits(1, 0.7, are_many=False)
        < gathering_waits(1, 0.8, are_many=False)
    )
    assert gathering_waits(1, 0.8, are_many=True) == gathering_waits(1, 1.5, are_many=False) == 5.0, "there is a most"
