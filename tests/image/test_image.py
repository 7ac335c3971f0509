"""The images keep the promises of the Dockerfile, and their command works as their user with a read-only root."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest

from paynotify.sandbox.system import Plan, Sandbox
from tests.image.container import BASE, ROOT, USER, Image, built, missing_tools, remove_containers

#: Builds a library as for a machine that has no wheel of it. Debian's own Python has its headers in a package.
FROM_SOURCE: Final = ("SOURCE=faust-streaming", "COMPILER=gcc libc6-dev zlib1g-dev python3-dev")
#: Programs that must not be in the environment, whatever the base contains.
TOOLS: Final = ("pip", "pip3", "setuptools", "gcc", "cc", "g++", "make", "ld", "uv", "cyclonedx-py")


@pytest.fixture(scope="session", autouse=True)
def engine() -> Iterator[None]:
    if os.geteuid() != 0 or missing_tools():
        pytest.fail(f"needs root and these programs: {', '.join(missing_tools())}")
    yield
    remove_containers()


@pytest.fixture(scope="session")
def image(engine: None) -> Image:
    """The product's image."""
    return built("product")


@pytest.fixture(scope="session")
def trial(engine: None) -> Image:
    """The image with the sandbox, and with a library that was built from its source."""
    return built("trial", *FROM_SOURCE)


def test_image_runs_as_a_numeric_user_under_an_init_process(image: Image) -> None:
    assert image.configuration["User"] == f"{USER}:{USER}"
    assert image.configuration["Entrypoint"] == ["dumb-init", "--", "paynotify"]
    assert "Healthcheck" not in image.configuration
    assert image.configuration["ExposedPorts"].keys() == {"8080/tcp", "9090/tcp"}
    said = image.run(command=("sh", "-c", "id -u; id -g; id -G; grep CapEff /proc/self/status")).stdout.split()
    assert said == [str(USER)] * 3 + ["CapEff:", "0" * 16]


def test_labels_name_version_commit_and_base(image: Image) -> None:
    labels = {name.removeprefix("org.opencontainers.image."): it for name, it in image.configuration["Labels"].items()}
    assert (labels["title"], labels["licenses"], labels["base.name"]) == ("paynotify", "Apache-2.0", BASE)
    assert f'version = "{labels["version"]}"' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["revision"])
    assert datetime.fromisoformat(labels["created"]).tzinfo is not None


def test_root_is_read_only_and_the_user_owns_nothing_of_the_product(image: Image) -> None:
    for path in ("/", "/opt/paynotify", "/etc", "/var/lib/paynotify"):
        done = image.run(command=("touch", f"{path}/written"))
        assert done.returncode != 0, path
        assert "Read-only file system" in done.stderr
    assert image.run(command=("touch", "/tmp/written")).returncode == 0
    own = (image.root / "var/lib/paynotify").stat()
    assert (own.st_uid, own.st_gid, stat.S_IMODE(own.st_mode)) == (USER, USER, 0o750)
    for file in (image.root / "opt/paynotify").rglob("*"):
        found = file.lstat()
        assert found.st_uid == 0
        assert file.is_symlink() or not found.st_mode & (stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID), file


def test_image_has_no_compiler_and_no_package_manager_besides_the_bases(image: Image) -> None:
    names = {path.name for path in (image.root / "opt/paynotify/bin").iterdir()}
    assert {"paynotify", "dumb-init", "python"} <= names
    assert not names & set(TOOLS)
    packages = next((image.root / "opt/paynotify/lib").glob("python3.*")) / "site-packages"
    assert not [name for name in TOOLS if (packages / name).exists()]
    assert not (image.root / "source").exists()
    assert not (image.root / "wheels").exists()


def test_library_without_a_wheel_is_built_with_its_c_modules(image: Image, trial: Image) -> None:
    """The trial's image stands for one of ARM64; its demo, below, runs on what was built."""
    for one, tag in ((image, "manylinux"), (trial, "-linux_")):
        packages = next((one.root / "opt/paynotify/lib").glob("python3.*")) / "site-packages"
        (wheel,) = packages.glob("faust_streaming-*.dist-info/WHEEL")
        assert tag in wheel.read_text("utf-8")
        assert list((packages / "faust/_cython").glob("streams.*.so"))
        assert not [name for name in ("gcc", "cc", "as") if (one.root / "usr/bin" / name).exists()]


def test_bill_of_materials_lists_what_is_installed(image: Image) -> None:
    bill = json.loads((image.root / "opt/paynotify/sbom.cdx.json").read_text("utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "paynotify"
    listed = {one["name"].lower().replace("_", "-"): one["version"] for one in bill["components"]}
    listing = "import importlib.metadata as m\nfor d in m.distributions(): print(d.metadata['Name'], d.version)"
    installed = dict(line.split() for line in image.run(command=("python", "-c", listing)).stdout.splitlines())
    installed = {name.lower().replace("_", "-"): version for name, version in installed.items()}
    assert installed.pop("paynotify") == bill["metadata"]["component"]["version"]
    assert len(installed) > 30
    assert installed.items() <= listed.items()
    locked = (ROOT / "requirements" / "runtime.txt").read_text("utf-8")
    assert all(f"{name}=={version}" in locked.lower() for name, version in installed.items() if name != "dumb-init")


def test_product_has_no_sandbox_and_says_where_it_is(image: Image, trial: Image) -> None:
    packages = next((image.root / "opt/paynotify/lib").glob("python3.*")) / "site-packages"
    assert not (packages / "paynotify/sandbox").exists()
    done = image.run("demo")
    assert done.returncode == 2
    assert "The sandbox is not installed." in done.stderr
    assert trial.run("demo", "--help").returncode == 0


@pytest.mark.kafka
def test_doctor_in_the_image_finds_no_error(image: Image, kafka: str, tmp_path: Path) -> None:
    with Sandbox(Plan(kafka=kafka, consumers=False)) as sandbox:
        _readable_by_all(sandbox.directory)
        done = image.run(
            "doctor", "--recovery", "--json", "--config", str(sandbox.config_path), readable=(sandbox.directory,)
        )
    assert done.returncode == 0, done.stdout + done.stderr
    findings = json.loads(done.stdout)["findings"]
    assert [one for one in findings if one["verdict"] == "error"] == []
    assert "credentials: accepted" in " ".join(one["what"] for one in findings)


@pytest.mark.kafka
def test_demo_in_the_trial_image_proves_a_short_day_of_payments(trial: Image, kafka: str) -> None:
    """Ingress, workers, simulators, consumers and the verification, each process from the image alone."""
    done = trial.run(
        "demo", "--payments", "54", "--seconds", "12", "--json", environment={"KAFKA": kafka}, seconds=400.0
    )
    print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
    assert done.returncode == 0


def _readable_by_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
