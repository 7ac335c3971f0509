"""The page on personal data names every topic, with its real retention, and says which values can be encrypted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from paynotify.schemas import topics
from paynotify.schemas.providers import provider_names

PAGE: Final = Path(__file__).parents[3] / "docs" / "operations" / "personal-data.md"
DAY: Final = 86_400
UNLIMITED: Final = "unlimited"


def general(name: str) -> str:
    """The topic's name as the page has it: `P` for the provider, `N` for the step."""
    for provider in provider_names():
        name = re.sub(rf"\.{provider}(?=\.|$)", ".P", name)
    return re.sub(r"\.retry\.\d$", ".retry.N", name)


def rows() -> dict[str, tuple[str, str]]:
    """Retention and encryption by topic, as the page says."""
    found: dict[str, tuple[str, str]] = {}
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[0].startswith("`"):
            for name in re.findall(r"`([^`]+)`", cells[0]):
                assert name not in found
                found[name] = cells[2], cells[3]
    return found


def test_page_names_every_topic_with_its_retention() -> None:
    listed = [one for one in topics.all_topics() if not one.name.endswith("-changelog")]
    said = rows()
    assert {general(one.name) for one in listed} == set(said)
    for one in listed:
        seconds = one.retention_seconds
        days = UNLIMITED if seconds is None else f"{seconds // DAY} day{'s' if seconds > DAY else ''}"
        assert said[general(one.name)][0].partition(",")[0] == days, one.name


def test_page_says_which_values_can_be_encrypted() -> None:
    raw = {general(name) for name in topics.raw_topics()}
    encrypted = {name for name, (_, answer) in rows().items() if answer == "yes"}
    assert encrypted == raw
    assert rows()["lookups.dead"][1] == "responses"
