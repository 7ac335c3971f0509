"""The Dockerfile follows the rules of hadolint and those of this project."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text("utf-8")


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run((str(program), "--no-color", str(ROOT / "Dockerfile")), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_stages_stand_on_one_base_pinned_by_digest_and_the_last_is_the_product() -> None:
    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^FROM (.+)$", DOCKERFILE, re.MULTILINE) == [
        "${BASE} AS build",
        "build AS build-trial",
        "${BASE} AS base",
        "base AS trial",
        "base AS product",
    ]


def test_images_copy_only_the_environment_and_run_as_a_numeric_user() -> None:
    stages = {stage.split()[2]: stage for stage in DOCKERFILE.split("\nFROM ")[1:]}
    for name, build in (("product", "build"), ("trial", "build-trial")):
        copied = re.findall(r"^COPY (.+)$", stages[name], re.MULTILINE)
        assert copied == [f"--from={build} /opt/paynotify /opt/paynotify"]
    assert "COPY" not in stages["base"]
    assert re.search(r"^USER [1-9][0-9]*:[1-9][0-9]*$", stages["base"], re.MULTILINE)
    assert "HEALTHCHECK" not in DOCKERFILE


def test_sandbox_is_installed_in_the_trial_image_only() -> None:
    stages = {stage.split()[2]: stage for stage in DOCKERFILE.split("\nFROM ")[1:]}
    assert [name for name, stage in stages.items() if "install --no-deps /tmp/sandbox/" in stage] == ["build-trial"]


def test_build_stage_alone_has_a_compiler_and_only_where_it_builds_a_source() -> None:
    stages = {stage.split()[2]: stage for stage in DOCKERFILE.split("\nFROM ")[1:]}
    assert [name for name, stage in stages.items() if "apt-get" in stage or "gcc" in stage] == ["build"]
    assert "RUN if ls /wheels/*.tar.gz" in stages["build"]
    assert "import faust._cython" in stages["build"]


def test_chart_runs_the_pods_as_the_user_of_the_image() -> None:
    values = (ROOT / "helm" / "paynotify" / "values.yaml").read_text("utf-8")
    user = re.search(r"^USER (\d+):", DOCKERFILE, re.MULTILINE)
    assert user is not None
    assert f"runAsUser: {user.group(1)}\n" in values


def test_both_images_say_what_they_are_of() -> None:
    """`make image` passes what the labels are filled with."""
    stages = {stage.split()[2]: stage for stage in DOCKERFILE.split("\nFROM ")[1:]}
    labels = dict(re.findall(r'org\.opencontainers\.image\.([a-z.]+)="([^"]+)"', stages["base"]))
    assert labels["licenses"] == tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["license"]
    filled = {name for value in labels.values() for name in re.findall(r"\$\{(\w+)\}", value)}
    assert filled == {"VERSION", "REVISION", "CREATED", "BASE"}
    assert filled <= set(re.findall(r"^ARG (\w+)", stages["base"], re.MULTILINE))
    assert filled <= set(re.findall(r"--build-arg (\w+)=", (ROOT / "Makefile").read_text("utf-8")))
    for name in ("product", "trial"):
        assert {"title", "description"} <= set(re.findall(r"org\.opencontainers\.image\.([a-z]+)=", stages[name]))
