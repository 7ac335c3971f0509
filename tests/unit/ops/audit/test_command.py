"""The audit's bookkeeping."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from ops.audit.ledger import End, Fate, Ledger, identity, shown
from ops.audit.results import Results
from ops.common.topic_reader import Place

NAME = uuid.uuid4().bytes
PLACE = Place("payments.status", 0)


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (Fate.STORED | Fate.LOOKUP, "lookup"),
        (Fate.STORED | Fate.DUPLICATE, "duplicate"),
        (Fate.STORED | Fate.REJECTED, "rejected"),
        (Fate.STORED | Fate.ALERT, "alert"),
        (Fate.STORED | Fate.OPEN, "in_work"),
        (Fate.STORED | Fate.REPLAYED | Fate.REJECTED | Fate.LOOKUP, "lookup"),
        (Fate.STORED | Fate.REPLAYED | Fate.REJECTED | Fate.OPEN, "rejected"),
    ],
)
def test_a_notification_that_ends_as_one_thing_is_no_difference(flags: int, word: str) -> None:
    ledger = Ledger("nevogate")
    ledger.notification(NAME, flags)
    assert list(ledger.differences()) == []
    sums = ledger.sums().notifications
    assert sums["stored"] == sums[word] == 1
    assert sum(sums.values()) == 2


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (Fate.STORED, "has become nothing"),
        (Fate.LOOKUP, "is lookup but was never stored"),
        (Fate.STORED | Fate.LOOKUP | Fate.REJECTED, "is lookup and rejected"),
    ],
)
def test_a_notification_that_does_not_is_told(flags: int, told: str) -> None:
    ledger = Ledger("nevogate")
    ledger.notification(NAME, flags)
    (found,) = ledger.differences()
    assert told in str(found)
    assert shown(NAME) in str(found)


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (End.ASKED | End.ANSWERED, "answered"),
        (End.ASKED | End.DEAD, "dead"),
        (End.ASKED | End.WAITING, "waiting"),
        (End.ASKED | End.OPEN, "in_work"),
        (End.ASKED | End.DEAD | End.OPEN, "in_work"),  # replayed and not yet fetched
        (End.ASKED | End.DEAD | End.ANSWERED, "answered"),
    ],
)
def test_a_lookup_that_ends_or_waits_is_no_difference(flags: int, word: str) -> None:
    ledger = Ledger("nevogate")
    ledger.lookup(NAME, flags)
    assert list(ledger.differences()) == []
    assert ledger.sums().lookups[word] == 1


def test_a_lookup_without_end_and_an_end_without_lookup_are_told() -> None:
    ledger = Ledger("nevogate")
    ledger.lookup(NAME, End.ASKED)
    ledger.lookup(uuid.uuid4().bytes, End.ANSWERED)
    told = " ".join(str(one) for one in ledger.differences())
    assert "neither response nor dead letter" in told
    assert "ended but was never asked" in told


def test_an_id_is_its_uuid_or_a_digest() -> None:
    name = str(uuid.uuid4())
    assert shown(identity(name.encode())) == name
    assert len(identity(b"a-word")) == len(identity(b"x" * 36)) == 16


def _event(sequence: int, key: str = "shop-hu/a", event_id: str = "", **more: Any) -> Any:
    value = {"event_id": event_id or str(uuid.uuid4()), "sequence": sequence, **more}
    return SimpleNamespace(key=key.encode(), value=orjson.dumps(value), offset=sequence)


def test_a_gapless_sequence_with_identical_repeats_is_no_difference() -> None:
    results = Results(frozenset({PLACE}))
    first, second = _event(1), _event(2)
    assert list(results.status(PLACE, [first, second, first, second, _event(1, "shop-hu/b")])) == []
    assert (results.sums.events, results.sums.payments, results.sums.repeats) == (3, 2, 2)


def test_a_gap_is_told_with_payment_and_place() -> None:
    results = Results(frozenset({PLACE}))
    (found,) = results.status(PLACE, [_event(1), _event(3)])
    assert str(found) == "results: payment shop-hu/a has sequence 3 after 1 (payments.status/0/3)"


def test_a_missing_first_event_is_told_only_where_the_partition_was_read_from_its_beginning() -> None:
    assert list(Results(frozenset({PLACE})).status(PLACE, [_event(2)]))
    assert not list(Results(frozenset()).status(PLACE, [_event(2)]))


def test_one_event_id_with_two_contents_is_told() -> None:
    results = Results(frozenset({PLACE}))
    (found,) = results.status(PLACE, [_event(1, event_id="e"), _event(1, event_id="e", other=True)])
    assert "two contents" in str(found)


def test_the_latest_must_be_the_last_event() -> None:
    results = Results(frozenset({PLACE}))
    first, second = _event(1), _event(2)
    list(results.status(PLACE, [first, second]))
    assert "is not on payments.latest" in str(next(results.differences()))
    results.latest([first])
    assert "is not its last event" in str(next(results.differences()))
    results.latest([second])
    assert list(results.differences()) == []
