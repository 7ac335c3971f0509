"""reputation: which ids of unsigned calls the provider knew, so that ``verify`` can tell regulars from strangers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from processors.dead_letters import ended
from processors.runtime.loop import BatchContext
from processors.verify.unsigned_budget import count, counted, known_key, unknown_key
from schemas import topics
from schemas.configuration.model import KafkaSettings
from schemas.records import Output, Record

KNOWN: Final = b"known"
UNKNOWN: Final = b"unknown"


class KnownIdsStage:
    """Shares verify's state, under keys that only this stage writes."""

    name = "reputation"

    def __init__(self, provider: str, kafka: KafkaSettings) -> None:
        self.provider = provider
        self._dead = kafka.topic(topics.DEAD)

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """Remember known ids; count unknown ones. A repeat counts an unknown id twice, which costs a stranger more."""
        for record in context.records:
            merchant, _, reference = (record.key or b"").decode("utf-8", "replace").partition("/")
            if record.value == KNOWN:
                context.state.put(known_key(merchant, reference), b"1")
            elif record.value == UNKNOWN:
                key = unknown_key(merchant)
                context.state.put(key, counted(count(context.state.get(key)) + 1))
        return ()

    def dead_letter(self, record: Record) -> Output:
        return ended(record, self._dead, "internal_error")
