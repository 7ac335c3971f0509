"""The payment ids that the provider knows, as far as its responses show: known ids have a budget of their own.

``verify`` can't ask the provider. So ``fetch`` and other stages publish what they learn of each id on the topic
``lookups.<provider>.known``, and the stage here stores it in verify's state.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from paynotify.processors.dead_letters import dead_lettered
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.state.overlay import Overlay
from paynotify.schemas import topics
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.messages import KNOWN, UNKNOWN
from paynotify.schemas.records import Output, Record

_COUNT: Final = struct.Struct(">Q")


class KnownIds:
    """The known ids in one partition's state, and how many unknown ones each merchant's notifications named."""

    def __init__(self, state: Overlay) -> None:
        self._state = state

    def is_known(self, merchant: str, reference: str) -> bool:
        """Whether the provider has known the id."""
        return self._state.get(_known_key(merchant, reference)) is not None

    def unknown_count(self, merchant: str) -> int:
        """How many ids of the merchant's notifications the provider has not known so far."""
        stored = self._state.get(_unknown_key(merchant))
        return int(_COUNT.unpack(stored)[0]) if stored is not None else 0

    def add_known(self, merchant: str, reference: str) -> None:
        """Store the id, unless it is known already: each response says so again, and most come one by one."""
        if not self.is_known(merchant, reference):
            self.renew(merchant, reference)

    def renew(self, merchant: str, reference: str) -> None:
        """Store a known id again, so that it is retained for as long as if it had become known now."""
        self._state.put(_known_key(merchant, reference), b"1")

    def add_unknown(self, merchant: str) -> None:
        self._state.put(_unknown_key(merchant), _COUNT.pack(self.unknown_count(merchant) + 1))


class KnownIdsStage:
    """Stores what other stages learned of ids. Shares verify's state, under keys that only this stage writes."""

    name = "reputation"

    def __init__(self, provider: str, kafka: KafkaSettings) -> None:
        self.provider = provider
        self._dead = kafka.topic(topics.DEAD)

    async def process(self, context: BatchContext) -> Sequence[Output]:
        """Store known ids and count unknown ones. A batch processed again counts an unknown id twice: the budget of
        unauthenticated callers is then charged more than it should be, never less."""
        known_ids = KnownIds(context.state)
        for record in context.records:
            merchant, _, reference = (record.key or b"").decode("utf-8", "replace").partition("/")
            if record.value == KNOWN:
                known_ids.add_known(merchant, reference)
            elif record.value == UNKNOWN:
                known_ids.add_unknown(merchant)
        return ()

    def dead_letter(self, record: Record) -> Output:
        return dead_lettered(record, self._dead, "internal_error")


def _known_key(merchant: str, reference: str) -> bytes:
    return b"known\0" + merchant.encode() + b"/" + reference.encode()


def _unknown_key(merchant: str) -> bytes:
    return b"unknown\0" + merchant.encode()
