"""The shortest schedule that still fails: fewer faults, then fewer payments, as long as some part can be left out.

The way is delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, TypeVar

from tests.simulation.simulation import Schedule

Item = TypeVar("Item")

_TEXT: Final = re.compile(r"salt=(?P<salt>[0-9]+) faults=(?P<faults>[0-9,]*) items=(?P<items>[0-9,]*)\Z")

#: Without a part of the schedule all delays are others, and what failed may just miss; so each part has some tries.
_SALTS: Final = 4


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a seed's schedule: which faults, by their place, and which items, by their number.

    ``salt`` makes other delays of the same seed.
    """

    faults: tuple[int, ...]
    items: tuple[int, ...]
    salt: int = 0

    @classmethod
    def all_of(cls, schedule: Schedule) -> Part:
        return cls(tuple(range(len(schedule.faults))), schedule.plan.numbers())

    @classmethod
    def read(cls, text: str) -> Part:
        """As `str` writes it.

        Raises:
            ValueError: it is something else.
        """
        found = _TEXT.match(text.strip())
        if found is None:
            raise ValueError("a schedule looks like: salt=0 faults=0,4 items=3,17,20")
        faults, items = (tuple(int(one) for one in found[name].split(",") if one) for name in ("faults", "items"))
        return cls(faults, items, int(found["salt"]))

    def __str__(self) -> str:
        return f"salt={self.salt} faults={','.join(map(str, self.faults))} items={','.join(map(str, self.items))}"

    def of(self, schedule: Schedule) -> Schedule:
        """The schedule with this part of it alone."""
        faults = tuple(schedule.faults[place] for place in self.faults)
        return replace(schedule, faults=faults, plan=schedule.plan.only(self.items), salt=self.salt)


def shortest(schedule: Schedule, fails: Callable[[Schedule], bool], most_seconds: float) -> Part:
    """A part of the schedule that fails, of which nothing more could be left out within so much processor time."""
    ends_at = time.process_time() + most_seconds
    salt = 0

    def enough() -> bool:
        return time.process_time() >= ends_at

    def part_fails(part: Part) -> bool:
        nonlocal salt
        for other in dict.fromkeys((salt, *range(_SALTS))):
            if fails(replace(part, salt=other).of(schedule)):
                salt = other
                return True
            if enough():
                break
        return False

    def with_fewer_faults(part: Part) -> Part:
        return replace(part, faults=fewest(part.faults, lambda some: part_fails(replace(part, faults=some)), enough))

    def with_fewer_items(part: Part) -> Part:
        return replace(part, items=fewest(part.items, lambda some: part_fails(replace(part, items=some)), enough))

    part = Part.all_of(schedule)
    if part_fails(calm := replace(part, faults=())):
        part = calm
    # items first: a try with half of them takes half of the time; with fewer faults, fewer items may do
    part = with_fewer_items(with_fewer_faults(with_fewer_items(part)))
    return replace(part, salt=salt)


def fewest(
    items: tuple[Item, ...], fails: Callable[[tuple[Item, ...]], bool], enough: Callable[[], bool]
) -> tuple[Item, ...]:
    """As few of the items as still fail; all of them fail."""
    parts = 2
    if items and not enough() and fails(()):
        return ()
    while len(items) >= 2 and not enough():
        chunks = _chunks(items, parts)
        smaller = next((rest for rest in _without(chunks) if not enough() and fails(rest)), None)
        if smaller is not None:
            items, parts = smaller, max(parts - 1, 2)
        elif parts >= len(items):
            break
        else:
            parts = min(parts * 2, len(items))
    return items


def _chunks(items: Sequence[Item], parts: int) -> list[Sequence[Item]]:
    bounds = [len(items) * number // parts for number in range(parts + 1)]
    return [items[start:end] for start, end in pairwise(bounds)]


def _without(chunks: Sequence[Sequence[Item]]) -> list[tuple[Item, ...]]:
    """All but one chunk, for each chunk; of two chunks each alone comes of that."""
    return [
        tuple(item for place, chunk in enumerate(chunks) if place != left_out for item in chunk)
        for left_out in range(len(chunks))
    ]
