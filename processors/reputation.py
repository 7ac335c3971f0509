"""reputation: which ids of unsigned calls the provider knew, so that ``verify`` can tell regulars from strangers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from processors.budget import count, counted, known_key, unknown_key
from processors.dead_letters import ended
from processors.loop import Publish
from processors.state import Overlay
from schemas import topics
from schemas.configuration import Kafka
from schemas.records import Output, Record

KNOWN: Final = b"known"
UNKNOWN: Final = b"unknown"


class Reputation:
    """Shares verify's state, under keys that only this stage writes."""

    name = "reputation"

    def __init__(self, provider: str, kafka: Kafka) -> None:
        self.provider = provider
        self._dead = kafka.topic(topics.DEAD)

    async def work(self, batch: Sequence[Record], state: Overlay, publish: Publish) -> Sequence[Output]:
        """Remember known ids; count unknown ones. A repeat counts an unknown id twice, which costs a stranger more."""
        for record in batch:
            merchant, _, reference = (record.key or b"").decode("utf-8", "replace").partition("/")
            if record.value == KNOWN:
                state.put(known_key(merchant, reference), b"1")
            elif record.value == UNKNOWN:
                key = unknown_key(merchant)
                state.put(key, counted(count(state.get(key)) + 1))
        return ()

    def bury(self, record: Record) -> Output:
        return ended(record, self._dead, "internal_error")
