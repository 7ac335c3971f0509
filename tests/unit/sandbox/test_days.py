"""A simulated provider's days are the same for its simulator and for the workers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from hypothesis import assume, given
from hypothesis import strategies as st

from paynotify.processors.providers.daily_looks import daily_looks
from paynotify.sandbox.days import SimulatedDays
from paynotify.sandbox.simulators.spec import simulator_specs
from paynotify.sandbox.simulators.trustpayments.clock import GatewayClock
from paynotify.schemas.providers import provider_contracts
from paynotify.schemas.times import parse_time
from tests.fakes.accounts import account

TRUST: Final = "trustpayments"


def _settings(days: SimulatedDays) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        days.simulator_settings(simulator_specs()[TRUST]),
        days.merchant_settings(provider_contracts()[TRUST].merchant),
    )


@given(st.floats(1, 1000), st.floats(0, 40), st.integers(0, 23))
def test_first_look_comes_in_the_morning_after_the_night(seconds: float, after_days: float, hour: int) -> None:
    assume(0.02 < after_days % 1 < 0.98)  # times are texts of milliseconds: at midnight itself they may differ by one
    days = SimulatedDays(seconds, check_hour=hour).starting_now()
    simulator, merchant = _settings(days)
    paid_at = days.first_day_at + after_days * seconds
    clock = GatewayClock(simulator["day_seconds"], simulator["first_day_at"], lambda: paid_at)
    due = date.fromisoformat(clock.text()[:10])
    follow = daily_looks(account(TRUST, **merchant).merchant).follow(
        "57-9-1",
        first=due + timedelta(days=1),
        last=due + timedelta(days=9),
        observed_at=datetime.fromtimestamp(paid_at, UTC),
    )
    look = parse_time(follow.due or "")
    assert look is not None
    # the day of the payment is over, and the next one is not
    began = GatewayClock(simulator["day_seconds"], simulator["first_day_at"], lambda: look.timestamp() + 0.01).today
    assert began == due + timedelta(days=1)


def test_first_night_comes_when_the_sandbox_wants_it() -> None:
    days = SimulatedDays(86_400.0, first_night_seconds=150.0, check_hour=0).starting_now()
    now = datetime.now(UTC).timestamp()
    assert abs(days.first_day_at + 86_400.0 - (now + 150.0)) < 5.0


def test_providers_without_nights_have_no_short_days() -> None:
    days = SimulatedDays(8.0).starting_now()
    assert days.simulator_settings(simulator_specs()["omnikassa"]) == {}
    assert days.merchant_settings(provider_contracts()["omnikassa"].merchant) == {}
