"""What a fault run is made of: the schedule follows from the seed, a clock can be moved, a disk filled."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest

from paynotify.schemas.errors import PaynotifyError
from tests.fault import __main__ as entry
from tests.fault.clock import MovableClock
from tests.fault.disk import small_disk
from tests.fault.faults import FAULTS, described, schedule
from tests.fault.run import Order

HOUR_SECONDS = 3600

_TELLS_THE_TIME = """
import sys, time, datetime
for _ in sys.stdin:
    utc = datetime.datetime.now(datetime.timezone.utc).timestamp()
    print(time.time(), utc, time.time_ns() / 1e9, time.monotonic(), flush=True)
"""


def test_round_has_each_fault_once_and_follows_from_the_seed() -> None:
    names = list(FAULTS)
    one, same, other = (schedule(names, random.Random(seed)) for seed in (1, 1, 2))
    assert one == same != other
    assert sorted(one) == sorted(other) == sorted(names)
    assert all(described(name) for name in names)


@pytest.mark.skipif(not shutil.which("cc"), reason="a clock is moved by a library that a C compiler makes")
def test_clock_moves_while_its_process_runs_and_no_other_does(tmp_path: Path) -> None:
    clock = MovableClock(tmp_path)
    command = [sys.executable, "-c", _TELLS_THE_TIME]
    environment = {**os.environ, **clock.environment}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdin is not None
        assert child.stdout is not None

        def told() -> list[float]:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write("\n")
            child.stdin.flush()
            return [float(word) for word in child.stdout.readline().split()]

        first = told()
        for moved in (HOUR_SECONDS, -HOUR_SECONDS, 0):
            clock.move(moved)
            now = told()
            assert all(moved <= b - a < moved + HOUR_SECONDS / 2 for a, b in zip(first[:3], now[:3], strict=True))
            assert 0 <= now[3] - first[3] < HOUR_SECONDS / 2
        child.stdin.close()


def test_full_disk_takes_nothing_until_it_is_freed(tmp_path: Path) -> None:
    with ExitStack() as stack:
        disk = small_disk(tmp_path / "disk", 2 * 1024 * 1024, stack)
        if disk is None:
            pytest.skip("only who may mount has a disk to fill")
        assert disk.fill() > 1024 * 1024
        with pytest.raises(OSError, match="No space") as caught:
            (disk.place / "more").write_bytes(b"more")
        assert caught.value.errno == errno.ENOSPC
        disk.free()
        (disk.place / "more").write_bytes(b"more")
    assert not (tmp_path / "disk" / "more").exists()


@pytest.mark.parametrize(("option", "expected"), [("--stall-seconds", 15.0), (None, None)])
def test_longest_stall_is_an_option_of_the_run(
    option: str | None, expected: float | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    orders: list[Order] = []

    class _Run:
        def __init__(self, order: Order) -> None:
            orders.append(order)

        def process_batch(self) -> NoReturn:
            raise PaynotifyError("not in this test")

    monkeypatch.setattr(entry, "FaultRun", _Run)
    assert entry.main([option, "15"] if option else []) == 2
    assert "failed to start: not in this test" in capsys.readouterr().err
    assert orders[0].stall_seconds == expected
