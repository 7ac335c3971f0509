"""A write that is cut short loses no timer."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.state import timer_queue
from paynotify.processors.state.timer_queue import Timer

timer_keys = st.builds(Timer, st.sampled_from(("overdue", "polls")), st.integers(0, 9), st.sampled_from("ab")).map(
    lambda timer: timer.key
)
VALUES: Final = st.sampled_from((b"1", None))
changes = st.dictionaries(st.one_of(timer_keys, st.binary(min_size=1, max_size=3)), VALUES)


@given(changes)
def test_timers_are_started_before_and_removed_after_all_else(unordered: dict[bytes, bytes | None]) -> None:
    ordered = timer_queue.cut_short_safely(unordered)
    assert ordered == unordered
    kinds = [
        "value" if not key.startswith(b"due\0") else "removed" if value is None else "started"
        for key, value in ordered.items()
    ]
    assert kinds == sorted(kinds, key=["started", "value", "removed"].index)
    values = [key for key, kind in zip(ordered, kinds, strict=True) if kind == "value"]
    assert values == [key for key in unordered if not key.startswith(b"due\0")], "their order stays"
