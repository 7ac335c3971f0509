"""What shops write is put in order, or kept with its reason; what cannot be read hurts nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.announce import Announce, expected_of
from processors.expectations import ExpectationsView
from schemas import messages
from schemas.errors import Unreadable
from schemas.messages import Expectation, ExpectedPayment
from schemas.money import Money
from schemas.records import Output
from tests.unit.stage_parts import KAFKA, counted, empty, header, metrics, record, refuse_publish

ORDER = {
    "merchant": "shop", "order_id": "o1", "amount": {"value": 1000, "currency": "GBP"},
    "created_at": "2026-06-01T13:00:00+01:00", "final_by": "2026-06-01T14:00:00+01:00",
}  # fmt: skip

WRONG: tuple[dict[str, Any], ...] = (
    {"amount": {"value": 10.5, "currency": "GBP"}}, {"amount": {"value": 0, "currency": "GBP"}}, {"amount": None},
    {"created_at": "yesterday"}, {"created_at": "2026-06-01T13:00:00"}, {"final_by": "soon"}, {"order_id": ""},
    {"order_id": "o" * 256}, {"payment_id": ""}, {"merchant": 1},
)  # fmt: skip


def written(**changes: Any) -> bytes:
    return orjson.dumps({**ORDER, **changes})


async def announced(value: bytes | None) -> list[Output]:
    stage = Announce({"shop": "trustpayments", "store": "nevogate"}, ["nevogate"], KAFKA, metrics())
    return list(await stage.work([record(value, topic="payments.expected")], empty(), refuse_publish))


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
    Announce({}, [], KAFKA, numbers).bury(record(b"x"))
    assert counted(numbers.dead, provider="all", stage="announce", reason="internal_error") == 1


@pytest.mark.parametrize("change", WRONG)
def test_a_refusal_names_the_field_and_never_its_value(change: dict[str, Any]) -> None:
    with pytest.raises(Unreadable) as caught:
        expected_of(written(**change))
    (name,) = change
    assert name in str(caught.value)


# --- the view ----------------------------------------------------------------------------------------------


@pytest.fixture
def view(tmp_path: Path) -> ExpectationsView:
    return ExpectationsView({}, "payments.expected", tmp_path / "expected", 3600)


def expectation(value: int = 1000, order: str = "o1") -> Expectation:
    return Expectation(order_id=order, amount=Money(value, "GBP"))


def test_an_expectation_is_found_by_payment_first_and_then_by_order(view: ExpectationsView) -> None:
    view.take(0, [written(), written(order_id="o2", payment_id="p2", amount={"value": 5, "currency": "GBP"})], 2)
    assert view.of("shop", "p1", "o1") == expectation()
    assert view.of("shop", "p2", None) == view.of("shop", "p2", "o1") == expectation(5, "o2")
    assert view.of("shop", "p1", None) is None
    assert view.of("another", "p2", "o1") is None


def test_the_newer_expectation_stays_in_whatever_order_they_are_read(view: ExpectationsView) -> None:
    old, new = written(), written(created_at="2026-06-01T12:30:00Z", amount={"value": 7, "currency": "GBP"})
    for number, values in enumerate(([old, new], [new, old], [new], [old])):
        view.take(number % 2, values, number)
        assert view.of("shop", "p", "o1") == expectation(7 if number < 4 else 1000)


def test_a_record_that_cannot_be_read_hides_no_other(view: ExpectationsView) -> None:
    view.take(0, [b"garbage", None, written(amount=None), written()], 4)
    assert view.of("shop", "p", "o1") == expectation()


async def test_the_view_is_the_same_after_a_restart(tmp_path: Path) -> None:
    first = ExpectationsView({}, "payments.expected", tmp_path / "expected", 3600)
    first.take(0, [written()], 1)
    await first.stop()
    assert ExpectationsView({}, "t", tmp_path / "expected", 3600).of("shop", "p", "o1") == expectation()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=20))
def test_batches_of_any_size_leave_the_same_view(orders: list[tuple[int, int]]) -> None:
    values = [written(created_at=f"2026-06-01T12:0{at}:00Z", amount={"value": value, "currency": "GBP"})
              for at, value in orders]  # fmt: skip
    views = [_Memory(), _Memory()]
    views[0].take(0, values, len(values))
    for number, value in enumerate(values):
        views[1].take(0, [value], number + 1)
    assert views[0].of("shop", "p", "o1") == views[1].of("shop", "p", "o1")


class _Memory(ExpectationsView):
    """A view whose store is a dictionary."""

    def __init__(self) -> None:
        super().__init__({}, "t", Path("nowhere"), 3600)
        self.values: dict[bytes, bytes | None] = {}
        self._store = self  # type: ignore[assignment]  # the two methods below are all that is used of it

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def write(self, changes: dict[bytes, bytes | None], next_offset: int) -> None:
        self.values.update(changes)
