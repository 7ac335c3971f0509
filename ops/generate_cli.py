"""Writes ``docs/reference/cli.md`` from the command's own parsers, so that the page cannot differ from ``--help``.

Run it with ``python -m paynotify.ops.generate_cli``; a unit test compares the page with the parsers.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from paynotify.ops.main import SUBCOMMANDS, build_parsers
from paynotify.schemas.generate import markdown

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "cli.md"

_INTRODUCTION: Final = """\
# The `paynotify` command

<!-- Generated from the parsers by `python -m paynotify.ops.generate_cli`. Do not edit. -->

Each command reads one configuration file: `--config FILE`, or the environment variable `PAYNOTIFY_CONFIG`.
`--help` prints the same text as this page, and `paynotify --version` the version.
"""


def page() -> str:
    """The Markdown page."""
    parser, children = build_parsers(SUBCOMMANDS)
    rows = [(f"[`{one.name}`](#paynotify-{one.name})", one.purpose) for one in SUBCOMMANDS]
    lines = [_INTRODUCTION, *markdown.table(("command", "purpose"), rows), "", *_block(parser.epilog)]
    for one in SUBCOMMANDS:
        lines += _section(children[one.name])
    return "\n".join(lines).rstrip() + "\n"


def _section(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"\n## {parser.prog}\n"
    yield f"{parser.description}\n"
    # argparse lists a parser's arguments in no public place, and format_help() differs between releases of Python
    shown = [one for one in parser._actions if one.help != argparse.SUPPRESS]
    rows = [(_argument(one), _help(parser, one)) for one in shown if not isinstance(one, argparse._HelpAction)]
    yield from markdown.table(("argument", "meaning"), rows)
    yield ""
    yield from _block(parser.epilog)


def _block(epilog: str | None) -> Iterator[str]:
    if epilog:
        yield f"```text\n{epilog.strip()}\n```"


def _argument(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else _value(action)
    if not action.option_strings:
        return f"`{value}`" + (" (optional)" if action.nargs in ("?", "*") else "")
    names = ", ".join(f"`{name} {value}`".replace(" `", "`") for name in action.option_strings)
    return names + (" (required)" if action.required else "")


def _value(action: argparse.Action) -> str:
    if action.metavar is not None:
        return str(action.metavar)
    if action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper()


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return (action.help or "") % {**vars(action), "prog": parser.prog}


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
