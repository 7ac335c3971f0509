"""Settings of the docs site: ``make docs`` builds ``docs/`` into ``build/site``.

The pages are plain Markdown that reads well on its own; `docs._site` adds what a site needs on top of them.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

_ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(_ROOT))  # Sphinx puts only this folder on the path

_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]

project = str(_PROJECT["name"])
release = version = str(_PROJECT["version"])
project_copyright = "the paynotify contributors"

extensions = ["myst_parser", "docs._site.pages"]
exclude_patterns = ["README.md", "_site"]  # index.md includes README.md
root_doc = "index"
nitpicky = True

# headings get the anchors that they have in a repository's own view, so that one link works in both
myst_heading_anchors = 6
myst_links_external_new_tab = False

# examples shorten ids with "…", which is no JSON; they are shown without colours then
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
