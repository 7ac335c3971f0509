"""All places that name the version agree, and one that does not is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from release.locks import ROOT
from release.versions import disagreements, release_date, version_of


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("pyproject.toml", "CHANGELOG.md", "sandbox/pyproject.toml", "helm/paynotify/Chart.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "docs").mkdir()
    return tmp_path


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def test_versions_of_this_project_agree() -> None:
    assert disagreements(ROOT) == []


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("sandbox/pyproject.toml", 'version = "{}"', 'version = "9.9.9"'),
        ("sandbox/pyproject.toml", "paynotify=={}", "paynotify==9.9.9"),
        ("pyproject.toml", "paynotify-sandbox=={}", "paynotify-sandbox==9.9.9"),
        ("helm/paynotify/Chart.yaml", "\nversion: {}", "\nversion: 9.9.9"),
        ("helm/paynotify/Chart.yaml", 'appVersion: "{}"', 'appVersion: "9.9.9"'),
    ],
)
def test_place_with_another_version_is_named(copy: Path, name: str, old: str, new: str) -> None:
    change(copy / name, old.format(version_of(copy)), new)
    (said,) = disagreements(copy)
    assert "says 9.9.9" in said


def test_page_that_names_an_image_of_another_version_is_named(copy: Path) -> None:
    (copy / "docs" / "page.md").write_text("`paynotify-trial:9.9.9`", "utf-8")
    (said,) = disagreements(copy)
    assert said.startswith("docs/page.md says 9.9.9")


def test_changelog_must_have_a_section_of_the_version(copy: Path) -> None:
    section = f"## [{version_of(copy)}]"
    assert release_date(copy) is not None
    change(copy / "CHANGELOG.md", section, "## [9.9.9]")
    assert release_date(copy) is None
    assert disagreements(copy) == [f"CHANGELOG.md has no section [{version_of(copy)}]."]
