"""What the shops announced, as a process reads it: the product's own view over the simulated logs."""

from __future__ import annotations

import asyncio
from functools import partial

from processors.expectations import ExpectationsView
from schemas import topics
from tests.simulation.broker import Broker
from tests.simulation.states import Disk, Store
from tests.simulation.worker import Worker


class SimulatedExpectations(ExpectationsView):
    """Reads every record of the topic, from where the disk is."""

    def __init__(self, broker: Broker, worker: Worker) -> None:
        self._broker = broker
        self._worker = worker
        self._store = Store(worker.disk.setdefault(("expectations", 0), Disk()))
        self._ready = asyncio.Event()

    def begin(self) -> None:
        for number in range(self._broker.partitions(topics.EXPECTED)):
            self._worker.spawn(self._follow(number))

    async def _follow(self, number: int) -> None:
        place = topics.EXPECTED, number
        position = int(self._store.get(b"next\0%d" % number) or 0)
        while True:
            await asyncio.sleep(
                self._broker.reachable_in(self._worker) + self._broker.delay(topics.EXPECTED, b"%d" % number)
            )
            log = self._broker.log(place)
            if position < len(log):
                self.take(number, log[position:])
                position = len(log)
                continue
            self._ready.set()
            more: asyncio.Future[None] = self._broker.loop.create_future()
            self._broker.read_on(place, partial(_resolve, more))
            await more


def _resolve(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
