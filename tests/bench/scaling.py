"""The same work with more workers, more partitions and a larger backlog: what it costs each time, and at what rate.

The CPU of a notification should stay the same, and the rate grow with the cores until the brokers are the limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from paynotify.sandbox.system import Sandbox
from tests.bench.drain import Drain, Drained
from tests.bench.peers.pipelines import PROVIDER
from tests.bench.pipeline import drain_plan
from tests.bench.roles import Peaks
from tests.bench.topics import Topics

_LEAST: Final = 200
#: A smaller run takes only the last layout: most of its time would be starts.
_WHOLE_SCALE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Layout:
    """Backlogs that one sandbox works off, one after the other."""

    workers: int
    partitions: int
    backlogs: Sequence[int]


#: Workers vary with 16 partitions, partitions and backlog with one worker: a second one would have nothing to do where
#: there is one partition.
LAYOUTS: Final = (
    Layout(1, 16, (40_000,)),
    Layout(2, 16, (40_000,)),
    Layout(4, 16, (40_000,)),
    Layout(1, 1, (40_000,)),
    Layout(1, 4, (10_000, 40_000, 100_000)),
)
#: On request: half an hour, and 10 GB of the simulator's memory.
LARGE: Final = (Layout(2, 16, (3_000_000,)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """One backlog. ``stored_bytes`` is what each notification and all that came of it take on the brokers' disks; None
    where they can't be seen.
    """

    partitions: int
    drained: Drained
    stored_bytes: float | None


def measure(scale: float, peaks: Peaks, *, large: bool) -> list[Scaled]:
    """Every layout in a sandbox of its own."""
    layouts = LAYOUTS if scale >= _WHOLE_SCALE else LAYOUTS[-1:]
    return [one for layout in (*layouts, *(LARGE if large else ())) for one in _layout(layout, scale, peaks)]


def _layout(layout: Layout, scale: float, peaks: Peaks) -> Iterator[Scaled]:
    plan = drain_plan(((),) * layout.workers, layout.partitions)
    with Sandbox(plan) as sandbox, Topics(sandbox) as ends:
        drain = Drain(sandbox, ends, peaks)
        for backlog in sorted({max(_LEAST, round(number * scale)) for number in layout.backlogs}):
            before = _stored(sandbox)
            drained = drain.by_workers(PROVIDER, backlog)
            after = _stored(sandbox)
            stored = None if before is None or after is None else (after - before) / backlog
            yield Scaled(partitions=layout.partitions, drained=drained, stored_bytes=stored)


def _stored(sandbox: Sandbox) -> int | None:
    """Bytes of all segments of the sandbox's own Kafka."""
    if sandbox.broker is None:
        return None
    segments = sandbox.broker.log_path.parent.rglob("0*.log")
    return sum(one.stat().st_size for one in segments)
