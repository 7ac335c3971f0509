"""When a call was made and when it ended, by the brokers' clock as soon as that is known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from paynotify.processors.providers.base import CallContext


class CallTimes(NamedTuple):
    """``by_brokers``: the call began no earlier and ended no later than that by the brokers' clock.

    Otherwise both are by this process's own clock.
    """

    asked_at: datetime
    received_at: datetime
    by_brokers: bool


def begin(context: CallContext) -> Callable[[], CallTimes]:
    """The call begins; the function returned tells its times once it has ended."""
    asked_at, began_at = context.now(), context.brokers_clock.elapsed()

    def end() -> CallTimes:
        span = context.brokers_clock.span(began_at, context.brokers_clock.elapsed())
        if span is None:
            return CallTimes(asked_at, context.now(), by_brokers=False)
        return CallTimes(span.begins, span.ends, by_brokers=True)

    return end
