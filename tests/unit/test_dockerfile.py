"""The Dockerfile keeps to its rules, by hadolint and by what no linter knows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text("utf-8")


def test_hadolint_has_nothing_to_say() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run((str(program), "--no-color", str(ROOT / "Dockerfile")), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_stages_stand_on_one_base_that_is_pinned_by_digest() -> None:
    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^FROM (.+)$", DOCKERFILE, re.MULTILINE) == ["${BASE} AS build", "${BASE}"]


def test_the_last_stage_takes_only_the_environment_and_a_numeric_user() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^COPY (.+)$", last, re.MULTILINE) == ["--from=build /opt/paynotify /opt/paynotify"]
    assert re.search(r"^USER [1-9][0-9]*:[1-9][0-9]*$", last, re.MULTILINE)
    assert "HEALTHCHECK" not in DOCKERFILE


def test_the_charts_user_is_the_images() -> None:
    values = (ROOT / "helm" / "paynotify" / "values.yaml").read_text("utf-8")
    user = re.search(r"^USER (\d+):", DOCKERFILE, re.MULTILINE)
    assert user is not None
    assert f"runAsUser: {user.group(1)}\n" in values
