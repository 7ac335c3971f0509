"""``paynotify completion``: the completion of the command for a shell, made of the command's own parsers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Final

import shtab

from paynotify.ops import main as command

_SHELLS: Final = ("bash", "zsh", "tcsh")
#: What an argument's value is, by the word that stands for it in the help.
_VALUES: Final = {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY}
_EPILOG: Final = """\
for this shell alone, and for each new one:
  bash  source <(paynotify completion bash)
        paynotify completion bash > ~/.local/share/bash-completion/completions/paynotify
  zsh   paynotify completion zsh > DIR/_paynotify, with DIR in `fpath` before `compinit` is called
  tcsh  paynotify completion tcsh > ~/.paynotify.tcsh, with `source ~/.paynotify.tcsh` in ~/.tcshrc
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paynotify completion``."""
    parser.add_argument("shell", choices=_SHELLS, help="the shell that completes")
    parser.epilog = _EPILOG


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    parser, children = command.build_parsers(command.installed())
    for child in children.values():
        for action in _actions(child):
            if action.metavar in _VALUES:
                action.complete = _VALUES[action.metavar]  # type: ignore[attr-defined]
    sys.stdout.write(shtab.complete(parser, shell=arguments.shell).rstrip() + "\n")
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The parser's arguments and those of its own subcommands, such as `topics apply`."""
    # argparse lists them in no public place; shtab reads the same one
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from _actions(child)
