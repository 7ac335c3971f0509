"""``docs/reference/cli.md`` is generated from the parsers."""

from __future__ import annotations

from paynotify.ops.generate_cli import PAGE, page
from paynotify.ops.main import SUBCOMMANDS


def test_page_is_generated_from_the_parsers() -> None:
    assert PAGE.read_text("utf-8") == page(), "docs/reference/cli.md is out of date: run `make docs`"


def test_page_has_a_section_for_every_subcommand() -> None:
    sections = [line for line in page().splitlines() if line.startswith("## ")]
    assert sections == [f"## paynotify {one.name}" for one in SUBCOMMANDS]
