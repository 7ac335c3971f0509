"""The commands of the pages on Java, Go and TypeScript lead to effects (`make consumers`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from paynotify.sandbox.processes import wait_for
from paynotify.schemas import topics
from tests.consume.languages import LANGUAGES
from tests.consume.page import Page
from tests.consume.results import written
from tests.long_form import LONG
from tests.topics_reader import send

pytestmark = pytest.mark.kafka

DEADLINE_SECONDS: Final = 90.0
RECORDS: Final = 100

#: What is typed before the command that starts the consumer, and a word of that one.
TYPED: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "java": (("copy-dependencies", "javac"), "PaymentConsumer"),
    "go": (("go build",), "build/go/consumer"),
    "typescript": (("npm ci",), "consumer.ts"),
}


@pytest.mark.skipif(not LONG, reason="the short form compiles and runs the same in the cache")
@pytest.mark.parametrize("language", TYPED)
def test_commands_of_the_page_lead_to_effects(results_kafka: str, tmp_path: Path, language: str) -> None:
    before, start = TYPED[language]
    program, *_ = LANGUAGES[language]()  # skips where a tool is missing; Node.js may be one of the cache
    effects = tmp_path / "effects"
    page = Page(f"{language}.md", {"KAFKA": results_kafka, "GROUP": language, "EFFECTS": str(effects)}, tmp_path)
    send(results_kafka, topics.STATUS, written()[:RECORDS])
    for words in before:
        page.type(words)
    consumer = page.start(start, {"node ": f"{program} "} if language == "typescript" else None)
    try:
        done = wait_for(lambda: len(list(effects.glob("payments/*/*"))) == RECORDS, within_seconds=DEADLINE_SECONDS)
        assert done, consumer.end()
    finally:
        page.end()
    assert page.left() == []
