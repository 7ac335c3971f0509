"""Where Benthos can't be built, the bench says so in a sentence and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.peers.benthos.program import NoBenthosError, program
from tests.bench.peers.pipelines import NAIVE, peers


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PAYNOTIFY_CACHE", str(tmp_path))


def test_missing_go_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoBenthosError, match=r"needs Go 1\.21 or newer, and go is not on the PATH\.$"):
        program(build=True)


def test_run_that_builds_nothing_has_the_naive_peer_alone() -> None:
    beside = peers(build=False)
    assert [one.name for one in beside.found] == [NAIVE]
    assert len(beside.missing) == 1
