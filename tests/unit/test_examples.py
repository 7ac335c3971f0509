"""The examples install the versions with which the project is tested."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples"


def _pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)(?:\[\w+\])?==([\w.]+)", path.read_text("utf-8"), re.MULTILINE))


def test_python_example_pins_what_the_locks_pin() -> None:
    locked = _pins(ROOT / "requirements" / "runtime.txt") | _pins(ROOT / "requirements" / "development.txt")
    pinned = _pins(EXAMPLES / "postgres" / "requirements.txt")
    assert pinned.keys() >= {"kafka-python", "psycopg"}
    assert {name: version for name, version in pinned.items() if locked[name] != version} == {}


def test_connect_is_of_the_release_of_the_sandbox_kafka() -> None:
    property_ = re.compile(r"<kafka\.version>([^<]+)<")
    poms = (ROOT / "sandbox" / "kafka" / "pom.xml", EXAMPLES / "connect" / "runtime" / "pom.xml")
    assert len({property_.findall(pom.read_text("utf-8"))[0] for pom in poms}) == 1
