"""Faust's driver with the parts replaced that lose records, and that Faust's own parts still lose them."""

from __future__ import annotations

from mode.utils.queues import FlowControlEvent, ThrowableQueue

from paynotify.processors.transport.faust_driver import FlowControl


async def test_queued_records_stay_when_the_flow_resumes() -> None:
    control = FlowControl()
    queue: ThrowableQueue[int] = ThrowableQueue(flow_control=control, clear_on_resume=True)
    control.resume()
    await queue.put(1)
    control.suspend()
    control.resume()
    assert control.is_active()
    assert queue.get_nowait() == 1
    await queue.put(2)
    control.clear()
    assert queue.empty(), "a revoked partition's records still go"


async def test_modes_own_flow_control_discards_queued_records() -> None:
    control = FlowControlEvent()
    queue: ThrowableQueue[int] = ThrowableQueue(flow_control=control, clear_on_resume=True)
    control.resume()
    await queue.put(1)
    control.suspend()
    control.resume()
    assert queue.empty()
