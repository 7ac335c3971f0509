"""The share of the usable CPU that a process has used lately, from its clocks and the limit of its container."""

from __future__ import annotations

from pathlib import Path

import pytest

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
