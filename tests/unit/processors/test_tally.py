"""A batch's counts reach their metric at once and once."""

from __future__ import annotations

from paynotify.processors.tally import Tally
from tests.fakes.stages import counted, metrics


def test_counts_are_added_to_the_metric_when_they_are_published() -> None:
    outcomes = metrics().outcomes
    tally = Tally(outcomes, "nevogate", "verify")
    tally.count("lookup", "")
    tally.count("lookup", "")
    tally.count("rejected", "malformed")
    about = {"provider": "nevogate", "stage": "verify"}
    assert counted(outcomes, outcome="lookup", reason="", **about) == 0
    tally.publish()
    tally.publish()
    assert counted(outcomes, outcome="lookup", reason="", **about) == 2
    assert counted(outcomes, outcome="rejected", reason="malformed", **about) == 1
