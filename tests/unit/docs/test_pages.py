"""The documentation's links lead somewhere, and the files it names exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
README_MAX_LINES: Final = 130

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE_BLOCK = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_NAMED_PATH = re.compile(r"`((?:[a-z_]+/)+(?:[a-z_]+\.(?:py|md|tpl|json))?)`")


def _pages() -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return [ROOT / line for line in listed.stdout.splitlines()]


def _prose(page: Path) -> str:
    return _CODE_BLOCK.sub("", page.read_text("utf-8"))


def _anchors(page: Path) -> set[str]:
    headings = _HEADING.findall(_prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", _pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    broken = []
    for link in _LINK.findall(_prose(page)):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize(
    "name", ["contributing.md", "explanation/architecture.md", "how-to/add-a-provider.md", "reference/guarantees.md"]
)
def test_named_files_and_folders_exist(name: str) -> None:
    text = (ROOT / "docs" / name).read_text("utf-8")
    named = {path for path in _NAMED_PATH.findall(text) if "<" not in path}
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= README_MAX_LINES


@pytest.mark.parametrize("section", ["consume", "operations", "providers"])
def test_first_page_of_a_section_names_every_page(section: str) -> None:
    folder = ROOT / "docs" / section
    linked = {link.partition("#")[0] for link in _LINK.findall((folder / "README.md").read_text("utf-8"))}
    assert [page.name for page in sorted(folder.glob("*.md")) if page.name not in linked | {"README.md"}] == []
