"""The lines of a payment's story: `trace`'s timeline, with the way to each record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paynotify.ops.common.amounts import money_text
from paynotify.ops.console.links import record_path
from paynotify.ops.trace.timeline import Timeline, TimelineEntry
from paynotify.schemas.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryLine:
    """One record of the story. ``details`` are names and texts."""

    at: str
    kind: str
    what: str
    place: str
    href: str
    details: tuple[tuple[str, str], ...]


def story_lines(story: Timeline) -> list[StoryLine]:
    """The timeline's entries in their order."""
    return [_line(one) for one in story.entries]


def waiting_lookup(story: Timeline) -> tuple[str, str] | None:
    """Why and until when the payment's newest lookup waits to be tried again; None if it does not."""
    tries = [one for one in story.entries if one.kind in ("retry", "answer", "dead", "status")]
    if not tries or tries[-1].kind != "retry":
        return None
    return tries[-1].details["reason"], tries[-1].details["not_before"]


def is_answered(story: Timeline) -> bool:
    """Whether the provider has answered about the payment since its newest dead letter, as after a replay. An answer
    that changes nothing publishes no status that would tell it."""
    tries = [one.kind for one in story.entries if one.kind in ("retry", "answer", "dead")]
    return tries[-1:] == ["answer"]


def _line(entry: TimelineEntry) -> StoryLine:
    details = ((name.replace("_", " "), _text(value)) for name, value in entry.details.items())
    return StoryLine(
        at=entry.at,
        kind=entry.kind,
        what=entry.what,
        place=f"{entry.topic}/{entry.partition}/{entry.offset}",
        href=record_path(entry.topic, entry.partition, entry.offset),
        details=tuple((name, text) for name, text in (("id", entry.id), *details) if text),
    )


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        if set(value) == {"value", "currency"}:
            return money_text(Money(value["value"], value["currency"]))
        return ", ".join(f"{name} {text}" for name, one in value.items() if (text := _text(one)))
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
