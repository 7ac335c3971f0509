"""One line about an action, for `paynotify history` and the console."""

from __future__ import annotations

from typing import Final

from paynotify.ops.history.actions import HistoryEntry
from paynotify.schemas.messages import OperatorAction

#: What is shown of an action without a record of its end.
UNENDED: Final = "unknown end"

ENTRY_HEADER: Final = ("began", "by", "command", "about", "arguments", "why", "end")


def entry_row(entry: HistoryEntry) -> tuple[str, ...]:
    """The action under `ENTRY_HEADER`."""
    action = entry.intended
    about = "/".join(one for one in (action.merchant, action.payment_id) if one)
    arguments = " ".join(f"{name}={text}" for name, text in action.arguments.items())
    return action.at, _who(action), action.command, about, arguments, action.reason or "", _end(entry)


def _who(action: OperatorAction) -> str:
    """Who acted; of a name that somebody gave, also the user that gave it."""
    return action.by if action.identity != "named" else f"{action.by} ({action.os_user})"


def _end(entry: HistoryEntry) -> str:
    ended = entry.ended
    if ended is None:
        planned = entry.intended.planned
        return UNENDED if planned is None else f"{UNENDED} of {planned}"
    count = "" if ended.published is None else f" {ended.published} of {ended.planned}"
    details = "".join(f" {name}={text}" for name, text in ended.result.items())
    return f"{ended.state}{count}{details}" + (f": {ended.problem}" if ended.problem else "")
