"""Reads the topics of one subscription as a member of its consumer group, and delivers while it owns them.

Each subscription has a group of its own: a subscriber that is slow or away holds back its own offsets and nobody
else's, and its events wait where they are, on the result topics.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from paynotify.deliver.delivery_queue import Place, QueuedDelivery
from paynotify.deliver.dispatcher import Dispatcher
from paynotify.deliver.metrics import DeliverMetrics
from paynotify.deliver.ownership import OneOwner
from paynotify.deliver.record_writer import DeliveryWriter
from paynotify.deliver.result_event import TOPICS, is_wanted, read_event
from paynotify.deliver.state_reader import StateReader
from paynotify.deliver.subscription_state import positions_record
from paynotify.schemas import topics
from paynotify.schemas.configuration.deliver import DeliverSettings, Subscription
from paynotify.schemas.configuration.kafka import KafkaSettings
from paynotify.schemas.errors import UnreadableError
from paynotify.schemas.records import to_record
from paynotify.service.logs import event
from paynotify.service.stopping import wait

logger = logging.getLogger("paynotify.deliver")

_POLL_MILLISECONDS: Final = 200
_COMMIT_SECONDS: Final = 1.0
_POSITIONS_SECONDS: Final = 300.0
_LAG_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 2.0
#: Beside the longest call, what a member may need until it joins its group again.
_JOIN_MARGIN_SECONDS: Final = 10.0


def group_of(subscription: str, kafka: KafkaSettings) -> str:
    """The consumer group of a subscription."""
    return kafka.topic(f"paynotify.deliver.{subscription}")


def topics_of(subscription: Subscription, kafka: KafkaSettings) -> list[str]:
    """The topics (names on the cluster) that a subscription reads."""
    return [kafka.topic(name) for name in (*(TOPICS[one] for one in subscription.events), topics.DELIVERIES_REPLAYED)]


class SubscriptionReader(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One subscription in one process. ``dispatcher`` makes what delivers once this process owns it."""

    def __init__(
        self,
        subscription: Subscription,
        settings: DeliverSettings,
        kafka: KafkaSettings,
        client: Mapping[str, Any],
        dispatcher: Callable[[], Dispatcher],
        state: StateReader,
        writer: DeliveryWriter,
        metrics: DeliverMetrics,
    ) -> None:
        self.subscription = subscription
        self._settings = settings
        self._kafka = kafka
        self._client = client
        self._new_dispatcher = dispatcher
        self._state = state
        self._writer = writer
        self._metrics = metrics
        self._consumer: Any = None
        self._owned: Dispatcher | None = None
        self._assigned: tuple[Any, ...] = ()
        self._generation = 0
        self._committed: dict[Place, int] = {}
        self._next: dict[str, float] = {}
        self._stopping = asyncio.Event()
        self.is_member = False

    async def run(self) -> None:
        """Deliver until `stop`. Whatever fails, it begins anew with what is durable."""
        while not self._stopping.is_set():
            try:
                await self._join()
            except Exception as error:  # noqa: BLE001 - one subscription that ends would be one that nobody delivers
                event(
                    logger,
                    "subscription_failed_retrying",
                    level=logging.WARNING,
                    subscription=self.subscription.id,
                    error=type(error).__name__,
                )
            await wait(self._stopping, _RETRY_SECONDS)

    def stop(self) -> None:
        """End `run` once the calls in progress have ended."""
        self._stopping.set()

    def changed(self) -> None:
        """Something was read from the state topic."""
        if self._owned is not None:
            self._owned.changed()

    async def on_partitions_revoked(self, revoked: Any) -> None:
        self._generation += 1
        self._assigned = ()
        # calls in progress end first: otherwise the next owner would make them again
        await self._disown(self._settings.timeout_seconds)

    async def on_partitions_assigned(self, assigned: Any) -> None:
        self._generation += 1
        self._assigned = tuple(assigned)
        self.is_member = True

    async def _join(self) -> None:
        session_ms = round(self._settings.session_timeout_seconds * 1000)
        self._consumer = AIOKafkaConsumer(
            **self._client,
            group_id=group_of(self.subscription.id, self._kafka),
            partition_assignment_strategy=(OneOwner,),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 4,
            rebalance_timeout_ms=round((self._settings.timeout_seconds + _JOIN_MARGIN_SECONDS) * 1000),
        )
        self._consumer.subscribe(topics_of(self.subscription, self._kafka), listener=self)
        try:
            await self._consumer.start()
            while not self._stopping.is_set():
                await self._turn()
        finally:
            await self._disown(self._settings.drain_seconds if self._stopping.is_set() else 0.0)
            self.is_member = False
            await self._consumer.stop()

    async def _turn(self) -> None:
        if self._assigned and self._owned is None:
            await self._own()
        owned, consumer = self._owned, self._consumer
        if owned is None:
            # also without partitions: a consumer that is not polled leaves its group
            await consumer.getmany(timeout_ms=_POLL_MILLISECONDS, max_records=1)
            return
        if owned.failed:
            raise RuntimeError
        room = owned.room
        (consumer.resume if room else consumer.pause)(*self._assigned)
        found = await consumer.getmany(timeout_ms=_POLL_MILLISECONDS, max_records=room or 1)
        if owned is not self._owned:
            return  # they are read again
        for partition, records in found.items():
            await self._take(owned, partition, records)
        await self._keep(owned)

    async def _take(self, owned: Dispatcher, partition: Any, records: Sequence[Any]) -> None:
        deliveries = []
        for one in records:
            try:
                found = read_event(to_record(one))
            except UnreadableError:
                self._metrics.unreadable.labels(self.subscription.id).inc()
                continue
            if found is not None and is_wanted(found, self.subscription):
                deliveries.append(QueuedDelivery(found))
        await owned.add(deliveries)  # first, or the offsets would be taken for done
        owned.queue.read_past((partition.topic, partition.partition), records[-1].offset)

    async def _keep(self, owned: Dispatcher) -> None:
        """Commit, and report, now and then."""
        owned.report()
        if self._is_time("commit", _COMMIT_SECONDS):
            await self._commit(owned)
        if self._is_time("positions", _POSITIONS_SECONDS):
            await self._record_positions(owned.queue.positions())
        if self._is_time("lag", _LAG_SECONDS):
            ends = await self._consumer.end_offsets(self._assigned)
            done = owned.queue.positions()
            lag = sum(max(0, end - done.get((one.topic, one.partition), end)) for one, end in ends.items())
            self._metrics.lag.labels(self.subscription.id).set(lag)

    def _is_time(self, what: str, every_seconds: float) -> bool:
        now = time.monotonic()
        if now < self._next.get(what, 0.0):
            return False
        self._next[what] = now + every_seconds
        return True

    async def _own(self) -> None:
        """Continue where the former owner ended: at its offsets, with what waits."""
        generation, assigned = self._generation, self._assigned
        await self._state.catch_up()  # the former owner's last records were acknowledged before its last offsets
        begin = await self._begin(assigned)
        if generation != self._generation:
            return
        owned = self._new_dispatcher()
        with contextlib.suppress(IllegalStateError):  # assigned anew meanwhile
            for partition, offset in begin.items():
                self._consumer.seek(partition, offset)
                owned.queue.read_past((partition.topic, partition.partition), offset - 1)
        self._committed = {}
        waiting = self._state.waiting_of(self.subscription.id)
        self._owned = owned
        owned.start(waiting)
        self._metrics.owned.labels(self.subscription.id).set(1)
        event(logger, "subscription_owned", subscription=self.subscription.id, waiting=len(waiting))

    async def _begin(self, assigned: Sequence[Any]) -> dict[Any, int]:
        """Where to read each partition from."""
        firsts = await self._consumer.beginning_offsets(assigned)
        ends = await self._consumer.end_offsets(assigned)
        recorded = self._state.positions_of(self.subscription.id)
        known = recorded.offsets if recorded is not None else {}
        begin: dict[Any, int] = {}
        for one in assigned:
            committed = await self._consumer.committed(one)
            if committed is None:
                committed = known.get(one.topic, {}).get(one.partition)
            if committed is None:  # of a partition that was added, all is new
                is_new = one.topic not in known and self.subscription.start == "now"
                committed = ends[one] if is_new else firsts[one]
            begin[one] = max(committed, firsts[one])
        if recorded is None:
            # without it a crash before the first commit would begin later, at another "now"
            await self._record_positions(begin)
        return begin

    async def _disown(self, within_seconds: float) -> None:
        owned, self._owned = self._owned, None
        if owned is None:
            return
        await owned.stop(within_seconds)
        with contextlib.suppress(KafkaError):
            await self._commit(owned)
        if self._stopping.is_set():
            await self._record_positions(owned.queue.positions())
        self._metrics.disown(self.subscription.id)

    async def _commit(self, owned: Dispatcher) -> None:
        positions = owned.queue.positions()
        news = {
            TopicPartition(*place): offset
            for place, offset in positions.items()
            if self._committed.get(place) != offset
        }
        if not news:
            return
        try:
            await self._consumer.commit(news)
        except (CommitFailedError, IllegalStateError):
            return  # no member any more: the next owner reads it again
        self._committed = dict(positions)

    async def _record_positions(self, positions: Mapping[Place, int]) -> None:
        await self._writer.publish([positions_record(self.subscription.id, positions, self._kafka)])
