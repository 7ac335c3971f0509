"""A topic's partition that only its newest holder can write to, by the brokers' own rules.

A worker that stood still (a frozen machine, a long pause) takes a partition for its own after another has taken it
over, until the group tells it otherwise. What it would write then contradicts what the other has written.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from processors.transport.publisher import Metadata, acknowledged
from schemas.errors import PartitionRevokedError
from schemas.records import Output
from schemas.topics import RESPONSE_BYTES

_TRANSACTION_LOG: Final = "__transaction_state"
_TAKE_SECONDS: Final = 30.0
_OPTIONAL_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = (0.05, 0.5)
_BATCH_BYTES: Final = 256 * 1024

#: Counts on while the machine sleeps, where there is such a clock.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

T = TypeVar("T")


class FencedProducer:
    """A producer whose id all holders of the partition share, each with a higher epoch than the last.

    The brokers refuse records of an older epoch wherever they have seen a newer one, transaction or not. So a holder
    begins with an empty transaction, whose end is marked on the partition with the holder's epoch. All later writes
    are plain idempotent ones and cost what others cost.

    Brokers forget an epoch after a day without writes (``producer.id.expiration.ms``), and a shared id after a week
    without transactions (``transactional.id.expiration.ms``); whoever takes it then gets another producer id, which
    fences nobody. So a hold has an `age_seconds`, and an old one is taken anew before it is used.

    After any failure the producer is given up: its next holder, this process or another, begins with `take`.

    ``optional`` is for the sandbox: a single broker set up without a transaction log is used without the fence.
    """

    def __init__(
        self, settings: Mapping[str, Any], shared_id: str, place: TopicPartition, *, optional: bool = False
    ) -> None:
        self._client_settings = settings
        self._settings = {
            **settings,
            "acks": "all",
            "enable_idempotence": True,
            "max_batch_size": _BATCH_BYTES,
            "max_request_size": RESPONSE_BYTES,
        }
        self._shared_id = shared_id
        self._place = place
        self._optional = optional
        self._without = False
        self._producer: Any = None
        self._written_at = 0.0
        self._taken_at = 0.0
        self._closing: set[asyncio.Task[None]] = set()

    def age_seconds(self) -> float:
        """How long ago it was taken."""
        return _now() - self._taken_at

    def seconds_since_written(self) -> float:
        """How long ago a record was sent that the brokers then took; they may have another holder since."""
        return _now() - self._written_at

    async def take(self) -> None:
        """Become the partition's only writer. What others have not written yet they never will.

        Raises:
            PartitionRevokedError: no coordinator answered in time, or another took it meanwhile.
            aiokafka.errors.KafkaError: the brokers can't be reached, or refuse the transactional id.
        """
        self._give_up()
        taken_at = _now()
        seconds = _TAKE_SECONDS if not self._optional else _OPTIONAL_SECONDS
        try:
            async with asyncio.timeout(seconds):
                self._producer = await (self._plain_producer() if self._without else self._taken())
        except TimeoutError:
            self._without = self._optional and await self._no_transaction_log()
            raise PartitionRevokedError(
                f"{self._shared_id} could not be taken within {seconds:g} s. Where this stays so, look at the "
                f"brokers' topic {_TRANSACTION_LOG}: its replication factor must not exceed their number."
                + (" As this is a sandbox, work goes on without the fence." if self._without else "")
            ) from None
        self._taken_at = taken_at

    async def _no_transaction_log(self) -> bool:
        """Whether the brokers answer and have never handed out a transactional id: they can't make the log for it."""
        admin = AIOKafkaAdminClient(**self._client_settings)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await admin.start()
                return _TRANSACTION_LOG not in await admin.list_topics()
        except (TimeoutError, KafkaError):
            return False
        finally:
            await admin.close()

    async def _taken(self) -> Any:
        while True:
            producer_id, marked = await self._next_epoch(mark=True)
            # asked again, because the coordinator answers only when the mark is there
            if await self._next_epoch(mark=False) == (producer_id, marked + 1):
                break
            # another took it in between: of two such takers both would pass for the newest
            await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))  # noqa: S311 - only to part from the others
        return await self._plain_producer((producer_id, marked + 1))

    async def _plain_producer(self, id_and_epoch: tuple[int, int] | None = None) -> Any:
        """A plain idempotent producer: the brokers refuse it for an epoch it is given, never for one of its own."""
        producer = AIOKafkaProducer(**self._settings)
        if id_and_epoch is not None:
            producer._txn_manager.set_pid_and_epoch(*id_and_epoch)
        try:
            await producer.start()
        except BaseException:
            self._end(producer)
            raise
        return producer

    async def _next_epoch(self, *, mark: bool) -> tuple[int, int]:
        """The shared producer id and an epoch nobody had before, marked on the partition on request."""
        producer = AIOKafkaProducer(**self._settings, transactional_id=self._shared_id)
        try:
            await producer.start()
            transaction = producer._txn_manager
            if mark:
                await producer.begin_transaction()
                transaction.maybe_add_partition_to_txn(self._place)
                await self._unless_dead(producer, producer.commit_transaction())
            return transaction.producer_id, transaction.producer_epoch
        finally:
            self._end(producer)

    async def write(self, outputs: Sequence[Output]) -> list[Metadata]:
        """Write to the partition itself. Returns when the brokers have acknowledged all of them.

        Raises:
            PartitionRevokedError: another process has taken the partition, or the brokers refused for another reason.
        """
        sent_at = _now()
        written = await self.publish(outputs)
        self._written_at = sent_at  # not when the answer came: this process may have stood still in between
        return written

    async def publish(self, outputs: Sequence[Output]) -> list[Metadata]:
        """Write to any partition: refused wherever a later holder has written, so that nothing comes after its records.

        Returns when the brokers have acknowledged all of them. Where no later holder has written yet, an earlier one
        still can; so this says nothing of who holds the partition.

        Raises:
            PartitionRevokedError: as `write`.
        """
        producer = self._producer
        if producer is None:
            raise PartitionRevokedError(f"{self._shared_id} is not held, take it first")
        try:
            return await self._unless_dead(
                producer,
                acknowledged(
                    lambda one: producer.send(one.topic, one.value, one.key, one.partition, None, list(one.headers)),
                    outputs,
                ),
            )
        except BaseException:
            self._give_up()
            raise

    async def close(self) -> None:
        self._give_up()
        if self._closing:
            await asyncio.wait(self._closing, timeout=_STOP_SECONDS * 2)

    async def _unless_dead(self, producer: Any, work: Coroutine[Any, Any, T]) -> T:
        """The work's result. A producer whose sender has died answers no call any more, so both are watched."""
        task = asyncio.ensure_future(work)
        sender = producer._sender.sender_task
        try:
            await asyncio.wait([task, sender], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise PartitionRevokedError(f"{self._shared_id} can't be written any more: {_why(sender)}")
            try:
                return task.result()
            except Exception as error:
                raise PartitionRevokedError(
                    f"{self._shared_id} can't be written any more: {type(error).__name__}"
                ) from error
        finally:
            task.cancel()

    def _give_up(self) -> None:
        self._written_at = self._taken_at = 0.0
        if self._producer is not None:
            self._end(self._producer)
            self._producer = None

    def _end(self, producer: Any) -> None:
        """Stop it beside the work: stopping waits for brokers that may be away."""
        task = asyncio.ensure_future(_stop(producer))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _now() -> float:
    return time.clock_gettime(_CLOCK)


async def _stop(producer: Any) -> None:
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await producer.stop()
    except TimeoutError:
        # it waits for records that brokers don't take; those are the next holder's now
        if producer._sender.sender_task is not None:
            producer._sender.sender_task.cancel()
        await producer.client.close()


def _why(sender: asyncio.Task[None]) -> str:
    error = None if sender.cancelled() else sender.exception()
    return type(error).__name__
