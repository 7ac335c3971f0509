"""What the sampler measured in the last hour, and what it means: rate, lag, age of the oldest record."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

SAMPLE_SECONDS: Final = 5.0
KEPT_SAMPLES: Final = 720
#: A rate is that of so many seconds: one batch must not look like a burst.
RATE_SECONDS: Final = 60.0

#: As the alert `PaynotifyLagging` has them by default.
LATE_SECONDS: Final = 300.0
_BUSY_SECONDS: Final = 30.0

StepState = Literal["idle", "flowing", "busy", "late", "stands still", "unknown"]
FlowMeasure = Literal["rate", "lag", "oldest"]
#: The measures that are drawn, with their units.
FLOW_MEASURES: Final[Mapping[FlowMeasure, str]] = {
    "lag": "records not processed",
    "oldest": "seconds, age of the oldest record not processed",
    "rate": "records processed per second",
}


@dataclass(frozen=True, slots=True)
class StepReading:
    """What Kafka told of one step at one moment, summed over the partitions.

    ``ended`` is where the topics end, ``done`` what the group has committed, ``lag`` the records between both,
    ``waiting`` those that wait to be tried again. ``oldest_at`` is the time of the oldest record that is not
    processed, in Unix seconds; None without one, or while it is not known.
    """

    ended: int
    done: int
    lag: int
    waiting: int
    oldest_at: float | None


@dataclass(frozen=True, slots=True)
class FlowSample:
    """The readings of all steps at one moment (Unix seconds)."""

    at: float
    readings: Mapping[str, StepReading]


@dataclass(frozen=True, slots=True)
class StepFigures:
    """What a page says of a step. A rate is None before there are two samples."""

    arriving: float | None
    rate: float | None
    lag: int
    waiting: int
    oldest_seconds: float | None
    state: StepState


class FlowHistory:
    """The samples of the last hour; any thread may add and read."""

    def __init__(self) -> None:
        self._samples: deque[FlowSample] = deque(maxlen=KEPT_SAMPLES)
        self._lock = threading.Lock()

    def add(self, sample: FlowSample) -> None:
        with self._lock:
            self._samples.append(sample)

    def samples(self) -> tuple[FlowSample, ...]:
        """Oldest first."""
        with self._lock:
            return tuple(self._samples)


def figures_at(samples: Sequence[FlowSample], place: int, step: str) -> StepFigures | None:
    """A step's figures by the sample at a place; None if it was not measured."""
    sample = samples[place]
    reading = sample.readings.get(step)
    if reading is None:
        return None
    arriving, rate = None, None
    before = _before(samples, place, step)
    if before is not None:
        seconds = sample.at - before.at
        # topics that were made anew begin at 0 again
        arriving = max(0.0, (reading.ended - before.readings[step].ended) / seconds)
        rate = max(0.0, (reading.done - before.readings[step].done) / seconds)
    oldest_seconds = max(0.0, sample.at - reading.oldest_at) if reading.oldest_at is not None else None
    is_whole = before is not None and sample.at - before.at >= RATE_SECONDS / 2
    state = step_state(rate if is_whole else None, reading.lag, oldest_seconds)
    return StepFigures(arriving, rate, reading.lag, reading.waiting, oldest_seconds, state)


def newest_figures(samples: Sequence[FlowSample], step: str) -> StepFigures | None:
    """A step's figures by the newest sample; None if it was not measured, or nothing was yet."""
    return figures_at(samples, len(samples) - 1, step) if samples else None


def step_state(rate: float | None, lag: int, oldest_seconds: float | None) -> StepState:
    """One word for a step. A ``rate`` of None is not known yet."""
    if lag == 0:
        return "flowing" if rate else "idle"
    if rate == 0 and (oldest_seconds is None or oldest_seconds >= RATE_SECONDS):
        return "stands still"
    if oldest_seconds is None:
        return "unknown"
    if oldest_seconds >= LATE_SECONDS:
        return "late"
    return "busy" if oldest_seconds >= _BUSY_SECONDS else "flowing"


def series(
    samples: Sequence[FlowSample], steps: Sequence[str], measure: FlowMeasure, since: float = 0.0
) -> tuple[list[float], dict[str, list[float | None]]]:
    """The times after ``since``, and what each step's measure was at each of them."""
    places = [place for place, sample in enumerate(samples) if sample.at > since]
    found = {step: [_measured(samples, place, step, measure) for place in places] for step in steps}
    return [samples[place].at for place in places], found


def _measured(samples: Sequence[FlowSample], place: int, step: str, measure: FlowMeasure) -> float | None:
    reading = samples[place].readings.get(step)
    if reading is None:
        return None
    if measure == "lag":
        return float(reading.lag)
    if measure == "oldest":
        oldest_at = samples[place].at if reading.lag == 0 else reading.oldest_at
        return round(max(0.0, samples[place].at - oldest_at), 1) if oldest_at is not None else None
    figures = figures_at(samples, place, step)
    return round(figures.rate, 2) if figures is not None and figures.rate is not None else None


def _before(samples: Sequence[FlowSample], place: int, step: str) -> FlowSample | None:
    """The newest sample that is old enough for a rate, or the oldest of those that are not."""
    at = samples[place].at
    found: FlowSample | None = None
    for earlier in range(place - 1, -1, -1):
        one = samples[earlier]
        if step not in one.readings:
            continue
        found = one
        if at - one.at >= RATE_SECONDS:
            break
        if at - samples[max(0, earlier - 1)].at > 2 * RATE_SECONDS:
            break  # the brokers were away: a rate over that time would hide the present
    return found
