"""The upgrade test's translation of the configuration to the key names of an earlier release."""

from __future__ import annotations

from pathlib import Path

from tests.upgrade import earlier

OLD = """
class Worker:
    pulls_per_second: float = 6.0
    standstill_seconds: float = 120.0
    overdue: Overdue = Overdue()

class Overdue:
    looks_seconds: tuple = ()
"""

DOCUMENT = {
    "kafka": {"topic_prefix": "x."},
    "worker": {
        "calls_per_second": {"omnikassa": 2.0},
        "stall_seconds": 60,
        "overdue": {"poll_schedule_seconds": {"nevogate": [1]}},
        "dead_letter_limit": {"share": 0.5},
    },
    "merchants": [{"id": "a"}, {"id": "b", "charges": {"poll_schedule_seconds": [1, 2]}}],
}


def release(code: Path, text: str) -> Path:
    (code / "schemas").mkdir()
    (code / "schemas" / "configuration.py").write_text(text, "utf-8")
    return code


def test_earlier_release_gets_its_own_key_names(tmp_path: Path) -> None:
    assert earlier.configuration(DOCUMENT, release(tmp_path, OLD)) == {
        "kafka": {"topic_prefix": "x."},
        "worker": {
            "pulls_per_second": 2.0,
            "standstill_seconds": 60,
            "overdue": {"looks_seconds": {"nevogate": [1]}},
        },
        "merchants": [{"id": "a"}, {"id": "b", "charges": {"looks_seconds": [1, 2]}}],
    }


def test_release_with_the_new_names_gets_the_file_as_it_is(tmp_path: Path) -> None:
    new = "\n    calls_per_second: x\n    stall_seconds: x\n    overdue: x\n    dead_letter_limit: x\n"
    code = release(tmp_path, new + "    poll_schedule_seconds: x\n")
    assert earlier.configuration(DOCUMENT, code) == DOCUMENT
