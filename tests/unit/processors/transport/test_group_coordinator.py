"""A member of a consumer group detects a dead connection before the group expels it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.client import ConnectionGroup
from aiokafka.conn import CloseReason
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.protocol.group import SyncGroupRequest

from paynotify.processors.transport import group_coordinator, patches
from paynotify.processors.transport.group_coordinator import StableGroupCoordinator
from tests.fakes.aiokafka_probes import member_of_a_group

SESSION_SECONDS = 0.3


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(group_coordinator, "time", time)
    return time


def member(closed: list[CloseReason]) -> StableGroupCoordinator:
    """A coordinator that has joined its group, without brokers."""
    one = object.__new__(StableGroupCoordinator)
    connection = SimpleNamespace(close=lambda reason: closed.append(reason))
    one._confirmed_at = one._synced_at = float("-inf")
    one._session_timeout_ms = SESSION_SECONDS * 1000
    one.coordinator_id, one.group_id = 7, "group"
    one._coordinator_dead_fut = asyncio.get_running_loop().create_future()
    one._client = SimpleNamespace(_conns={(7, ConnectionGroup.COORDINATION): connection})
    return one


def responses(monkeypatch: pytest.MonkeyPatch, *given: bool | None) -> None:
    """The group's response to each heartbeat in turn; None: no response at all."""
    left = list(given)

    async def heartbeat(self: Any) -> bool:
        response = left.pop(0)
        if response is None:
            await asyncio.Event().wait()
        return bool(response)

    monkeypatch.setattr(GroupCoordinator, "_do_heartbeat", heartbeat)


async def test_started_consumer_is_a_member_through_it() -> None:
    patches.install()
    async with member_of_a_group() as coordinator:
        assert isinstance(coordinator, StableGroupCoordinator)
        assert not coordinator.confirmed, "it has not joined yet"


async def test_heartbeat_without_a_response_closes_its_connection_within_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[CloseReason] = []
    one = member(closed)
    responses(monkeypatch, None)
    async with asyncio.timeout(SESSION_SECONDS * 10):
        assert not await one._do_heartbeat()
    assert closed == [CloseReason.CONNECTION_TIMEOUT]
    assert one.coordinator_id is None, "it is looked up again, over another connection"


async def test_member_is_confirmed_for_one_session_after_an_accepted_heartbeat(
    monkeypatch: pytest.MonkeyPatch, clock: Time
) -> None:
    one = member([])
    responses(monkeypatch, False, True)
    confirmed = []
    for seconds in (0.0, 0.0, SESSION_SECONDS * 0.9, SESSION_SECONDS * 0.2):
        clock.now += seconds
        if seconds == 0.0:
            await one._do_heartbeat()
        confirmed.append(one.confirmed)
    assert confirmed == [False, True, True, False]


async def test_heartbeats_continue_while_partitions_are_acquired(monkeypatch: pytest.MonkeyPatch) -> None:
    one = member([])
    order: list[str] = []

    async def acquired(self: Any, *args: Any) -> None:
        order.append("acquired")

    monkeypatch.setattr(GroupCoordinator, "_on_join_complete", acquired)
    monkeypatch.setattr(GroupCoordinator, "_start_heartbeat_task", lambda self: order.append("heartbeats"))
    await one._on_join_complete(1, "member", "roundrobin", b"")
    assert order == ["heartbeats", "acquired"]


async def test_member_frozen_while_it_joins_is_confirmed_from_when_it_sent_the_request(
    monkeypatch: pytest.MonkeyPatch, clock: Time
) -> None:
    one = member([])

    async def nothing(self: Any, *args: Any) -> None:
        return

    monkeypatch.setattr(GroupCoordinator, "_send_req", nothing)
    monkeypatch.setattr(GroupCoordinator, "_on_join_complete", nothing)
    monkeypatch.setattr(GroupCoordinator, "_start_heartbeat_task", lambda self: None)
    await one._send_req(SyncGroupRequest("group", 1, "member", None, []))
    clock.now += SESSION_SECONDS * 0.9
    await one._on_join_complete(1, "member", "roundrobin", b"")
    assert one.confirmed
    clock.now += SESSION_SECONDS * 0.2
    assert not one.confirmed


async def test_expelled_member_is_not_confirmed(monkeypatch: pytest.MonkeyPatch, clock: Time) -> None:
    one = member([])
    responses(monkeypatch, True)
    await one._do_heartbeat()
    monkeypatch.setattr(GroupCoordinator, "reset_generation", lambda self: None)
    one.reset_generation()
    assert not one.confirmed
