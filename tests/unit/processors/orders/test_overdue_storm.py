"""What an outage made overdue is told and asked for one after another: at the merchant's pace, in short ticks and
batches, and for those that were paid meanwhile not at all.

The real stage, clock and store, on simulated time. ``make overdue ORDERS=100000`` is the long form, and prints what it
measured.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from paynotify.processors.limits.hourly_quota import HourlyQuota
from paynotify.processors.orders.state_machine import OVERDUE_QUEUE, poll_queue
from paynotify.processors.runtime.stage import BatchContext
from paynotify.processors.runtime.timers import TimerService
from paynotify.processors.state.overlay import Overlay
from paynotify.processors.state.rocksdb_store import RocksDBStore
from paynotify.schemas.records import Output, Record
from tests.fakes.stages import refuse_publish
from tests.unit.processors.orders.test_stage import DUE, Shop, expected, seen

ORDERS: Final = int(os.environ.get("PAYNOTIFY_OVERDUE_ORDERS") or 800)
PARTITIONS: Final = 4
PER_HOUR: Final = 3600
_TICK_SECONDS: Final = 5.0
_BATCH_RECORDS: Final = 500
#: One in so many is paid while it waits for its turn.
_PAID_EACH: Final = 4
#: What one tick of one partition may tell of one queue.
_MOST_TOLD: Final = 500


@dataclass(slots=True)
class Partition:
    """One partition of ``payments.orders``: its state, and how much CPU time its longest batch and tick took."""

    number: int
    store: RocksDBStore
    shop: Shop
    longest_batch_seconds: float = 0.0
    longest_tick_seconds: float = 0.0
    most_told: int = 0
    outputs: int = 0
    asked: list[str] = field(default_factory=list)

    async def work(self, records: Sequence[Record]) -> list[Output]:
        """The records in batches, as the loop has them."""
        found: list[Output] = []
        for start in range(0, len(records), _BATCH_RECORDS):
            begun = time.process_time()
            state = Overlay(self.store)
            found += await self.shop.stage.process(
                BatchContext(records[start : start + _BATCH_RECORDS], state, refuse_publish)
            )
            self.store.write(state.changes, 0)
            self.longest_batch_seconds = max(self.longest_batch_seconds, time.process_time() - begun)
        return found

    async def tick(self, clock: TimerService, now: datetime) -> list[Output]:
        """Tell what is due, and do it."""
        begun = time.process_time()
        told = clock.due_records(self.number, self.store)
        self.longest_tick_seconds = max(self.longest_tick_seconds, time.process_time() - begun)
        self.most_told = max(self.most_told, len(told))
        times = [Record("payments.orders", 0, 0, one.key, one.value, one.headers, now.timestamp()) for one in told]
        return await self.work(times) if times else []


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_polls_after_an_outage_stay_within_the_quota(tmp_path: Path) -> None:
    moment = DUE + timedelta(hours=9)  # the outage is over
    parts = [Partition(number, RocksDBStore(tmp_path / str(number)), Shop()) for number in range(PARTITIONS)]
    for part in parts:
        await part.work([expected(f"o{number}") for number in range(part.number, ORDERS, PARTITIONS)])
    before_bytes = resident_bytes()
    share = PER_HOUR // PARTITIONS
    allowance = HourlyQuota(share, lambda: moment.timestamp(), burst=share / 60)
    queues = {OVERDUE_QUEUE: None, poll_queue("shop"): allowance}
    clock = TimerService("payments.orders", queues, lambda entry: entry.name, lambda: moment)
    asked: list[int] = []  # at each tick
    raised, cleared = 0, 0
    paid: set[str] = set()
    most_bytes = before_bytes
    # what is left of it has its last look after that time
    while moment < DUE + timedelta(hours=9, seconds=3600 * ORDERS / PER_HOUR + 600):
        now_asked = 0
        for part in parts:
            for one in await part.tick(clock, moment):
                raised += one.topic == "payments.overdue"
                now_asked += one.topic == "lookups.trustpayments"
        if raised == ORDERS and len(paid) < ORDERS // _PAID_EACH:
            # customers' webhooks are worked off meanwhile: those of the orders that wait longest for their turn
            number = ORDERS - 1 - len(paid)
            paid.add(f"o{number}")
            part = parts[number % PARTITIONS]
            cleared += sum(
                one.topic == "payments.overdue" for one in await part.work([seen(f"p{number}", order=f"o{number}")])
            )
        asked.append(now_asked)
        most_bytes = max(most_bytes, resident_bytes()) if len(asked) % 50 == 0 else most_bytes
        moment += timedelta(seconds=_TICK_SECONDS)
    for part in parts:
        part.store.close()
    minute = round(60 / _TICK_SECONDS)
    most_in_a_minute = max(sum(asked[start : start + minute]) for start in range(len(asked)))
    tick_milliseconds = max(part.longest_tick_seconds for part in parts) * 1000
    batch_milliseconds = max(part.longest_batch_seconds for part in parts) * 1000
    print(
        f"{ORDERS} overdue: raised {raised}, paid meanwhile {cleared}, asked {sum(asked)}, "
        f"at most {most_in_a_minute} a minute; longest tick {tick_milliseconds:.1f} ms CPU, "
        f"longest batch {batch_milliseconds:.0f} ms CPU, "
        f"memory +{(most_bytes - before_bytes) / 2**20:.0f} MiB"
    )
    assert raised == ORDERS
    assert cleared == len(paid)
    assert max(part.most_told for part in parts) <= 2 * _MOST_TOLD
    # what was saved up, and the pace itself
    assert most_in_a_minute <= PER_HOUR / 60 * 2
