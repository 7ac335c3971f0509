"""How a unit talks to the brokers: nothing of Faust's own client is left where it was replaced."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from processors.failpoint import nothing
from processors.requeue import Requeue
from processors.transport import Consumer, Producer
from processors.unit import Unit, Work, request_seconds
from schemas.configuration import Worker, load
from tests import configurations
from tests.unit.stage_parts import metrics


@pytest.mark.parametrize("session_seconds", [1.0, 6.0, 10.0, 45.0])
def test_a_connection_without_answers_is_given_up_soon_after_the_group_gave_up_its_member(
    session_seconds: float,
) -> None:
    given_up = request_seconds(Worker(session_timeout_seconds=session_seconds))
    assert session_seconds < given_up <= max(10.0, 2 * session_seconds)


def unit(directory: Path) -> Unit:
    file = configurations.write(directory, configurations.document("127.0.0.1:1", "", directory))
    works = (Work(Requeue("nevogate", load(file).kafka), ("a.topic",), 10),)
    return Unit("fetch.nevogate", works, load(file), metrics(), directory, nothing)


async def test_what_a_unit_reads_and_writes_with_is_ours_and_it_writes_idempotently(tmp_path: Path) -> None:
    app = unit(tmp_path).app
    assert isinstance(app.consumer, Consumer)
    assert isinstance(app.producer, Producer)
    client = app.producer._new_producer()
    assert client._txn_manager is not None
    client._closed = True  # it was never started


async def test_a_unit_whose_producer_has_given_up_has_failed(tmp_path: Path) -> None:
    one = unit(tmp_path)
    assert not one.failed
    sender = asyncio.get_running_loop().create_future()
    one.app.producer._producer = SimpleNamespace(_sender=SimpleNamespace(sender_task=sender))
    assert not one.failed
    sender.set_result(None)
    assert one.failed
