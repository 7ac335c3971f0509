"""A failing schedule is made as short as can be, and comes back from its text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulation.shrink import Part, fewest

numbers = st.lists(st.integers(-999, 999), max_size=40, unique=True).map(tuple)

places = numbers.map(lambda some: tuple(map(abs, some)))


@given(numbers, st.sets(st.integers(-999, 999), max_size=5))
def test_shrinking_leaves_what_is_needed_alone(items: tuple[int, ...], needed: set[int]) -> None:
    needed &= set(items)
    found = fewest(items, lambda some: needed <= set(some), lambda: False)
    assert set(found) == needed
    assert list(found) == [item for item in items if item in needed]


def test_without_any_time_nothing_is_left_out() -> None:
    assert fewest((1, 2, 3), lambda some: True, lambda: True) == (1, 2, 3)


@given(places, places, st.integers(0, 9))
def test_part_comes_back_from_its_text(faults: tuple[int, ...], items: tuple[int, ...], salt: int) -> None:
    part = Part(faults, items, salt)
    assert Part.read(str(part)) == part


@pytest.mark.parametrize("text", ["", "faults=1 items=2", "salt=0 faults=-1 items=2", "salt=0 faults=1 items=2 x=3"])
def test_another_text_is_no_part(text: str) -> None:
    with pytest.raises(ValueError, match="a schedule looks like"):
        Part.read(text)
