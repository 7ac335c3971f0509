"""Renovate's configuration waits before it proposes an update, and its patterns match the files they are for."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any, Final

import pytest

from release.locks import ROOT

CONFIGURATION: Final[dict[str, Any]] = json.loads((ROOT / "renovate.json").read_text("utf-8"))
#: Those of the repository and new ones, but not what the examples' builds leave in their folders.
FILES: Final = subprocess.run(
    ("git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"),
    capture_output=True,
    text=True,
    check=True,
).stdout.splitlines()
MANAGERS: Final[list[dict[str, Any]]] = CONFIGURATION["customManagers"]


def matching(patterns: list[str]) -> set[str]:
    """The files of this project that patterns between slashes match."""
    return {name for name in FILES for pattern in patterns if re.search(pattern.strip("/"), name)}


def test_updates_wait_and_those_of_vulnerabilities_do_not() -> None:
    assert CONFIGURATION["minimumReleaseAge"] == "14 days"
    assert CONFIGURATION["internalChecksFilter"] == "strict"
    assert CONFIGURATION["vulnerabilityAlerts"]["minimumReleaseAge"] is None


@pytest.mark.parametrize("manager", MANAGERS, ids=lambda one: str(one["description"]))
def test_custom_manager_finds_a_version_in_its_file(manager: dict[str, Any]) -> None:
    (name,) = matching(manager["managerFilePatterns"])
    text = (ROOT / name).read_text("utf-8")
    for pattern in manager["matchStrings"]:
        found = re.search(pattern.replace("(?<", "(?P<"), text)
        assert found is not None
        assert re.fullmatch(r"v?\d+(\.\d+)+", found["currentValue"])


def test_pinned_kafka_is_the_same_in_every_place() -> None:
    manager, *_ = MANAGERS
    (name,) = matching(manager["managerFilePatterns"])
    (found,) = re.findall(manager["matchStrings"][0].replace("(?<", "(?P<"), (ROOT / name).read_text("utf-8"))
    assert f"<kafka.version>{found}</kafka.version>" in (ROOT / "sandbox/kafka/pom.xml").read_text("utf-8")
    assert re.search(rf"^VERSIONS \?= .* {re.escape(found)}$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_every_lock_has_a_manager() -> None:
    patterns = [
        *CONFIGURATION["pip-compile"]["managerFilePatterns"],
        *CONFIGURATION["pip_requirements"]["managerFilePatterns"],
    ]
    assert matching(patterns) >= {str(one.relative_to(ROOT)) for one in (ROOT / "requirements").glob("*.txt")}


def test_examples_and_tests_are_not_ignored() -> None:
    """The presets of Renovate leave out folders of these names."""
    assert CONFIGURATION["ignorePresets"] == [":ignoreModulesAndTests"]
    assert not matching([re.escape(one.strip("*/")) for one in CONFIGURATION["ignorePaths"]])
