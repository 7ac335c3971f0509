"""Reads the two sides of a comparison: our payments from the result topics, the provider's from its list."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import msgspec

from paynotify.ops.common.progress_bar import ProgressBar
from paynotify.ops.common.topic_reader import TopicReader
from paynotify.ops.reconcile.compare import OwnPayments, PaymentEntry, Period
from paynotify.processors.limits.call_pacer import CallPacer
from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import CallContext
from paynotify.processors.providers.call_context import open_call_context
from paynotify.processors.providers.payment_list import ListedRecord, PaymentLister, PaymentReference, UnreadableRecord
from paynotify.processors.resolve.payment_state import PaymentState
from paynotify.processors.resolve.transitions import advance
from paynotify.schemas import topics
from paynotify.schemas.configuration.model import Configuration
from paynotify.schemas.errors import ConfigurationError, PermanentError, RetryableError, UnreadableError
from paynotify.schemas.messages import decode
from paynotify.schemas.money import Money
from paynotify.schemas.status import Status
from paynotify.schemas.times import parse_time

#: Limit for one page of a list, which is larger than the responses that workers read.
_MAX_RESPONSE_BYTES: Final = 4 * 1024 * 1024


class _StatusEvent(msgspec.Struct):
    """The fields of a status event that the comparison needs."""

    payment_id: str
    order_id: str | None
    status: Status
    sequence: int
    amount: Money | None
    paid: Money | None
    observed_at: str


def read_own_payments(reader: TopicReader, configuration: Configuration, merchant: str, period: Period) -> OwnPayments:
    """The merchant's payments on ``payments.latest``, with the time of those that started in or near the period.

    A payment's newest event does not state when the payment started. That time comes from its first event, which is on
    ``payments.status``.

    Raises:
        ConfigurationError: a record on one of these topics is not a status event.
    """
    topic = configuration.kafka.topic
    key_start = f"{merchant}/".encode()
    latest = reader.ranges(reader.partitions(topic(topics.LATEST)))
    status = reader.ranges(
        reader.partitions(topic(topics.STATUS)),
        (period.start - period.slack).timestamp(),
        (period.end + period.slack).timestamp(),
    )
    newest: dict[bytes, _StatusEvent] = {}
    started: dict[str, datetime | None] = {}
    with ProgressBar("reading payments", sum(one.length for one in (*latest, *status))) as bar:
        for _, records in reader.read(latest):
            bar.advance(len(records))
            for one in records:
                if one.key is None or not one.key.startswith(key_start):
                    continue
                if one.value is None:
                    newest.pop(one.key, None)  # it was forgotten
                else:
                    newest[one.key] = _event(one)
        for _, records in reader.read(status):
            bar.advance(len(records))
            for one in records:
                if one.key is not None and one.key.startswith(key_start):
                    event = _event(one)
                    if event.sequence == 1:
                        started[event.payment_id] = parse_time(event.observed_at)
    return OwnPayments(
        PaymentEntry(
            payment_id=one.payment_id,
            order_id=one.order_id,
            status=one.status,
            amount=one.amount,
            paid=one.paid,
            at=started.get(one.payment_id),
        )
        for one in newest.values()
    )


def _event(record: Any) -> _StatusEvent:
    try:
        return decode(record.value, _StatusEvent)
    except UnreadableError as error:
        position = f"{record.topic}/{record.partition}/{record.offset}"
        raise ConfigurationError(
            f"The record {position} is not a status event ({error}). Run `paynotify audit`."
        ) from None


class ProviderList:
    """The provider's payments, computed from its list with the same functions that compute our results."""

    def __init__(
        self, configuration: Configuration, account: Account[Any], lister: PaymentLister, per_second: float
    ) -> None:
        self._configuration = configuration
        self._account = account
        self._lister = lister
        self._per_second = per_second
        self._states: dict[str, PaymentState] = {}
        self._started: dict[str, datetime] = {}
        self._unreadable: dict[str, None] = {}

    @property
    def unreadable(self) -> Sequence[str]:
        """The records listed so far that can't be read. Their payments may be among the differences."""
        return list(self._unreadable)

    def entries(self) -> list[PaymentEntry]:
        """The payments listed so far, without those of another period, of which only refunds are listed."""
        return [
            PaymentEntry(
                payment_id=name,
                order_id=state.last.order_id,
                status=state.last.status,
                amount=state.last.amount,
                paid=state.last.paid,
                at=self._started[name],
            )
            for name, state in self._states.items()
            if state.last is not None and name in self._started
        ]

    def read(self, period: Period) -> None:
        """List the period, extended by the slack on both sides.

        Raises:
            ConfigurationError: the provider's list cannot be read; the text says why.
        """
        start, end = period.start - period.slack, min(period.end + period.slack, period.now)
        self._run(self._list(start, end))

    def query(self, payments: Sequence[PaymentReference]) -> None:
        """Query single payments and add them.

        Raises:
            ConfigurationError: as `read`.
        """
        if payments:
            self._run(self._query(payments))

    def _run(self, work: Any) -> None:
        try:
            asyncio.run(work)
        except (RetryableError, PermanentError, UnreadableError) as error:
            merchant = self._account.merchant.id
            raise ConfigurationError(f"The provider's list for {merchant} cannot be read: {error}.") from None

    async def _list(self, start: datetime, end: datetime) -> None:
        whole_seconds = int((end - start).total_seconds())
        with ProgressBar("listing (seconds)", whole_seconds) as bar:
            async with self._calls() as calls:
                done = start
                async for until, listed in self._lister.between(self._account, calls, start, end):
                    self._add(listed)
                    bar.advance(int((until - done).total_seconds()))
                    done = until

    async def _query(self, payments: Sequence[PaymentReference]) -> None:
        with ProgressBar("querying single payments", len(payments)) as bar:
            async with self._calls() as calls:
                async for count, listed in self._lister.about(self._account, calls, payments):
                    self._add(listed)
                    bar.advance(count)

    def _add(self, listed: Iterable[ListedRecord]) -> None:
        for one in listed:
            if isinstance(one, UnreadableRecord):
                self._unreadable[one.text] = None
                continue
            payment = one.observation.payment_id
            self._states[payment] = advance(self._states.get(payment, PaymentState()), one.observation).state
            if one.started is not None:
                self._started[payment] = one.started

    @asynccontextmanager
    async def _calls(self) -> AsyncIterator[CallContext]:
        worker = self._configuration.worker
        async with open_call_context(worker, 1) as calls:
            limit = max(_MAX_RESPONSE_BYTES, worker.provider_response_bytes)
            yield replace(calls, max_response_bytes=limit, pace=CallPacer(self._per_second))
