"""The command that shows or sends what a page lists: a person can take it from the page to a shell."""

from __future__ import annotations

import shlex
from typing import Literal

from paynotify.ops.console.lists.filters import ActionsFilter, DeadFilter, RejectedFilter


def replay_command(kind: Literal["rejected", "dead"], wanted: RejectedFilter | DeadFilter) -> str:
    """`paynotify replay` over exactly the records of the filter; without ``--yes`` it only lists them."""
    return shlex.join(["paynotify", "replay", kind, *_options(wanted)])


def history_command(wanted: ActionsFilter) -> str:
    """`paynotify history` of the filter; empty where it has no such option: it names one payment at most, and shows
    actions with and without an end."""
    if wanted.ended or len(wanted.payment) > 1:
        return ""
    return shlex.join(["paynotify", "history", *_options(wanted)])


def _options(wanted: ActionsFilter | RejectedFilter | DeadFilter) -> list[str]:
    """Every field but the place in the list, each in one word, as a value may begin with a hyphen."""
    return [f"--{name}={text}" for name, text in wanted.pairs() if name != "before"]
