"""What the product takes from the machine, taken from the simulation instead: the time, and chance.

Where the code accepts a clock it is given one; where it doesn't, its module's own name for the time is replaced for as
long as the run lasts.
"""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, tzinfo
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from paynotify.processors import wiring
from paynotify.processors.limits.call_pacer import CallPacer
from paynotify.processors.limits.hourly_quota import HourlyQuota
from paynotify.processors.limits.provider_circuits import ProviderCircuits
from paynotify.processors.orders import expectation_cache
from paynotify.processors.providers.smartpay import provider as smartpay
from paynotify.processors.providers.smartpay import published_keys
from paynotify.processors.providers.trustpayments import client as trustpayments
from paynotify.processors.resolve import retention
from paynotify.schemas import ids, times
from tests.simulation.broker import EPOCH_SECONDS
from tests.simulation.timeline import RUNNING, Timeline

#: Within the time after which payments are closed, which is short here; each tick would be a pass otherwise.
_PASSES_OVER_STATE: Final = 4


def unix_seconds(loop: Timeline) -> float:
    """The running process's clock, or the loop's outside of a process."""
    process = RUNNING.get()
    return float(process.now()) if process is not None else EPOCH_SECONDS + loop.now


def product_time(loop: Timeline, zone: tzinfo | None = None) -> datetime:
    """The clock that the product reads."""
    return datetime.fromtimestamp(unix_seconds(loop), zone or UTC)


@contextmanager
def simulated(loop: Timeline, chance: Random, *, silent: bool = True) -> Iterator[None]:
    """The product runs on the loop's time and the seed's chance. The collector rests: it runs when it likes."""

    dates = SimpleNamespace(
        now=partial(product_time, loop), fromisoformat=datetime.fromisoformat, fromtimestamp=datetime.fromtimestamp
    )
    replaced: list[tuple[Any, str, Any]] = [
        (times, "datetime", dates),
        (expectation_cache, "time", SimpleNamespace(monotonic=loop.time)),
        (ids, "time", SimpleNamespace(time_ns=lambda: round(unix_seconds(loop) * 1e9))),
        (ids, "os", SimpleNamespace(urandom=chance.randbytes)),
        (trustpayments, "secrets", SimpleNamespace(choice=chance.choice)),
        (published_keys, "random", SimpleNamespace(random=chance.random)),
        (smartpay, "HourlyQuota", partial(HourlyQuota, now=loop.time)),
        (retention, "_PASSES", _PASSES_OVER_STATE),
        (wiring, "CallPacer", partial(CallPacer, now=loop.time)),
        (wiring, "HourlyQuota", partial(HourlyQuota, now=loop.time)),
        (wiring, "ProviderCircuits", partial(ProviderCircuits, now=loop.time)),
    ]
    disabled, collects = logging.root.manager.disable, gc.isenabled()
    with ExitStack() as stack:
        for module, name, substitute in replaced:
            stack.enter_context(patch.object(module, name, substitute))
        if silent:
            logging.disable(logging.CRITICAL)
        gc.disable()
        try:
            yield
        finally:
            logging.disable(disabled)
            if collects:
                gc.enable()


class Meters:
    """The workers' metrics without cost; only what the loops call errors is counted, by stage and kind."""

    def __init__(self) -> None:
        self.errors: Counter[tuple[str, str]] = Counter()
        self.stage_errors = _Errors(self.errors)

    def __getattr__(self, name: str) -> _Meter:
        return _METER


class _Meter:
    def labels(self, *_: object, **__: object) -> _Meter:
        return self

    def inc(self, amount: float = 1) -> None:
        return

    def set(self, value: float) -> None:
        return

    def set_function(self, _: object) -> None:
        return

    def remove(self, *_: object) -> None:
        return

    def clear(self) -> None:
        return

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        return


_METER = _Meter()


class _Errors:
    def __init__(self, counts: Counter[tuple[str, str]]) -> None:
        self._counts = counts

    def labels(self, provider: str, stage: str, kind: str) -> _Error:
        return _Error(self._counts, (f"{stage}.{provider}", kind))


class _Error:
    def __init__(self, counts: Counter[tuple[str, str]], key: tuple[str, str]) -> None:
        self._counts, self._key = counts, key

    def inc(self, amount: float = 1) -> None:
        self._counts[self._key] += 1
