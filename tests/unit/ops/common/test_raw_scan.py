"""Batches are recognised by their headers, so that most can be skipped without parsing them."""

from __future__ import annotations

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from paynotify.ops.common.raw_scan import batches


def _batch(base: int, keys: list[bytes], compression: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, compression, False, -1, -1, -1, 1 << 20)
    for number, key in enumerate(keys):
        builder.append(number, 1, key, b"v" * 100, [])
    raw = bytearray(builder.build())
    raw[0:8] = base.to_bytes(8, "big")
    return bytes(raw)


def test_batches_are_split_and_an_incomplete_last_one_is_left_out() -> None:
    first, second = _batch(10, [b"a", b"b"]), _batch(12, [b"c"], compression=1)
    raw = first + second + first[:50]
    assert list(batches(raw)) == [
        (0, len(first), 12, False),
        (len(first), len(first) + len(second), 13, True),
    ]
