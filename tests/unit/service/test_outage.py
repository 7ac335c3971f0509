"""What a process says about its brokers, and what it frees while they are away."""

from __future__ import annotations

import gc
import logging
import weakref

import pytest

from paynotify.service.outage import BrokerAvailability


class Cycle:
    def __init__(self) -> None:
        self.itself = self


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


def test_reference_cycles_are_collected_while_the_brokers_are_away() -> None:
    """kafka-python leaves the socket of each refused connection in one."""
    gc.disable()
    try:
        left = weakref.ref(Cycle())
        BrokerAvailability(logging.getLogger("test")).report("no broker")
        assert left() is None
    finally:
        gc.enable()
