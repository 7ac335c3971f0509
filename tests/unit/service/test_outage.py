"""What a process says about its brokers."""

from __future__ import annotations

import asyncio
import logging

import pytest

from paynotify.schemas.errors import ClusterUnavailableError, MissingTopicsError
from paynotify.service import outage
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


async def test_waiting_ends_when_brokers_and_topics_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "_CHECK_AGAIN_SECONDS", 0.0)
    availability, problems = BrokerAvailability(logging.getLogger("test")), list[str | None]()

    def check() -> None:
        problems.append(availability.problem)
        if len(problems) == 1:
            raise ClusterUnavailableError("no broker")
        if len(problems) == 2:
            raise MissingTopicsError("no topic")

    assert await availability.wait(check, asyncio.Event())
    assert problems == [None, "no broker", "no topic"]
    assert availability.problem is None


async def test_waiting_ends_when_the_process_must_stop() -> None:
    availability, stop = BrokerAvailability(logging.getLogger("test")), asyncio.Event()
    loop = asyncio.get_running_loop()

    def check() -> None:
        loop.call_soon_threadsafe(stop.set)
        raise ClusterUnavailableError("no broker")

    assert not await availability.wait(check, stop)
    assert availability.problem == "no broker"
