"""Makes a site of pages that are written to be read in the repository: rewrites each page's text before it is parsed.

A stub takes the text of a file outside ``docs/``. Links that leave ``docs/`` lead to the page that shows the file, or
to the source. The first page and each folder's ``README.md`` get the contents for the sidebar.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"

#: Pages whose text is another file's.
STUBS: Final[Mapping[str, str]] = {
    "index": "docs/README.md",
    "changelog": "CHANGELOG.md",
    "security": "SECURITY.md",
}

#: Files that the site shows on a page of another name.
_SHOWN: Final[Mapping[str, str]] = {
    **{file: f"docs/{page}.md" for page, file in STUBS.items()},
    "README.md": "docs/index.md",
    "CONTRIBUTING.md": "docs/contributing.md",
    "helm/paynotify/README.md": "docs/reference/chart.md",
}

#: The sidebar: a caption, and what is below it. A new page in one of the folders needs no line of its own.
_CONTENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "Tutorial": ("tutorial/first-payment", "tutorial/*"),
    "How-to": ("how-to/*", "consume/README", "providers/README", "operations/README", "operations/runbook/README"),
    "Reference": ("reference/*", "glossary"),
    "Explanation": ("explanation/*", "explanation/decisions/README"),
    "Project": ("security", "support", "contributing", "releasing", "changelog"),
}

#: Files outside ``docs/`` that the site has too: readers open the contract's documents in their own tools.
_DOWNLOADED: Final = "schemas/json/"

_FENCE: Final = re.compile(r"(^ *(`{3,}|~{3,}).*?^ *\2 *$)", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_config_value("source_url", "", "env")
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _read(app: Sphinx, page: str, source: list[str]) -> None:
    file = ROOT / STUBS.get(page, f"docs/{page}.md")
    if page in STUBS:
        app.env.note_dependency(str(file))
        source[0] = file.read_text("utf-8")
    source[0] = with_links(source[0], file, DOCS / page, app.config.source_url) + contents(page)


def with_links(text: str, file: Path, page: Path, source_url: str = "") -> str:
    """The text of ``file`` with its links as they must be on ``page``."""
    parts = _FENCE.split(text)
    # three parts for each fence: the text before it, the fence itself, its marks
    parts[0::3] = [_LINK.sub(lambda link: _link(link, file, page, source_url), part) for part in parts[0::3]]
    del parts[2::3]
    return "".join(parts)


def _link(link: re.Match[str], file: Path, page: Path, source_url: str) -> str:
    image, words, target = link.groups()
    name, mark, anchor = target.partition("#")
    if not name or re.match(r"[a-z]+:", name):
        return link[0]
    path = (file.parent / name).resolve()
    inside = path.relative_to(ROOT).as_posix()
    if (path / "README.md").exists():
        inside += "/README.md"
    inside = _SHOWN.get(inside, inside)
    if inside.startswith(("docs/", _DOWNLOADED)) and not (ROOT / inside).is_dir():
        relative = os.path.relpath(ROOT / inside, page.parent)
        return f"{image}[{words}]({relative}{mark}{anchor})"
    # without an address of the sources the words stay, and say what is meant
    return f"[{words}]({source_url}/{inside})" if source_url else words


def contents(page: str) -> str:
    """The table of contents to add to a page: for the sidebar, which shows it instead of the page."""
    if page == "index":
        return "".join(_tree(caption, entries) for caption, entries in _CONTENTS.items())
    folder, _, name = page.rpartition("/")
    others = [one for one in (DOCS / folder).glob("*.md") if one.stem != "README"]
    return _tree("", ("*",)) if folder and name == "README" and others else ""


def _tree(caption: str, entries: tuple[str, ...]) -> str:
    options = ":hidden:\n:glob:\n" + (f":caption: {caption}\n" if caption else "")
    return f"\n```{{toctree}}\n{options}\n" + "\n".join(entries) + "\n```\n"
