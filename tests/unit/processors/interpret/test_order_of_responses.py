"""Responses count in the order in which they were asked for and received, however long it takes to store them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from paynotify.processors.interpret.stage import response_of
from paynotify.processors.providers.base import ProviderResponse
from paynotify.processors.providers.call_times import begin
from paynotify.processors.providers.registry import provider_specs
from paynotify.processors.providers.response_record import response_record
from paynotify.processors.transport.brokers_clock import BrokersClock
from paynotify.schemas.records import Record
from paynotify.schemas.times import rfc3339
from tests.fakes.accounts import TRANSACTION, account
from tests.fakes.stages import call_context

START: Final = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
HOLD: Final = {
    "TransactionId": TRANSACTION,
    "ResultCode": "SUCCESSFUL",
    "Amount": "100",
    "Currency": "HUF",
    "AutoCommit": "false",
    "CommitState": "PENDING",
}
CLOSED: Final = {"TransactionId": TRANSACTION, "ResultCode": "SUCCESSFUL"}


class Worker:
    """A worker whose own clock is off, on a machine that started at ``START`` by the brokers' clock."""

    def __init__(self, skew_seconds: float, stores: list[tuple[float, float]]) -> None:
        self.elapsed = 0.0
        self._skew = timedelta(seconds=skew_seconds)
        clock = BrokersClock(lambda: self.elapsed)
        self._context = replace(
            call_context(), now=lambda: START + timedelta(seconds=self.elapsed) + self._skew, brokers_clock=clock
        )
        for storing_seconds, acknowledging_seconds in stores:
            sent_at = self.elapsed
            stamp = int((START.timestamp() + sent_at + storing_seconds) * 1000) / 1000
            self.elapsed += storing_seconds + acknowledging_seconds
            clock.stamped(sent_at, self.elapsed, (stamp,))

    def observed_at(self, body: dict[str, Any], asked_at: float, received_at: float, storing_seconds: float) -> str:
        """When the state that the response tells was observed, as interpret reads it of the stored record."""
        self.elapsed = asked_at
        end = begin(self._context)
        self.elapsed = received_at
        times = end()
        closes = body is CLOSED
        facts = {"method": "Close", "asked": "release"} if closes else {"asked-at": rfc3339(times.asked_at)}
        received = ProviderResponse(
            json.dumps(body).encode(),
            "application/json",
            200,
            times.received_at,
            by_brokers=times.by_brokers,
            reference=TRANSACTION,
            facts=facts,
        )
        output = response_record("responses.nevogate", "nevogate", "shop", received)
        stored_at = int((START.timestamp() + received_at + storing_seconds) * 1000) / 1000
        record = Record(output.topic, 0, 0, output.key, output.value, output.headers, stored_at)
        (one,) = provider_specs()["nevogate"].provider.interpret(response_of(record), account("nevogate")).observations
        return one.observed_at


delays = st.floats(0.001, 30.0)
skews = st.sampled_from((0.0, 3.0, -3.0, -30.0, 3600.0))
workers = st.builds(Worker, skews, st.lists(st.tuples(delays, delays), min_size=1, max_size=3))


@given(workers, workers, st.floats(0.002, 10.0), delays, delays, delays, delays)
def test_result_asked_before_a_close_was_answered_is_older_than_it(
    fetching: Worker,
    charging: Worker,
    before_seconds: float,
    call_seconds: float,
    close_seconds: float,
    storing_seconds: float,
    storing_close_seconds: float,
) -> None:
    asked_at = 200.0
    close_received_at = asked_at + before_seconds
    result = fetching.observed_at(HOLD, asked_at, asked_at + call_seconds, storing_seconds)
    close = charging.observed_at(CLOSED, close_received_at - close_seconds, close_received_at, storing_close_seconds)
    assert result < close


@given(skews, delays, st.floats(0.02, 10.0), delays)
def test_result_asked_after_another_was_received_is_newer_than_it(
    skew_seconds: float, storing_seconds: float, later_seconds: float, storing_later_seconds: float
) -> None:
    first, second = (Worker(skew, [(0.002, 0.002)]) for skew in (skew_seconds, 0.0))
    earlier = first.observed_at(HOLD, 200.0, 200.5, storing_seconds)
    later = second.observed_at(HOLD, 200.5 + later_seconds, 201.0 + later_seconds, storing_later_seconds)
    assert earlier < later


@given(delays, st.floats(0.0, 4.9))
def test_before_the_clock_is_known_the_time_of_storing_counts(call_seconds: float, storing_seconds: float) -> None:
    observed_at = Worker(3600.0, []).observed_at(HOLD, 200.0, 200.0 + call_seconds, storing_seconds)
    late = datetime.fromisoformat(observed_at) - START - timedelta(seconds=200)
    assert abs(late.total_seconds() - storing_seconds) < 0.01


def test_clock_of_a_stored_response_is_told_by_a_header() -> None:
    known = ProviderResponse(b"", "", 200, START, by_brokers=True)
    record = response_record("responses.nevogate", "nevogate", "shop", known)
    assert ("clock", b"brokers") in record.headers
    other = response_record("responses.nevogate", "nevogate", "shop", msgspec.structs.replace(known, by_brokers=False))
    assert "clock" not in dict(other.headers)
