"""What is in the wheels, what they say of themselves, and that they are the same bytes whenever they are built."""

from __future__ import annotations

import email
import os
import re
import shutil
import tomllib
import zipfile
from pathlib import Path
from typing import Any, Final

import pytest

from release.checks import objections
from release.distributions import BuildError, build

ROOT: Final = Path(__file__).parents[2]
#: When all files were made, in seconds since 1970.
TIME: Final = 1_800_000_000
PRODUCT: Final = frozenset({"deliver", "ingest", "ops", "processors", "schemas", "service"})


def project(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text("utf-8"))


def copy_of_sources(folder: Path) -> Path:
    """A copy of what the distributions are built from: building leaves files beside the sources."""
    ignored = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    for name in (*PRODUCT, "sandbox"):
        # of the links, `sandbox/LICENSE` is one to a file, and `git archive` keeps it too
        shutil.copytree(ROOT / name, folder / name, ignore=ignored, symlinks=True)
    shutil.copytree(ROOT / "paynotify", folder / "paynotify", symlinks=True)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, folder)
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """The sources and wheels of the product and the sandbox."""
    return build(copy_of_sources(tmp_path_factory.mktemp("source")), tmp_path_factory.mktemp("built"), TIME)


@pytest.fixture(scope="module")
def product(built: tuple[Path, ...]) -> set[str]:
    return files_in(built, "paynotify-")


@pytest.fixture(scope="module")
def sandbox(built: tuple[Path, ...]) -> set[str]:
    return files_in(built, "paynotify_sandbox-")


def files_in(built: tuple[Path, ...], begin: str) -> set[str]:
    """The files of a wheel, but its metadata."""
    (wheel,) = (one for one in built if one.suffix == ".whl" and one.name.startswith(begin))
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def sources(*folders: str) -> set[str]:
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    return {f"paynotify/{file.relative_to(ROOT)}" for file in files}


def test_product_wheel_has_every_module_of_the_product_and_no_sandbox(product: set[str]) -> None:
    assert {"/".join(name.split("/")[:2]) for name in product} == {f"paynotify/{name}" for name in PRODUCT}
    assert {name for name in product if name.endswith(".py")} == sources(*PRODUCT)
    assert any(name.startswith("paynotify/schemas/json/") for name in product)
    served = [one for name in ("templates", "static") for one in (ROOT / "ops/console" / name).rglob("*.*")]
    assert {f"paynotify/{one.relative_to(ROOT)}" for one in served if one.is_file()} <= product


def test_sandbox_wheel_has_every_module_of_the_sandbox_and_nothing_else(sandbox: set[str]) -> None:
    assert {name for name in sandbox if name.endswith(".py")} == sources("sandbox")
    assert sandbox - sources("sandbox") == {
        f"paynotify/sandbox/{name}"
        for name in ("py.typed", "kafka/pom.xml", "kafka/log4j.properties", "kafka/log4j2.properties")
    }


def test_checkers_have_no_objections_to_the_distributions(built: tuple[Path, ...]) -> None:
    assert len(built) == 4
    assert objections(built) == []


def test_metadata_says_what_is_true_and_has_the_licence(built: tuple[Path, ...]) -> None:
    for wheel in (one for one in built if one.suffix == ".whl"):
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            (metadata,) = (archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
            (licence,) = (archive.read(name) for name in names if name.endswith(".dist-info/licenses/LICENSE"))
        assert licence == (ROOT / "LICENSE").read_bytes()
        fields = email.message_from_string(metadata)
        assert fields["License-Expression"] == "Apache-2.0"
        assert [fields[name] for name in ("Author", "Author-email", "Home-page", "Project-URL")] == [None] * 4
        assert "Typing :: Typed" in fields.get_all("Classifier", [])


def test_extras_have_what_they_are_named_for() -> None:
    extras = project(ROOT / "pyproject.toml")["project"]["optional-dependencies"]
    assert {"msk", "sandbox", "tracing"} <= extras.keys()
    assert all(extras.values())


def test_build_in_another_folder_has_the_same_bytes(built: tuple[Path, ...], tmp_path: Path) -> None:
    """Another place, time and mode of the files, and another user's mask."""
    source = copy_of_sources(tmp_path / "elsewhere")
    for file in source.rglob("*.py"):
        file.chmod(0o600)
        os.utime(file, (1, 1))
    before = os.umask(0o077)
    try:
        again = build(source, tmp_path / "again", TIME)
    finally:
        os.umask(before)
    assert {one.name: one.read_bytes() for one in again} == {one.name: one.read_bytes() for one in built}


def test_warning_of_the_build_backend_stops_the_build(tmp_path: Path) -> None:
    source = copy_of_sources(tmp_path / "source")
    file = source / "pyproject.toml"
    file.write_text(
        file.read_text("utf-8").replace('license = "Apache-2.0"', 'license = {text = "Apache-2.0"}'), "utf-8"
    )
    with pytest.raises(BuildError, match="license"):
        build(source, tmp_path / "built", TIME)


def test_extra_installs_the_sandbox_of_the_same_version() -> None:
    product, sandbox = (project(file)["project"] for file in (ROOT / "pyproject.toml", ROOT / "sandbox/pyproject.toml"))
    assert sandbox["version"] == product["version"]
    assert product["optional-dependencies"]["sandbox"] == [f"paynotify-sandbox=={product['version']}"]
    assert sandbox["dependencies"] == [f"paynotify=={product['version']}"]
    assert sandbox["requires-python"] == product["requires-python"]


def test_product_and_sandbox_say_that_they_have_types(product: set[str]) -> None:
    assert {f"paynotify/{name}/py.typed" for name in PRODUCT} <= product


def test_import_root_has_a_link_to_each_package_and_nothing_else() -> None:
    links = {one.name: one.readlink() for one in (ROOT / "paynotify").iterdir()}
    assert links == {name: Path("..") / name for name in (*PRODUCT, "sandbox")}


def test_code_imports_the_product_by_its_import_root_only() -> None:
    own = "|".join((*PRODUCT, "sandbox"))
    old = re.compile(rf"^\s*(?:from|import) (?:{own})(?:\.| )", re.MULTILINE)
    folders = (*PRODUCT, "sandbox", "helm", "release", "tests")
    assert not [file for name in folders for file in (ROOT / name).rglob("*.py") if old.search(file.read_text("utf-8"))]
