"""Encrypted values in the stage loop: stages never see one, and no one is taken for a plain value."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Final

import pytest
from msgspec.structs import replace

from paynotify.ops.replay.original import original
from paynotify.processors.dead_letters import dead_lettered
from paynotify.processors.runtime.loop import Batch, StageLoop
from paynotify.processors.runtime.stage import BatchContext
from paynotify.schemas.configuration.encryption import EncryptionKey, EncryptionSettings
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.configuration.secrets import SecretRef
from paynotify.schemas.records import Output, Record
from paynotify.service.value_cipher import ValueCipher
from tests.fakes.stages import RecordingPublisher, counted, metrics, record

CALLS: Final = "notifications.nevogate"
KEY: Final = EncryptionKey(id="k1", key=SecretRef(value=base64.b64encode(bytes(32)).decode()))
CIPHER: Final = ValueCipher(KafkaSettings(), EncryptionSettings(keys=(KEY,)))


class Copying:
    """Copies each record to a raw topic at once and to one that is not; ``broken`` by a defect."""

    name = "copy"
    provider = "nevogate"
    broken = False

    def __init__(self) -> None:
        self.seen: list[bytes | None] = []

    async def process(self, context: BatchContext) -> Sequence[Output]:
        if self.broken:
            raise ZeroDivisionError
        self.seen += [one.value for one in context.records]
        await context.publish([Output("responses.nevogate", one.key, one.value, ()) for one in context.records])
        return [Output("observations", one.key, one.value, ()) for one in context.records]

    def dead_letter(self, record: Record) -> Output:
        return dead_lettered(record, "lookups.dead", "internal_error")


def encrypted(value: bytes, offset: int = 0) -> Record:
    plain = record(value, {"ce_id": "n-1"}, offset=offset, topic=CALLS)
    stored = CIPHER.output(Output(CALLS, plain.key, plain.value, plain.headers))
    return replace(plain, value=stored.value, headers=stored.headers)


class Loop:
    def __init__(self, cipher: ValueCipher | None = CIPHER) -> None:
        self.stage, self.publisher, self.metrics = Copying(), RecordingPublisher(), metrics()
        self.loop = StageLoop(self.stage, self.publisher, self.metrics, cipher=cipher)
        self.acknowledged = 0

    async def take(self, *records: Record) -> None:
        def acknowledge(count: int) -> None:
            self.acknowledged += count

        await self.loop.process_batch(Batch(records, 1, acknowledge, lambda: True))

    def published(self, topic: str) -> list[Output]:
        return [one for one in self.publisher.outputs if one.topic == topic]


def as_record(output: Output) -> Record:
    return Record(output.topic, 0, 0, output.key, output.value, output.headers, 0.0)


async def test_stage_sees_plain_values_and_raw_outputs_are_encrypted() -> None:
    bench = Loop()
    await bench.take(encrypted(b"joe"), record(b"plain", offset=1, topic=CALLS))
    assert bench.stage.seen == [b"joe", b"plain"]
    assert [one.value for one in bench.published("observations")] == [b"joe", b"plain"]
    raw = bench.published("responses.nevogate")
    assert not {b"joe", b"plain"} & {one.value for one in raw}
    assert [CIPHER.record(as_record(one)).value for one in raw] == [b"joe", b"plain"]


@pytest.mark.parametrize("cipher", [None, ValueCipher(KafkaSettings(), None)])
async def test_stage_without_the_key_waits_and_loses_nothing(
    cipher: ValueCipher | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = asyncio.Event()
    turn = asyncio.sleep

    async def pause(seconds: float) -> None:
        waited.set()
        await turn(0)

    monkeypatch.setattr("paynotify.processors.runtime.loop.asyncio.sleep", pause)
    bench = Loop(cipher)
    task = asyncio.ensure_future(bench.take(encrypted(b"joe")))
    async with asyncio.timeout(5):
        await waited.wait()
    assert (bench.stage.seen, bench.publisher.outputs, bench.acknowledged) == ([], [], 0)
    assert counted(bench.metrics.stage_errors, provider="nevogate", stage="copy", kind="configuration") >= 1
    task.cancel()


async def test_value_of_another_record_is_dead_lettered_alone() -> None:
    bench = Loop()
    moved = replace(encrypted(b"joe"), key=b"shop/2")
    await bench.take(moved, encrypted(b"ann", 1))
    assert bench.stage.seen == [b"ann"]
    (letter,) = bench.published("lookups.dead")
    assert (letter.key, letter.value) == (b"shop/2", moved.value)
    assert bench.acknowledged == 2


async def test_record_that_broke_its_stage_is_replayed_with_its_value() -> None:
    bench = Loop()
    bench.stage.broken = True
    await bench.take(encrypted(b"joe"))
    (letter,) = bench.published("lookups.dead")
    assert letter.value != b"joe"
    replayed = CIPHER.output(original(CIPHER.record(as_record(letter))))
    assert replayed.topic == CALLS
    assert replayed.value != b"joe"
    assert CIPHER.record(as_record(replayed)).value == b"joe"
