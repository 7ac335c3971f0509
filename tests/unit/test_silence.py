"""A provider counts as silent by its usual share of orders heard of, not by the clock."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from processors.silence import Hearing, hear, miss, urgent
from schemas.configuration import Silence

AT = "2026-06-01T12:00:00.000Z"
RULE = Silence()


def after(heard: Iterable[bool], hearing: Hearing | None = None) -> Hearing:
    hearing = hearing or Hearing()
    for one in heard:
        hearing = hear(hearing, AT) if one else miss(hearing, AT, RULE)
    return hearing


def missed_until_silent(hearing: Hearing) -> int:
    count = 0
    while not hearing.silent:
        hearing, count = miss(hearing, AT, RULE), count + 1
    return count


def test_the_fewer_customers_pay_as_a_rule_the_longer_a_run_must_be() -> None:
    nearly_all = after([True] * 95 + [False, True] * 5)
    half = after([True, False] * 100 + [True])
    assert missed_until_silent(nearly_all) == 10, "never fewer than least_unheard"
    assert missed_until_silent(half) == 20
    assert missed_until_silent(Hearing()) == 39, "of a new provider three in ten are taken to be heard of"


def test_the_usual_share_is_that_of_before_the_run() -> None:
    steady = after([True] * 100)
    assert after([False] * 9, steady).share == steady.share


def test_an_outage_does_not_spoil_the_usual_share() -> None:
    steady = after([True] * 100)
    assert after([False] * 500 + [True], steady).share == 1.0
    assert not after([False] * 500 + [True], steady).silent


def test_only_a_quick_run_is_urgent() -> None:
    run = after([False] * 40)
    assert urgent(run, "2026-06-01T17:59:00.000Z", RULE)
    assert not urgent(run, "2026-06-02T12:00:00.000Z", RULE), "two orders a day wake nobody"


@given(st.lists(st.booleans(), max_size=3000))
def test_the_account_stays_small_and_right(heard: list[bool]) -> None:
    hearing = after(heard)
    assert 0 <= hearing.heard <= hearing.told <= 1000
    run = len(heard) - 1 - max((place for place, one in enumerate(heard) if one), default=-1)
    assert hearing.unheard == run
