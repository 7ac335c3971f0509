"""The fault run in its short form: one node, every fault once, a few hundred payments.

Each time with another seed, unless ``PAYNOTIFY_FAULT_SEED`` names one; a failure tells which it was.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from sandbox.system import ends_on_signal
from tests.fault.run import FaultRun, Order
from tests.long_form import LONG

pytestmark = [pytest.mark.kafka, pytest.mark.skipif(not LONG, reason="minutes: `make fault`, or PAYNOTIFY_LONG=1")]


def test_with_every_fault_once_nothing_is_lost_doubled_or_turned_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAFKA", raising=False)  # what is broken here must not be anybody else's
    seed = int(os.environ.get("PAYNOTIFY_FAULT_SEED") or random.randrange(2**31))
    order = Order(seed=seed, duration_seconds=60.0, notifications=180, directory=tmp_path)
    with ends_on_signal():
        outcome = FaultRun(order).carry_out()
    print(outcome.text)
    assert outcome.right, f"PAYNOTIFY_FAULT_SEED={seed}\n{outcome.problems}\n{outcome.text}"
    assert outcome.report["accepted"] > order.notifications / 2, "too little happened to show anything"
