"""A provider counts as silent by its usual share of observed orders, not by the clock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.orders.provider_silence import SilenceState, missed, observed, urgent
from paynotify.schemas.configuration.worker import SilenceSettings
from paynotify.schemas.times import rfc3339

AT = "2026-06-01T12:00:00.000Z"
#: After all that was heard of: an order sold then is evidence.
SOLD = "2026-06-01T12:00:01.000Z"
RULE = SilenceSettings()


def after(heard: Iterable[bool], state: SilenceState | None = None) -> SilenceState:
    state = state or SilenceState()
    for one in heard:
        state = observed(state, AT) if one else missed(state, AT, SOLD, RULE)
    return state


def missed_until_silent(state: SilenceState) -> int:
    count = 0
    while not state.silent:
        state, count = missed(state, AT, SOLD, RULE), count + 1
    return count


def test_run_must_be_longer_the_fewer_orders_are_usually_observed() -> None:
    nearly_all = after([True] * 95 + [False, True] * 5)
    half = after([True, False] * 100 + [True])
    assert missed_until_silent(nearly_all) == 10, "never fewer than min_missed"
    assert missed_until_silent(half) == 20
    assert missed_until_silent(SilenceState()) == 39, "of a new provider three in ten are taken to be heard of"


def test_usual_share_excludes_the_current_run() -> None:
    steady = after([True] * 100)
    assert after([False] * 9, steady).share == steady.share


def test_usual_share_is_not_changed_by_an_outage() -> None:
    steady = after([True] * 100)
    assert after([False] * 500 + [True], steady).share == 1.0
    assert not after([False] * 500 + [True], steady).silent


def test_urgent_is_a_quick_run_only() -> None:
    run = after([False] * 40)
    assert urgent(run, "2026-06-01T17:59:00.000Z", RULE)
    assert not urgent(run, "2026-06-02T12:00:00.000Z", RULE), "two orders a day wake nobody"


DAY = datetime(2026, 6, 1, tzinfo=UTC)


def alarms(share: float, orders_a_day: int, due: Callable[[datetime], datetime], out: Collection[int] = ()) -> int:
    """How often a shop that sells from 8 to 23 o'clock for two weeks finds its provider silent, which tells nothing
    on the days ``out``. Who pays does so within five minutes."""
    chance, happened = Random(4711), []
    for number in range(14 * orders_a_day):
        day = number // orders_a_day
        sold = DAY + timedelta(days=day, seconds=chance.uniform(8 * 3600, 23 * 3600))
        pays = chance.random() < share
        at = sold + timedelta(seconds=chance.uniform(0, 300))
        happened.append((at, True, sold) if pays and day not in out else (due(sold), False, sold))
    state, found = SilenceState(), 0
    for at, heard, sold in sorted(happened):
        before = state
        told, sold_at = rfc3339(at), rfc3339(sold)
        state = observed(before, told) if heard else missed(before, told, sold_at, RULE)
        found += state.silent and not before.silent
    return found


def half_an_hour(sold: datetime) -> datetime:
    return sold + timedelta(minutes=30)


def midnight(sold: datetime) -> datetime:
    return sold.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


@pytest.mark.parametrize("due", [half_an_hour, midnight])
@pytest.mark.parametrize("orders_a_day", [2, 30, 300, 3000])
@pytest.mark.parametrize("share", [0.5, 0.75, 0.95])
def test_shop_that_stops_selling_for_the_night_is_not_silent(
    share: float, orders_a_day: int, due: Callable[[datetime], datetime]
) -> None:
    assert alarms(share, orders_a_day, due) == 0
    assert alarms(share, max(100, orders_a_day), due, out={9}) == 1, "a day without a word is noticed, once"


@given(st.lists(st.booleans(), max_size=3000))
def test_counts_stay_bounded_and_right(heard: list[bool]) -> None:
    state = after(heard)
    assert 0 <= state.heard <= state.told <= 1000
    run = len(heard) - 1 - max((place for place, one in enumerate(heard) if one), default=-1)
    assert state.unheard == run
