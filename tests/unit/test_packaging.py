"""What is in the wheels: the product's has no sandbox, and the sandbox's has nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PRODUCT: Final = frozenset({"deliver", "ingest", "ops", "processors", "schemas", "service"})


def project(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text("utf-8"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the wheels are built from: building leaves files beside the sources."""
    copy = tmp_path_factory.mktemp("source")
    ignored = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    for name in (*PRODUCT, "sandbox"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    shutil.copytree(ROOT / "paynotify", copy / "paynotify", symlinks=True)
    for file in ("pyproject.toml", "README.md", *(one.name for one in ROOT.glob("LICENSE*"))):
        shutil.copy(ROOT / file, copy)
    return copy


def files_in_wheel(source: Path, target: Path) -> set[str]:
    """The files of the wheel built from the folder, but its metadata."""
    command = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index")
    built = subprocess.run((*command, "-w", str(target), str(source)), capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = target.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def sources(*folders: str) -> set[str]:
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    return {f"paynotify/{file.relative_to(ROOT)}" for file in files}


def test_product_wheel_has_every_module_of_the_product_and_no_sandbox(source: Path, tmp_path: Path) -> None:
    files = files_in_wheel(source, tmp_path)
    assert {"/".join(name.split("/")[:2]) for name in files} == {f"paynotify/{name}" for name in PRODUCT}
    assert {name for name in files if name.endswith(".py")} == sources(*PRODUCT)
    assert any(name.startswith("paynotify/schemas/json/") for name in files)


def test_sandbox_wheel_has_every_module_of_the_sandbox_and_nothing_else(source: Path, tmp_path: Path) -> None:
    files = files_in_wheel(source / "sandbox", tmp_path)
    assert {name for name in files if name.endswith(".py")} == sources("sandbox")
    assert files - sources("sandbox") == {
        f"paynotify/sandbox/{name}"
        for name in ("py.typed", "kafka/pom.xml", "kafka/log4j.properties", "kafka/log4j2.properties")
    }


def test_extra_installs_the_sandbox_of_the_same_version() -> None:
    product, sandbox = (project(file)["project"] for file in (ROOT / "pyproject.toml", ROOT / "sandbox/pyproject.toml"))
    assert sandbox["version"] == product["version"]
    assert product["optional-dependencies"]["sandbox"] == [f"paynotify-sandbox=={product['version']}"]
    assert sandbox["dependencies"] == [f"paynotify=={product['version']}"]
    assert sandbox["requires-python"] == product["requires-python"]


def test_product_and_sandbox_say_that_they_have_types(source: Path, tmp_path: Path) -> None:
    files = files_in_wheel(source, tmp_path)
    assert {f"paynotify/{name}/py.typed" for name in PRODUCT} <= files


def test_import_root_has_a_link_to_each_package_and_nothing_else() -> None:
    links = {one.name: one.readlink() for one in (ROOT / "paynotify").iterdir()}
    assert links == {name: Path("..") / name for name in (*PRODUCT, "sandbox")}


def test_code_imports_the_product_by_its_import_root_only() -> None:
    own = "|".join((*PRODUCT, "sandbox"))
    old = re.compile(rf"^\s*(?:from|import) (?:{own})(?:\.| )", re.MULTILINE)
    folders = (*PRODUCT, "sandbox", "helm", "tests")
    assert not [file for name in folders for file in (ROOT / name).rglob("*.py") if old.search(file.read_text("utf-8"))]
