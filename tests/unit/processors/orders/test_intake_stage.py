"""What shops write is put in order, or kept with its reason; what cannot be read hurts nothing else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.orders.expectation_cache import ExpectationCache
from processors.orders.intake_stage import OrderIntakeStage, expected_of
from processors.runtime.loop import BatchContext
from schemas import messages
from schemas.errors import StateUnavailableError, UnreadableError
from schemas.messages import ExpectedPayment
from schemas.money import Money
from schemas.records import Output, Record
from tests.fakes.stages import KAFKA, counted, empty, header, metrics, record, refuse_publish

ORDER = {
    "merchant": "shop",
    "order_id": "o1",
    "amount": {"value": 1000, "currency": "GBP"},
    "created_at": "2026-06-01T13:00:00+01:00",
    "final_by": "2026-06-01T14:00:00+01:00",
}

WRONG: tuple[dict[str, Any], ...] = (
    {"amount": {"value": 10.5, "currency": "GBP"}},
    {"amount": {"value": 0, "currency": "GBP"}},
    {"amount": None},
    {"amount": {"value": 1000, "currency": "gbp"}},
    {"created_at": "yesterday"},
    {"created_at": "2026-06-01T13:00:00"},
    {"final_by": "soon"},
    {"order_id": ""},
    {"order_id": "o" * 256},
    {"payment_id": ""},
    {"merchant": 1},
)


def written(**changes: Any) -> bytes:
    return orjson.dumps({**ORDER, **changes})


async def announced(value: bytes | None) -> list[Output]:
    stage = OrderIntakeStage({"shop": "trustpayments", "store": "nevogate"}, ["nevogate"], KAFKA, metrics())
    return list(await stage.process(BatchContext([record(value, topic="payments.expected")], empty(), refuse_publish)))


async def test_an_expected_payment_goes_to_its_order_with_its_times_in_utc() -> None:
    (output,) = await announced(written())
    assert (output.topic, output.key) == ("payments.orders", b"shop/o1")
    assert header(output, "ce_type") == messages.PAYMENT_EXPECTED
    told = messages.decode(output.value, ExpectedPayment)
    assert (told.created_at, told.final_by) == ("2026-06-01T12:00:00.000Z", "2026-06-01T13:00:00.000Z")


async def test_an_announced_id_of_an_unsigned_provider_is_a_known_id() -> None:
    _, known = await announced(written(merchant="store", payment_id="a" * 32))
    assert (known.topic, known.key, known.value) == ("lookups.nevogate.known", b"store/" + b"a" * 32, b"known")
    assert len(await announced(written(payment_id="1-2-3"))) == 1, "signed calls need no such word"


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"[]", *(written(**change) for change in WRONG)])
async def test_what_cannot_be_read_is_kept_with_its_reason(value: bytes | None) -> None:
    (output,) = await announced(value)
    assert (output.topic, output.value) == ("lookups.dead", value)
    assert header(output, "reason") == "unreadable_expectation"
    assert header(output, "original-topic") == "payments.expected"


async def test_an_order_of_nobodys_is_kept_too() -> None:
    (output,) = await announced(written(merchant="gone"))
    assert (output.topic, header(output, "reason")) == ("lookups.dead", "unknown_merchant")


def test_what_nobody_foresaw_is_counted() -> None:
    numbers = metrics()
    OrderIntakeStage({}, [], KAFKA, numbers).dead_letter(record(b"x"))
    assert counted(numbers.dead, provider="all", stage="announce", reason="internal_error") == 1


@pytest.mark.parametrize("change", WRONG)
def test_a_refusal_names_the_field_and_never_its_value(change: dict[str, Any]) -> None:
    with pytest.raises(UnreadableError) as caught:
        expected_of(written(**change))
    (name,) = change
    assert name in str(caught.value)


# --- the view ----------------------------------------------------------------------------------------------


@pytest.fixture
def view(tmp_path: Path) -> ExpectationCache:
    return ExpectationCache({}, "payments.expected", tmp_path / "expected", 3600)


def amounts(view: ExpectationCache, *asked: tuple[str, str, str | None]) -> list[int | None]:
    """What is expected of each payment asked for."""
    return [None if found is None else found.amount.value for found in (view.of(*one) for one in asked)]


def read(view: ExpectationCache, *values: bytes | None, first: int = 0, partition: int = 0) -> None:
    """Let the view read a partition's next records."""
    view.take(
        partition,
        [
            SimpleNamespace(value=value, timestamp=first + number, offset=first + number)
            for number, value in enumerate(values)
        ],
    )


def test_an_expectation_is_found_by_payment_first_and_then_by_order(view: ExpectationCache) -> None:
    read(view, written(), written(order_id="o2", payment_id="p2", amount=Money(5, "GBP")))
    asked = (("shop", "p1", "o1"), ("shop", "p2", None), ("shop", "p2", "o1"), ("shop", "p1", None))
    assert amounts(view, *asked, ("another", "p2", "o1")) == [1000, 5, 5, None, None]


def test_the_newer_expectation_stays_in_whatever_order_they_are_read(view: ExpectationCache) -> None:
    old, new = written(), written(created_at="2026-06-01T12:30:00Z", amount=Money(7, "GBP"))
    for number, values in enumerate(([old, new], [new, old], [new], [old])):
        read(view, *values, first=number * 2, partition=number % 2)
        assert amounts(view, ("shop", "p", "o1")) == [7 if number < 4 else 1000]


def test_of_two_of_one_moment_the_later_record_counts_for_every_reader(tmp_path: Path) -> None:
    first, second = (ExpectationCache({}, "t", tmp_path / name, 3600) for name in "ab")
    for one in (first, second):
        for number in (0, 1) if one is first else (1, 0):
            read(one, written(amount=Money(number + 1, "GBP")), first=number, partition=number)
    assert amounts(first, ("shop", "p", "o1")) == amounts(second, ("shop", "p", "o1")) == [2]


def test_the_newest_word_about_an_order_counts_for_a_payment_that_it_does_not_name_again(
    view: ExpectationCache,
) -> None:
    read(view, written(payment_id="p1"), written(created_at="2026-06-01T12:30:00Z", amount=Money(1500, "GBP")))
    assert amounts(view, ("shop", "p1", "o1"), ("shop", "p1", None), ("shop", "p2", "o1")) == [1500, 1500, 1500]


async def test_processes_that_share_a_directory_each_have_files_of_their_own(tmp_path: Path) -> None:
    views = [ExpectationCache({}, "t", tmp_path / "expected", 3600) for _ in range(3)]
    for number, one in enumerate(views):
        one._open()
        read(one, written(amount=Money(number + 1, "GBP")))
    assert [amounts(one, ("shop", "p", "o1")) for one in views] == [[1], [2], [3]]
    await views[1].stop()
    again = ExpectationCache({}, "t", tmp_path / "expected", 3600)
    again._open()
    assert amounts(again, ("shop", "p", "o1")) == [2], "what was read before need not be read again"


def test_files_that_cannot_be_opened_are_no_others_that_are_open(tmp_path: Path) -> None:
    (tmp_path / "expected").write_text("a file where the directory should be")
    with pytest.raises(StateUnavailableError):
        ExpectationCache({}, "t", tmp_path / "expected", 3600)._open()


def test_a_record_that_cannot_be_read_hides_no_other(view: ExpectationCache) -> None:
    read(view, b"garbage", None, written(amount=None), written())
    assert amounts(view, ("shop", "p", "o1")) == [1000]


async def test_the_view_is_the_same_after_a_restart(tmp_path: Path) -> None:
    first = ExpectationCache({}, "payments.expected", tmp_path / "expected", 3600)
    read(first, written())
    await first.stop()
    again = ExpectationCache({}, "t", tmp_path / "expected", 3600)
    assert amounts(again, ("shop", "p", "o1")) == [1000]


async def test_the_view_and_the_order_agree_on_what_was_said(view: ExpectationCache) -> None:
    """Otherwise the order would correct each of the payment's observations."""
    value = written(payment_id="p1")
    read(view, value, first=7)
    stage = OrderIntakeStage({"shop": "trustpayments"}, [], KAFKA, metrics())
    one = Record("payments.expected", 0, 7, b"", value, (), 0.007)
    (output,) = await stage.process(BatchContext([one], empty(), refuse_publish))
    found = view.of("shop", "p1", "o1")
    assert found is not None
    assert header(output, "said") == found.said == found.announced


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=20))
def test_batches_of_any_size_leave_the_same_view(orders: list[tuple[int, int]]) -> None:
    values = [written(created_at=f"2026-06-01T12:0{at}:00Z", amount=Money(value, "GBP")) for at, value in orders]
    views = [_Memory(), _Memory()]
    if values:
        read(views[0], *values)
    for number, value in enumerate(values):
        read(views[1], value, first=number)
    assert views[0].of("shop", "p", "o1") == views[1].of("shop", "p", "o1")


class _Memory(ExpectationCache):
    """A view whose store is a dictionary."""

    def __init__(self) -> None:
        super().__init__({}, "t", Path("nowhere"), 3600)
        self.values: dict[bytes, bytes | None] = {}
        self._store = self  # type: ignore[assignment]  # the two methods below are all that is used of it

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def write(self, changes: dict[bytes, bytes | None], next_offset: int, state_format: int = 1) -> None:
        self.values.update(changes)
