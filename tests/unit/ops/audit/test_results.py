"""The audit's checks of the result topics."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import Any

import orjson

from paynotify.ops.audit.results import ResultChecks
from paynotify.ops.common.topic_reader import TopicPartition

PARTITION = TopicPartition("payments.status", 0)


def _event(sequence: int, key: str = "shop-hu/a", event_id: str = "", **more: Any) -> Any:
    value = {"event_id": event_id or str(uuid.uuid4()), "sequence": sequence, **more}
    return SimpleNamespace(key=key.encode(), value=orjson.dumps(value), offset=sequence)


def test_gapless_sequence_with_identical_repeats_is_correct() -> None:
    results = ResultChecks(frozenset({PARTITION}))
    first, second = _event(1), _event(2)
    assert list(results.status(PARTITION, [first, second, first, second, _event(1, "shop-hu/b")])) == []
    assert (results.sums.events, results.sums.payments, results.sums.repeats) == (3, 2, 2)


def test_gap_is_reported_with_payment_and_position() -> None:
    results = ResultChecks(frozenset({PARTITION}))
    (found,) = results.status(PARTITION, [_event(1), _event(3)])
    assert str(found) == "results: payment shop-hu/a has sequence 3 after 1 (payments.status/0/3)"


def test_missing_first_event_is_a_difference_only_in_complete_partitions() -> None:
    assert list(ResultChecks(frozenset({PARTITION})).status(PARTITION, [_event(2)]))
    assert not list(ResultChecks(frozenset()).status(PARTITION, [_event(2)]))


def test_event_id_with_two_contents_is_a_difference() -> None:
    results = ResultChecks(frozenset({PARTITION}))
    (found,) = results.status(PARTITION, [_event(1, event_id="e"), _event(1, event_id="e", other=True)])
    assert "two contents" in str(found)


def test_latest_must_be_the_last_event() -> None:
    results = ResultChecks(frozenset({PARTITION}))
    first, second = _event(1), _event(2)
    list(results.status(PARTITION, [first, second]))
    assert "is not on payments.latest" in str(next(results.differences()))
    results.latest([first])
    assert "has another event on payments.latest than its last one" in str(next(results.differences()))
    results.latest([second])
    assert list(results.differences()) == []


def test_forgotten_payment_is_no_difference() -> None:
    results = ResultChecks(frozenset({PARTITION}))
    event = _event(1)
    list(results.status(PARTITION, [event]))
    tombstone = SimpleNamespace(key=event.key, value=None)
    results.latest([event, tombstone])
    assert list(results.differences()) == []
    results.latest([tombstone, _event(2)])
    assert "another event" in str(next(results.differences()))
