"""The docs site is built without a warning, asks nothing of other hosts, and refuses broken links."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"

#: Attributes whose address a browser asks for by itself when it shows the page.
_FETCHED: Final = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}


def build(source: Path, target: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", *options]
    command += [str(source), str(target)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    built = build(DOCS, target)
    assert built.returncode == 0, built.stderr
    return target


class _Fetched(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if _FETCHED.get(tag) == name]


def test_site_has_every_page(site: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")} - {Path("README.html")}
    assert [page for page in sorted(pages) if not (site / page).exists()] == []


def test_site_asks_nothing_of_other_hosts(site: Path) -> None:
    for page in site.rglob("*.html"):
        fetched = _Fetched()
        fetched.feed(page.read_text("utf-8"))
        assert [address for address in fetched.addresses if re.match(r"(https?:)?//", address)] == [], page
    for style in site.rglob("*.css"):
        assert not re.search(r"@import|url\(\s*[\"']?(https?:)?//", style.read_text("utf-8")), style


def test_first_page_leads_to_the_tutorial_and_to_consumers(site: Path) -> None:
    first = (site / "index.html").read_text("utf-8")
    assert 'href="tutorial/first-payment.html"' in first
    assert 'href="consume/README.html"' in first


def test_pages_can_be_searched(site: Path) -> None:
    assert '"webhook"' in (site / "searchindex.js").read_text("utf-8")


def test_broken_links_fail_the_build(tmp_path: Path) -> None:
    broken = ("other.md#no-such-heading", "no-such-page.md")
    links = " ".join(f"[there]({link})" for link in (*broken, "other.md#a-heading"))
    source = tmp_path / "source"
    source.mkdir()
    (source / "one.md").write_text(f"# One\n\n{links}\n\n```{{toctree}}\nother\n```\n", "utf-8")
    (source / "other.md").write_text("# Other\n\n## A heading\n", "utf-8")
    plain = ("-c", str(DOCS), "-D", "root_doc=one", "-D", "extensions=myst_parser", "-D", "html_theme=basic")
    built = build(source, tmp_path / "site", *plain)
    assert built.returncode != 0
    warnings = [line for line in built.stderr.splitlines() if "WARNING" in line]
    assert len(warnings) == len(broken), built.stderr
    assert "no-such-heading" in warnings[0]
    assert "no-such-page.md" in warnings[1]
