"""What a command of the product sees of the brokers: what it may read, and where it sends."""

from __future__ import annotations

from typing import Any

from paynotify.schemas.records import Output


class RecordingBrokers:
    """Stands for `Tail`, `TopicReader` and `RecordSender`: keeps what is sent, returns the given batches."""

    def __init__(self, *batches: list[bytes]) -> None:
        self.sent: list[Output] = []
        self._batches = list(batches)

    def __call__(self, *about: object, **details: object) -> RecordingBrokers:
        return self

    def __enter__(self) -> RecordingBrokers:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def send(self, output: Output) -> None:
        self.sent.append(output)

    def flush(self) -> None:
        return

    def read(self, within_seconds: float) -> list[Any]:
        return [type("R", (), {"value": one}) for one in (self._batches.pop(0) if self._batches else [])]
