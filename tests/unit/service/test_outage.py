"""What a process says about its brokers."""

from __future__ import annotations

import logging

import pytest

from paynotify.service.outage import BrokerAvailability


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records]


@pytest.mark.parametrize("unknown", [None, "not asked yet"])
def test_outage_is_one_line_and_its_end_another(unknown: str | None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    availability = BrokerAvailability(logging.getLogger("test"), unknown)
    assert availability.problem == unknown
    for problem in ("no broker", "no broker", "no topic", None, None):
        availability.report(problem)
    assert events(caplog) == ["brokers_unavailable", "brokers_available"]
    assert availability.problem is None
    availability.report("no broker")
    assert events(caplog)[2:] == ["brokers_unavailable"]
