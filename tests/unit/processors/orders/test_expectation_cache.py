"""The cache finds the newest expectation of each payment, whatever order the records are read in."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.orders.expectation_cache import ExpectationCache
from paynotify.processors.orders.intake_stage import OrderIntakeStage
from paynotify.processors.runtime.stage import BatchContext
from paynotify.schemas.errors import StateUnavailableError
from paynotify.schemas.money import Money
from paynotify.schemas.records import Record
from tests.fakes.expected_payments import written
from tests.fakes.stages import KAFKA, empty, header, metrics, refuse_publish


@pytest.fixture
def cache(tmp_path: Path) -> ExpectationCache:
    return ExpectationCache({}, "payments.expected", tmp_path / "expected", 3600)


def amounts(cache: ExpectationCache, *asked: tuple[str, str, str | None]) -> list[int | None]:
    """What is expected of each payment asked for."""
    return [None if found is None else found.amount.value for found in (cache.of(*one) for one in asked)]


def read(cache: ExpectationCache, *values: bytes | None, first: int = 0, partition: int = 0) -> None:
    """Let the cache read a partition's next records."""
    cache.apply(
        partition,
        [
            SimpleNamespace(value=value, timestamp=first + number, offset=first + number)
            for number, value in enumerate(values)
        ],
    )


def test_expectation_is_found_by_payment_first_and_then_by_order(cache: ExpectationCache) -> None:
    read(cache, written(), written(order_id="o2", payment_id="p2", amount=Money(5, "GBP")))
    asked = (("shop", "p1", "o1"), ("shop", "p2", None), ("shop", "p2", "o1"), ("shop", "p1", None))
    assert amounts(cache, *asked, ("another", "p2", "o1")) == [1000, 5, 5, None, None]


def test_expectation_of_several_payments_is_found_as_one(cache: ExpectationCache) -> None:
    read(cache, written(), written(order_id="o2", several=True))
    found = [cache.of("shop", "p", order) for order in ("o1", "o2")]
    assert [one is not None and one.several for one in found] == [False, True]


def test_newer_expectation_stays_in_any_order_of_reading(cache: ExpectationCache) -> None:
    old, new = written(), written(created_at="2026-06-01T12:30:00Z", amount=Money(7, "GBP"))
    for number, values in enumerate(([old, new], [new, old], [new], [old])):
        read(cache, *values, first=number * 2, partition=number % 2)
        assert amounts(cache, ("shop", "p", "o1")) == [7 if number < 4 else 1000]


def test_later_record_counts_for_every_reader_if_created_at_is_equal(tmp_path: Path) -> None:
    first, second = (ExpectationCache({}, "t", tmp_path / name, 3600) for name in "ab")
    for one in (first, second):
        for number in (0, 1) if one is first else (1, 0):
            read(one, written(amount=Money(number + 1, "GBP")), first=number, partition=number)
    assert amounts(first, ("shop", "p", "o1")) == amounts(second, ("shop", "p", "o1")) == [2]


def test_newest_expectation_counts_for_a_payment_it_does_not_name_again(
    cache: ExpectationCache,
) -> None:
    read(cache, written(payment_id="p1"), written(created_at="2026-06-01T12:30:00Z", amount=Money(1500, "GBP")))
    assert amounts(cache, ("shop", "p1", "o1"), ("shop", "p1", None), ("shop", "p2", "o1")) == [1500, 1500, 1500]


async def test_processes_that_share_a_directory_use_files_of_their_own(tmp_path: Path) -> None:
    caches = [ExpectationCache({}, "t", tmp_path / "expected", 3600) for _ in range(3)]
    for number, one in enumerate(caches):
        one._open()
        read(one, written(amount=Money(number + 1, "GBP")))
    assert [amounts(one, ("shop", "p", "o1")) for one in caches] == [[1], [2], [3]]
    await caches[1].stop()
    again = ExpectationCache({}, "t", tmp_path / "expected", 3600)
    again._open()
    assert amounts(again, ("shop", "p", "o1")) == [2], "what was read before need not be read again"


def test_files_that_cannot_be_opened_raise_an_error(tmp_path: Path) -> None:
    (tmp_path / "expected").write_text("a file where the directory should be")
    with pytest.raises(StateUnavailableError):
        ExpectationCache({}, "t", tmp_path / "expected", 3600)._open()


def test_unreadable_record_is_skipped(cache: ExpectationCache) -> None:
    read(cache, b"garbage", None, written(amount=None), written())
    assert amounts(cache, ("shop", "p", "o1")) == [1000]


async def test_cache_is_the_same_after_a_restart(tmp_path: Path) -> None:
    first = ExpectationCache({}, "payments.expected", tmp_path / "expected", 3600)
    read(first, written())
    await first.stop()
    again = ExpectationCache({}, "t", tmp_path / "expected", 3600)
    assert amounts(again, ("shop", "p", "o1")) == [1000]


async def test_cache_and_intake_stage_agree_on_the_version(cache: ExpectationCache) -> None:
    """Otherwise the order would correct each of the payment's observations."""
    value = written(payment_id="p1")
    read(cache, value, first=7)
    stage = OrderIntakeStage({"shop": "trustpayments"}, [], KAFKA, metrics())
    one = Record("payments.expected", 0, 7, b"", value, (), 0.007)
    (output,) = await stage.process(BatchContext([one], empty(), refuse_publish))
    found = cache.of("shop", "p1", "o1")
    assert found is not None
    assert header(output, "said") == found.said == found.announced


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=20))
def test_batches_of_any_size_leave_the_same_cache(orders: list[tuple[int, int]]) -> None:
    values = [written(created_at=f"2026-06-01T12:0{at}:00Z", amount=Money(value, "GBP")) for at, value in orders]
    caches = [_Memory(), _Memory()]
    if values:
        read(caches[0], *values)
    for number, value in enumerate(values):
        read(caches[1], value, first=number)
    assert caches[0].of("shop", "p", "o1") == caches[1].of("shop", "p", "o1")


class _Memory(ExpectationCache):
    """A cache whose store is a dictionary."""

    def __init__(self) -> None:
        super().__init__({}, "t", Path("nowhere"), 3600)
        self.values: dict[bytes, bytes | None] = {}
        self._store = self  # type: ignore[assignment]  # the two methods below are all that is used of it

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def write(self, changes: dict[bytes, bytes | None], next_offset: int, state_format: int = 1) -> None:
        self.values.update(changes)
