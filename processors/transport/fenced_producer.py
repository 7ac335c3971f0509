"""Single-writer access to a partition, enforced by the brokers' producer-epoch fencing.

A worker that was frozen still believes that it owns a partition after another has acquired it, until the group tells it
otherwise. What it would write then contradicts what the new owner has written.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from paynotify.processors.transport import batch_writer
from paynotify.processors.transport.batch_writer import Written
from paynotify.processors.transport.brokers_clock import seconds_since_boot as _now
from paynotify.schemas.errors import PartitionRevokedError
from paynotify.schemas.records import Output
from paynotify.schemas.topics import RESPONSE_BYTES

_TRANSACTION_LOG: Final = "__transaction_state"
_ACQUIRE_SECONDS: Final = 30.0
_OPTIONAL_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = (0.05, 0.5)
_BATCH_BYTES: Final = 256 * 1024

T = TypeVar("T")


class FencedProducer:
    """A producer whose id all owners of the partition share, each with a higher epoch than the one before.

    The brokers refuse records of an older epoch wherever they have seen a newer one, inside a transaction or not. So an
    owner begins with an empty transaction, whose end marker puts the owner's epoch on the partition. All later writes
    are plain idempotent ones, without the cost of transactions. No client offers this: the producer id and epoch of an
    aiokafka producer are set and read through its transaction manager.

    Brokers forget an epoch after a day without writes (``producer.id.expiration.ms``), and a shared id after a week
    without transactions (``transactional.id.expiration.ms``). The next owner then gets another producer id, which
    fences nobody. So ownership has an `age_seconds`, and an old one is acquired again before it is used.

    After any failure the producer is closed: its next owner, this process or another, begins with `acquire`.

    ``optional`` is for the sandbox: a single broker without a transaction log is used without fencing.
    """

    def __init__(
        self, settings: Mapping[str, Any], shared_id: str, partition: TopicPartition, *, optional: bool = False
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
        self._partition = partition
        self._optional = optional
        self._unfenced = False
        self._producer: Any = None
        self._written_at = 0.0
        self._acquired_at = 0.0
        self._closing: set[asyncio.Task[None]] = set()

    def age_seconds(self) -> float:
        """How long ago the partition was acquired."""
        return _now() - self._acquired_at

    def seconds_since_written(self) -> float:
        """How long ago the last acknowledged record was sent. The partition may have another owner since."""
        return _now() - self._written_at

    async def acquire(self) -> None:
        """Become the partition's only writer: the brokers refuse whatever an earlier owner has not written yet.

        Raises:
            PartitionRevokedError: no transaction coordinator responded in time, or another process acquired it.
            aiokafka.errors.KafkaError: the brokers can't be reached, or refuse the transactional id.
        """
        self._discard()
        acquired_at = _now()
        seconds = _ACQUIRE_SECONDS if not self._optional else _OPTIONAL_SECONDS
        try:
            async with asyncio.timeout(seconds):
                self._producer = await (self._plain_producer() if self._unfenced else self._fenced_producer())
        except TimeoutError:
            self._unfenced = self._optional and await self._no_transaction_log()
            raise PartitionRevokedError(
                f"{self._shared_id} could not be acquired within {seconds:g} s. If this persists, check the brokers' "
                f"topic {_TRANSACTION_LOG}: its replication factor must not exceed the number of brokers."
                + (" This is a sandbox, which continues without fencing." if self._unfenced else "")
            ) from None
        self._acquired_at = acquired_at

    async def _no_transaction_log(self) -> bool:
        """Whether the brokers respond but have no transaction log, because they could not create one."""
        admin = AIOKafkaAdminClient(**self._client_settings)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await admin.start()
                return _TRANSACTION_LOG not in await admin.list_topics()
        except (TimeoutError, KafkaError):
            return False
        finally:
            await admin.close()

    async def _fenced_producer(self) -> Any:
        while True:
            producer_id, epoch = await self._next_epoch(mark=True)
            # a second request, because the coordinator responds to it only after the marker is written
            if await self._next_epoch(mark=False) == (producer_id, epoch + 1):
                break
            # another process acquired it in between, and both would use the same epoch
            await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))  # noqa: S311 - a jitter, not a secret
        return await self._plain_producer((producer_id, epoch + 1))

    async def _plain_producer(self, id_and_epoch: tuple[int, int] | None = None) -> Any:
        """A plain idempotent producer. The brokers fence it for a given id and epoch, never for those of its own."""
        producer = AIOKafkaProducer(**self._settings)
        if id_and_epoch is not None:
            producer._txn_manager.set_pid_and_epoch(*id_and_epoch)
        try:
            await producer.start()
        except BaseException:
            self._close_later(producer)
            raise
        return producer

    async def _next_epoch(self, *, mark: bool) -> tuple[int, int]:
        """The shared producer id and a new epoch, with ``mark`` written to the partition by a transaction's marker."""
        producer = AIOKafkaProducer(**self._settings, transactional_id=self._shared_id)
        try:
            await producer.start()
            transaction = producer._txn_manager
            if mark:
                await producer.begin_transaction()
                transaction.maybe_add_partition_to_txn(self._partition)
                await self._while_sending(producer, producer.commit_transaction())
            return transaction.producer_id, transaction.producer_epoch
        finally:
            self._close_later(producer)

    async def write(self, outputs: Sequence[Output]) -> int:
        """Write to the partition itself. Returns, once the brokers have acknowledged all, the offset after the last.

        Raises:
            PartitionRevokedError: another process has acquired the partition, or the write failed otherwise.
        """
        sent_at = _now()
        written = await self._write(outputs)
        self._written_at = sent_at  # not the time of the response: this process may have been frozen in between
        return written.next_offsets[self._partition]

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Write to any partition. Returns when the brokers have acknowledged all records.

        The brokers refuse it wherever a later owner has written, so nothing of an earlier owner follows those records.
        Where no later one has written yet, an earlier one still can, so success does not prove ownership.

        Raises:
            PartitionRevokedError: as `write`.
        """
        await self._write(outputs)

    async def _write(self, outputs: Sequence[Output]) -> Written:
        producer = self._producer
        if producer is None:
            raise PartitionRevokedError(f"{self._shared_id} is not acquired")
        try:
            return await self._while_sending(producer, batch_writer.write(producer, outputs))
        except BaseException:
            self._discard()
            raise

    async def close(self) -> None:
        self._discard()
        if self._closing:
            await asyncio.wait(self._closing, timeout=_STOP_SECONDS * 2)

    async def _while_sending(self, producer: Any, work: Awaitable[T]) -> T:
        """The result of the work, or an error as soon as the producer's sender has ended.

        Calls of a producer without a sender never return: https://github.com/aio-libs/aiokafka/issues/1039. So its end
        cancels the work, as the end of an `asyncio.timeout` does: a task for the work of each write would cost more
        than most writes.
        """
        task, sender = asyncio.current_task(), producer._sender.sender_task
        assert task is not None
        cancelled_before, working, ended = task.cancelling(), True, False

        def end(_: asyncio.Task[None]) -> None:
            nonlocal ended
            if working:
                ended = True
                task.cancel()

        sender.add_done_callback(end)
        try:
            return await work
        except asyncio.CancelledError:
            if not ended or task.uncancel() > cancelled_before:
                raise
            raise PartitionRevokedError(f"{self._shared_id} can't be written: {_why(sender)}") from None
        except Exception as error:
            raise PartitionRevokedError(f"{self._shared_id} can't be written: {type(error).__name__}") from error
        finally:
            working = False
            sender.remove_done_callback(end)

    def _discard(self) -> None:
        self._written_at = self._acquired_at = 0.0
        if self._producer is not None:
            self._close_later(self._producer)
            self._producer = None

    def _close_later(self, producer: Any) -> None:
        """Stop the producer in a task of its own, because that waits for brokers that may be away."""
        task = asyncio.ensure_future(_stop(producer))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _stop(producer: Any) -> None:
    """Stop the producer, within bounds: without brokers ``stop`` of an idempotent producer never returns.

    See https://github.com/aio-libs/aiokafka/issues/1101.
    """
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await producer.stop()
    except TimeoutError:
        # the records it waits for are now the next owner's to write
        if producer._sender.sender_task is not None:
            producer._sender.sender_task.cancel()
        await producer.client.close()


def _why(sender: asyncio.Task[None]) -> str:
    if sender.cancelled():
        return "the producer's sender was cancelled"
    error = sender.exception()
    return type(error).__name__ if error is not None else "the producer's sender has ended"
