"""How a unit talks to the brokers: nothing of Faust's own client is left where it was replaced."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from faust.tables.recovery import Recovery, ServiceStopped

from processors.fetch.retry_stage import RetryStage
from processors.runtime.failpoints import nothing
from processors.runtime.runner import REQUEST_SECONDS, StageRunner, StageSpec
from processors.transport.faust_driver import FaustConsumer, FaustProducer
from schemas.configuration.model import load
from tests.fakes import configurations
from tests.fakes.stages import metrics


def unit(directory: Path, session_seconds: float = 10.0) -> StageRunner:
    document = configurations.document("127.0.0.1:1", "", directory)
    document["worker"] = {**document.get("worker", {}), "session_timeout_seconds": session_seconds}
    file = configurations.write(directory, document)
    works = (StageSpec(RetryStage("nevogate", load(file).kafka), ("a.topic",), 10),)
    return StageRunner("fetch.nevogate", works, load(file), metrics(), directory, nothing)


async def test_what_a_unit_reads_and_writes_with_is_ours_and_it_writes_idempotently(tmp_path: Path) -> None:
    app = unit(tmp_path).app
    assert isinstance(app.consumer, FaustConsumer)
    assert isinstance(app.producer, FaustProducer)
    client = app.producer._new_producer()
    assert client._txn_manager is not None
    client._closed = True  # it was never started


@pytest.mark.parametrize("session_seconds", [1.0, 6.0, 45.0])
async def test_a_connection_without_answers_is_given_up_whoever_uses_it(tmp_path: Path, session_seconds: float) -> None:
    """Faust's producer would wait twenty minutes for an answer, and its consumer as long as a session at least."""
    app = unit(tmp_path, session_seconds).app
    producer = app.producer._new_producer()
    consumer = app.consumer._thread._create_worker_consumer(app.transport)
    assert {one._request_timeout_ms for one in (producer.client, consumer._client)} == {round(REQUEST_SECONDS * 1000)}
    assert producer._message_accumulator._batch_ttl == math.inf, "a record whose place is taken is never given up"
    producer._closed = consumer._closed = True  # they were never started


async def test_going_back_after_a_rebalance_may_take_as_long_as_it_takes(tmp_path: Path) -> None:
    """Faust takes a time-out of it for the end of the app, and never reads a partition again."""
    app = unit(tmp_path).app
    recovery = Recovery(app, app.tables)
    with pytest.raises(ServiceStopped):
        await recovery._wait(asyncio.Event().wait(), timeout=0.01)
    assert app.conf.broker_request_timeout >= 1000 * REQUEST_SECONDS


async def test_a_unit_whose_producer_has_given_up_has_failed(tmp_path: Path) -> None:
    one = unit(tmp_path)
    assert not one.failed
    sender = asyncio.get_running_loop().create_future()
    one.app.producer._producer = SimpleNamespace(_sender=SimpleNamespace(sender_task=sender))
    assert not one.failed
    sender.set_result(None)
    assert one.failed
