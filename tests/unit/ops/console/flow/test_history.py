"""The flow's figures: what samples mean, however they are spaced and whatever Kafka forgot meanwhile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynotify.ops.console.flow.history import (
    FLOW_MEASURES,
    KEPT_SAMPLES,
    LATE_SECONDS,
    RATE_SECONDS,
    SAMPLE_SECONDS,
    FlowHistory,
    FlowSample,
    StepReading,
    figures_at,
    series,
    step_state,
)

STEP = "fetch.nevogate"


def sample(at: float, ended: int, done: int, oldest_at: float | None = None, waiting: int = 0) -> FlowSample:
    return FlowSample(at, {STEP: StepReading(ended, done, ended - done, waiting, oldest_at)})


@st.composite
def runs(draw: st.DrawFn) -> list[FlowSample]:
    """Samples of a stage that gets and processes records at chance speed, with pauses of the sampler."""
    made, at, ended, done = [], 1000.0, 0, 0
    for _ in range(draw(st.integers(1, 40))):
        at += draw(st.sampled_from((SAMPLE_SECONDS, SAMPLE_SECONDS, 7.5, 400.0)))
        ended += draw(st.integers(0, 50))
        done += draw(st.integers(0, ended - done))
        made.append(sample(at, ended, done, at - draw(st.integers(0, 900)) if done < ended else None))
    return made


@given(runs())
def test_rate_is_what_was_processed_in_the_time_between_two_samples(made: list[FlowSample]) -> None:
    for place, one in enumerate(made):
        figures = figures_at(made, place, STEP)
        assert figures is not None
        if place == 0:
            assert (figures.rate, figures.arriving) == (None, None)
            continue
        assert figures.rate is not None
        spans = [(one.at - other.at, other) for other in made[:place]]
        done = one.readings[STEP].done
        rates = [(done - other.readings[STEP].done) / seconds for seconds, other in spans]
        assert any(figures.rate == pytest.approx(rate) for rate in rates)
        near = [seconds for seconds, _ in spans if seconds <= 2 * RATE_SECONDS]
        if near and max(near) >= RATE_SECONDS:
            exact = [rate for rate, (seconds, _) in zip(rates, spans, strict=True) if seconds <= 2 * RATE_SECONDS]
            assert any(figures.rate == pytest.approx(rate) for rate in exact), "no older than twice the minute"


@given(runs(), st.sampled_from(list(FLOW_MEASURES)), st.integers(0, 40))
def test_plot_is_the_same_whether_loaded_at_once_or_in_two_parts(
    made: list[FlowSample], measure: str, cut: int
) -> None:
    whole = series(made, [STEP], measure)  # type: ignore[arg-type]
    first = made[: min(cut, len(made))]
    since = first[-1].at if first else 0.0
    rest = series(made, [STEP], measure, since)  # type: ignore[arg-type]
    begun = series(first, [STEP], measure)  # type: ignore[arg-type]
    assert begun[0] + rest[0] == whole[0]
    assert begun[1][STEP] + rest[1][STEP] == whole[1][STEP]


def test_plot_of_an_hour_is_made_within_a_second_and_is_bounded() -> None:
    history = FlowHistory()
    for number in range(2 * KEPT_SAMPLES):
        reading = StepReading(number * 10, number * 10, 0, 0, None)
        history.add(FlowSample(number * SAMPLE_SECONDS, {f"step-{one}": reading for one in range(15)}))
    at, values = series(history.samples(), [f"step-{one}" for one in range(15)], "rate")
    assert len(at) == KEPT_SAMPLES
    assert {len(one) for one in values.values()} == {KEPT_SAMPLES}
    assert set(values["step-3"][1:]) == {2.0}


def test_topics_that_were_made_anew_have_no_negative_rate() -> None:
    made = [sample(0, 500, 500), sample(60, 10, 10)]
    figures = figures_at(made, 1, STEP)
    assert figures is not None
    assert (figures.arriving, figures.rate) == (0, 0)


@pytest.mark.parametrize(
    ("rate", "lag", "oldest_seconds", "state"),
    [
        (None, 0, None, "idle"),
        (0.0, 0, None, "idle"),
        (3.0, 0, None, "flowing"),
        (3.0, 5, 2.0, "flowing"),
        (3.0, 5, 31.0, "busy"),
        (3.0, 5, LATE_SECONDS, "late"),
        (0.0, 5, 2.0, "flowing"),
        (0.0, 5, 61.0, "stands still"),
        (0.0, 5, None, "stands still"),
        (None, 5, None, "unknown"),
        (None, 5, LATE_SECONDS, "late"),
    ],
)
def test_state_of_a_step(rate: float | None, lag: int, oldest_seconds: float | None, state: str) -> None:
    assert step_state(rate, lag, oldest_seconds) == state


def test_oldest_is_none_without_lag_and_unknown_until_it_was_read() -> None:
    made = [sample(100, 5, 5), sample(105, 6, 5), sample(110, 6, 5, 104.0)]
    assert series(made, [STEP], "oldest")[1][STEP] == [0.0, None, 6.0]
    assert series(made, ["other"], "lag")[1]["other"] == [None, None, None]
