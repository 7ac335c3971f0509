"""The index: the same as a fold over the topics, in whatever order partitions are read and wherever it is killed."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replace_fields

from paynotify.ops.console.index import payment_index as module
from paynotify.ops.console.index.payment_index import PaymentIndex
from paynotify.ops.console.index.tables import TABLES, Table
from paynotify.schemas import topics
from paynotify.schemas.errors import ConfigurationError, UnreadableError
from paynotify.schemas.messages import encode
from paynotify.schemas.money import Money
from paynotify.schemas.records import Record
from tests.fakes.console_topics import (
    MAKERS,
    NAMES,
    Partitions,
    action,
    expected_payment,
    many,
    newest_record,
    payment_status,
    reads,
    reconciliation,
    record,
    rejected,
)


@st.composite
def partitions(draw: st.DrawFn) -> Partitions:
    chance = draw(st.randoms(use_true_random=False))
    made: Partitions = {}
    for make in MAKERS:
        for partition in (0, 1):
            found, offset = [], 0
            for _ in range(draw(st.integers(0, 8))):
                offset += chance.randint(1, 3)  # compaction leaves gaps
                found.append(make(partition, offset, chance))
            if found:
                made[found[0].topic, partition] = found
    return made


#: The tables, but of those that keep some rows only fewer: a few records must show it.
FEW: Final = tuple(replace(one, kept=min(one.kept, 2)) for one in TABLES)


def test_every_table_has_records_by_chance() -> None:
    assert sorted(make(0, 0, random.Random(1)).topic for make in MAKERS) == sorted(one.topic for one in TABLES)


def folded(made: Partitions, tables: Sequence[Table] = TABLES) -> dict[str, set[tuple[Any, ...]]]:
    """What the topics say, record by record, without SQL."""
    found: dict[str, dict[Any, tuple[Any, ...]]] = {one.name: {} for one in tables}
    by_topic = {one.topic: one for one in tables}
    for (topic, _), records in made.items():
        table = by_topic[topic]
        rows = found[table.name]
        for one in records:
            if one.value is None:
                if table.is_compacted:
                    rows.pop(tuple((one.key or b"").decode().split("/", 1)), None)
                continue
            try:
                row = table.read(one)
            except UnreadableError:
                continue
            key = row[: table.keys] or row[-2:]
            if key not in rows or _rank(table, row) >= _rank(table, rows[key]):
                rows[key] = row
    return {one.name: set(_kept(one, found[one.name])) for one in tables}


def _kept(table: Table, rows: Mapping[Any, tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    by_first: dict[Any, list[Any]] = {}
    for key in sorted(rows, reverse=True):
        by_first.setdefault(key[0], []).append(key)
    for keys in by_first.values():
        yield from (rows[key] for key in (keys[: table.kept] if table.kept else keys))


def _rank(table: Table, row: Sequence[Any]) -> tuple[Any, ...]:
    newest = (row[table.columns.index(table.newest)],) if table.newest else ()
    return (*newest, *row[-2:])


def held(path: Path) -> dict[str, set[tuple[Any, ...]]]:
    database = sqlite3.connect(path)
    found = {one.name: set(database.execute(f"SELECT * FROM {one.name}")) for one in TABLES}
    database.close()
    return found


def fill(index: PaymentIndex, made: Partitions, chance: random.Random) -> None:
    for (topic, partition), part in reads(made, chance):
        index.apply(topic, partition, part, part[-1].offset + 1)


@settings(max_examples=60)
@given(partitions(), st.randoms(use_true_random=False))
def test_index_is_a_fold_over_the_topics_in_any_interleaving(made: Partitions, chance: random.Random) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TABLES", FEW)
        path = Path(folder) / "index.sqlite"
        # closed even where hypothesis gives up an example at a draw
        with contextlib.closing(PaymentIndex(path, NAMES, "test")) as index:
            fill(index, made, chance)
            assert index.positions() == {place: found[-1].offset + 1 for place, found in made.items()}
        assert held(path) == folded(made, FEW)


KILLS: Final = 5

FILLER: Final = """
import random, sys
from pathlib import Path
from paynotify.ops.console.index.payment_index import PaymentIndex
from tests.fakes.console_topics import NAMES, many, reads
index = PaymentIndex(Path(sys.argv[1]), NAMES, "test")
at = index.positions()
left = {place: [one for one in found if one.offset >= at.get(place, 0)] for place, found in many().items()}
print(flush=True)
for (topic, partition), part in reads({place: found for place, found in left.items() if found}, random.Random()):
    index.apply(topic, partition, part, part[-1].offset + 1)
"""


def test_index_that_is_killed_again_and_again_is_a_fold_over_the_topics(tmp_path: Path) -> None:
    path, chance = tmp_path / "index.sqlite", random.Random()
    for _ in range(KILLS):
        with subprocess.Popen([sys.executable, "-c", FILLER, str(path)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()  # it fills from now on
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=chance.uniform(0, 0.1))
            child.kill()
        assert child.returncode in (0, -signal.SIGKILL)
    subprocess.run([sys.executable, "-c", FILLER, str(path)], check=True, stdout=subprocess.DEVNULL, timeout=120)
    assert held(path) == folded(many())


def test_rows_of_records_that_the_topic_no_longer_has_are_removed(tmp_path: Path) -> None:
    index = PaymentIndex(tmp_path / "index.sqlite", NAMES, "test")
    chance = random.Random(1)
    index.apply(topics.REJECTED, 0, [rejected(0, offset, chance) for offset in range(5)], 5)
    payment = payment_status("a", 1)
    index.apply(topics.LATEST, 0, [newest_record(0, payment)], 1)
    runs = [reconciliation(0, offset, chance) for offset in range(40)]
    index.apply(topics.RECONCILIATIONS, 0, runs, 40)
    index.apply(topics.OPERATORS, 0, [action(0, offset, chance) for offset in range(40)], 40)
    index.forget_before(topics.REJECTED, 0, 3)
    index.forget_before(topics.OPERATORS, 0, 38)
    index.forget_before(topics.RECONCILIATIONS, 0, 30)
    index.forget_before(topics.LATEST, 0, 1)
    index.close()
    rows = held(tmp_path / "index.sqlite")
    assert sorted(row[-1] for row in rows["rejected"]) == [3, 4]
    assert {row[-1] for row in rows["reconciliations"]} <= set(range(30, 40))
    assert {row[-1] for row in rows["actions"]} in ({39}, {38, 39}), "operators' names go with their records"
    assert len(rows["payments"]) == 1, "a payment's newest event stays although its record may be compacted"


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be taken for one" * 40, b""])
def test_file_that_is_no_index_is_made_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "index.sqlite"
    path.write_bytes(content)
    index = PaymentIndex(path, NAMES, "test")
    assert index.positions() == {}
    index.close()


def test_index_of_another_installation_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    first = PaymentIndex(path, NAMES, "one")
    first.apply(topics.REJECTED, 0, [], 7)
    first.close()
    again = PaymentIndex(path, NAMES, "one")
    assert again.positions() == {(topics.REJECTED, 0): 7}
    again.close()
    other = PaymentIndex(path, NAMES, "other")
    assert other.positions() == {}
    other.close()


def test_index_that_is_cleared_begins_anew(tmp_path: Path) -> None:
    index = PaymentIndex(tmp_path / "index.sqlite", NAMES, "test")
    fill(index, many(), random.Random(3))
    index.clear()
    assert index.positions() == {}
    assert not any(held(tmp_path / "index.sqlite").values())
    fill(index, many(), random.Random(4))
    index.close()
    assert held(tmp_path / "index.sqlite") == folded(many())


def test_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--index"):
        PaymentIndex(tmp_path / "missing" / "index.sqlite", NAMES, "test")


def announced(
    partition: int, offset: int, amount: Money, timestamp: float = 0.0, at: str = "2026-11-29T10:00:00Z"
) -> Record:
    one = replace_fields(expected_payment("O1", amount), created_at=at)
    return replace_fields(record(topics.EXPECTED, partition, offset, "any", encode(one)), timestamp_seconds=timestamp)


@pytest.mark.parametrize(
    "refused",
    [
        announced(0, 1, Money(2000, "gbp")),
        announced(0, 1, Money(0, "GBP")),
        announced(0, 1, Money(2000, "GBP"), at="soon"),
        announced(0, 1, Money(2000, "GBP"), at="2026-11-30T10:00:00"),
    ],
)
def test_announcement_that_the_stages_refuse_is_not_expected(refused: Record, tmp_path: Path) -> None:
    assert expected_amounts(tmp_path, [[announced(0, 0, Money(1050, "GBP")), refused]]) == [1050]


def test_newest_announcement_is_the_one_that_payments_are_compared_with(tmp_path: Path) -> None:
    """Sold at the same time by the shop's clock, the one written later counts, also in a lower partition."""
    later = announced(0, 3, Money(900, "GBP"), timestamp=200.0)
    earlier = announced(1, 7, Money(1050, "GBP"), timestamp=100.0)
    for number, order in enumerate(([[later], [earlier]], [[earlier], [later]])):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert expected_amounts(folder, order) == [900]


def expected_amounts(folder: Path, parts: list[list[Record]]) -> list[int]:
    index = PaymentIndex(folder / "index.sqlite", NAMES, "test")
    for part in parts:
        index.apply(topics.EXPECTED, part[0].partition, part, part[-1].offset + 1)
    index.close()
    database = sqlite3.connect(folder / "index.sqlite")
    found = [amount for (amount,) in database.execute("SELECT amount FROM expected")]
    database.close()
    return found
