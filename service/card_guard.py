"""Masks card numbers in the records that hold what callers and providers sent, before they are published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from paynotify.schemas import topics
from paynotify.schemas.cloudevents import ENCRYPTION_KEY
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.records import Output
from paynotify.service.card_numbers import CardNumbers, header


def _unwatched(topic: str, count: int) -> None:
    """Nobody wants to know."""


class CardGuard:
    """Looks at the raw topics and at dead letters; what else is published holds nothing that was sent but ids.

    ``masked`` is told of a record's topic, and how many numbers the record had.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        id_fields: Iterable[str] = (),
        masked: Callable[[str, int], None] = _unwatched,
    ) -> None:
        self._topics = frozenset(kafka.topic(one) for one in (*topics.raw_topics(), topics.DEAD))
        self._numbers = CardNumbers(id_fields)
        self._masked = masked

    def outputs(self, outputs: Sequence[Output]) -> Sequence[Output]:
        """The records as they may be published."""
        if any(one.topic in self._topics for one in outputs):
            return [self.output(one) for one in outputs]
        return outputs

    def output(self, output: Output) -> Output:
        """The record as it may be published."""
        if output.topic not in self._topics or not output.value:
            return output
        found = self._numbers.masked(output.value)
        # a value that could not be decrypted is passed on as it is
        if found is None or any(name == ENCRYPTION_KEY for name, _ in output.headers):
            return output
        self._masked(output.topic, found.cards)
        return replace(output, value=found.text, headers=(*output.headers, header(found.cards)))
