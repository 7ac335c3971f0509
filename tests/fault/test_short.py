"""The fault run in its short form: one node, a few hundred payments, and four of the faults; with ``PAYNOTIFY_LONG=1``
every fault once.

Each time with another seed, unless ``PAYNOTIFY_FAULT_SEED`` names one; a failure tells which it was. The seed draws the
faults too.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.fault.faults import FAULTS
from tests.long_form import LONG

pytestmark = pytest.mark.kafka

NOTIFICATIONS: Final = 180
#: So many of the faults, as a rule: a minute and a half.
DRAWN: Final = 4


def test_whatever_breaks_nothing_is_lost_doubled_or_turned_back(tmp_path: Path) -> None:
    seed = int(os.environ.get("PAYNOTIFY_FAULT_SEED") or random.randrange(2**31))
    faults = list(FAULTS) if LONG else random.Random(seed).sample(list(FAULTS), DRAWN)
    # a process of its own: kafka-python leaves a socket open for each connection a killed broker refuses
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.fault",
            "--seed",
            str(seed),
            "--duration",
            "60",
            "--notifications",
            str(NOTIFICATIONS),
            "--keep",
            str(tmp_path),
            *(word for name in faults for word in ("--fault", name)),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        # what is broken here must not be anybody else's
        env={name: value for name, value in os.environ.items() if name != "KAFKA"},
    )
    assert done.returncode == 0, f"PAYNOTIFY_FAULT_SEED={seed} {' '.join(faults)}\n{done.stderr[-3000:]}\n{done.stdout}"
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert report["accepted"] > NOTIFICATIONS / 2, "too little happened to show anything"
