"""A failed test leaves the logs of its processes behind, and says where."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

CONFTEST: Final = """
from tests.kept_logs import KeptLogs


def pytest_configure(config):
    config.pluginmanager.register(KeptLogs(config.rootpath))
"""

TESTS: Final = """
import shutil
import sys
import pytest
from paynotify.sandbox.processes import Child, wait_for


def says(words, directory, then=""):
    directory.mkdir(exist_ok=True)
    return Child("one", [sys.executable, "-c", f"print({words!r}, flush=True); {then}"], directory / "one.log")


def said(words, directory):
    assert says(words, directory).wait(30)


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    child = says("of the module", tmp_path_factory.mktemp("system"), then="import time; time.sleep(600)")
    assert wait_for(lambda: child.end().startswith("of"), within_seconds=30)
    yield
    child.kill()


@pytest.fixture
def unable(tmp_path):
    said("of a system that did not start", tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone")
    raise RuntimeError("not started")


def test_well(system, tmp_path):
    said("of another test", tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone")


@pytest.mark.parametrize("way", ["a/b"])
def test_fails(system, tmp_path, way):
    said("of the test", tmp_path)
    assert False


def test_has_no_system(unable):
    pass
"""


def _run(project: Path, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests"],
        cwd=project, env={**clean, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert "2 failed, 2 passed, 2 errors" in done.stdout, done.stdout + done.stderr
    return done.stdout


def test_logs_of_a_failed_test_are_kept_named_and_printed_in_ci(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\nfilterwarnings = ignore\n")
    (tmp_path / "conftest.py").write_text(CONFTEST, "utf-8")
    for kind in ("acceptance", "unit"):
        (tmp_path / "tests" / kind).mkdir(parents=True)
        (tmp_path / "tests" / kind / f"test_{kind}.py").write_text(TESTS, "utf-8")
    folders = tmp_path / "build" / "test-logs"
    wanted = {
        "test_acceptance.test_fails-a-b": ["of the module", "of the test"],
        "test_acceptance.test_has_no_system": ["of a system that did not start", "of the module"],
    }
    named = f"kept in {folders / 'test_acceptance.test_fails-a-b'}: one.log, one-2.log"

    def kept() -> dict[str, list[str]]:
        return {
            one.name: sorted(file.read_text("utf-8").strip() for file in one.iterdir()) for one in folders.iterdir()
        }

    said = _run(tmp_path)
    assert named in said
    assert "the end of one-2.log" not in said
    assert kept() == wanted
    said = _run(tmp_path, CI="true")
    assert named in said
    assert "--- the end of one-2.log:\nof the test" in said
    assert kept() == wanted, "a further run begins its folders anew"
