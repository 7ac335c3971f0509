"""The two books as they are read: ours from the result topics, the provider's from its list."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from ops.common.progress_bar import Bar
from ops.common.topic_reader import TopicReader
from ops.reconcile.compare import Here, PaymentEntry, Period
from processors.limits.call_pacer import CallPacer
from processors.providers.base import Account, CallContext
from processors.providers.http import open_client
from processors.providers.payment_list import ListedPayment, PaymentLister, PaymentReference
from processors.resolve.transitions import PaymentState, advance
from schemas import topics
from schemas.configuration.model import Configuration
from schemas.errors import ConfigurationError, PermanentError, RetryableError, UnreadableError
from schemas.messages import decode
from schemas.money import Money
from schemas.status import Status
from schemas.times import parse_time

#: Pages of a list are larger than the answers the workers wait for; still bounded.
_ANSWER_BYTES: Final = 4 * 1024 * 1024


class _StatusEvent(msgspec.Struct):
    """What is needed of a status event."""

    payment_id: str
    order_id: str | None
    status: Status
    sequence: int
    amount: Money | None
    paid: Money | None
    observed_at: str


def read_here(reader: TopicReader, configuration: Configuration, merchant: str, period: Period) -> Here:
    """Every payment of the merchant on ``payments.latest``; those first seen about the period have that time.

    A payment's newest event says nothing of when it began, so the time comes from its first event, which lies on
    ``payments.status``.

    Raises:
        ConfigurationError: a record of these topics is no status event.
    """
    topic = configuration.kafka.topic
    key_start = f"{merchant}/".encode()
    latest = reader.spans(reader.places(topic(topics.LATEST)))
    status = reader.spans(
        reader.places(topic(topics.STATUS)),
        (period.start - period.slack).timestamp(),
        (period.end + period.slack).timestamp(),
    )
    newest: dict[bytes, _StatusEvent] = {}
    first: dict[str, datetime | None] = {}
    with Bar("reading payments", sum(span.length for span in (*latest, *status))) as bar:
        for _, records in reader.read(latest):
            bar.advance(len(records))
            for one in records:
                if one.key is not None and one.key.startswith(key_start):
                    newest[one.key] = _event(one)
        for _, records in reader.read(status):
            bar.advance(len(records))
            for one in records:
                if one.key is not None and one.key.startswith(key_start):
                    event = _event(one)
                    if event.sequence == 1:
                        first[event.payment_id] = parse_time(event.observed_at)
    return Here(
        PaymentEntry(
            payment_id=one.payment_id,
            order_id=one.order_id,
            status=one.status,
            amount=one.amount,
            paid=one.paid,
            at=first.get(one.payment_id),
        )
        for one in newest.values()
    )


def _event(record: Any) -> _StatusEvent:
    try:
        return decode(record.value, _StatusEvent)
    except UnreadableError as error:
        place = f"{record.topic}/{record.partition}/{record.offset}"
        raise ConfigurationError(f"The record {place} is no status event ({error}). Run `paynotify audit`.") from None


class ProviderList:
    """The provider's book, made of what its list says by the very steps that make our results."""

    def __init__(
        self, configuration: Configuration, account: Account, lister: PaymentLister, per_second: float
    ) -> None:
        self._configuration = configuration
        self._account = account
        self._lister = lister
        self._per_second = per_second
        self._states: dict[str, PaymentState] = {}
        self._started: dict[str, datetime] = {}

    def entries(self) -> list[PaymentEntry]:
        """The payments seen so far. Of one whose start was not listed only its refunds were: another period's."""
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
        """List the period, and the slack on both sides of it.

        Raises:
            ConfigurationError: the provider can't be listed; the text says why.
        """
        start, end = period.start - period.slack, min(period.end + period.slack, period.now)
        self._run(self._list(start, end))

    def ask(self, payments: Sequence[PaymentReference]) -> None:
        """Ask about single payments too.

        Raises:
            ConfigurationError: as `read`.
        """
        if payments:
            self._run(self._about(payments))

    def _run(self, work: Any) -> None:
        try:
            asyncio.run(work)
        except (RetryableError, PermanentError, UnreadableError) as error:
            merchant = self._account.merchant.id
            raise ConfigurationError(f"The provider's list for {merchant} can't be read: {error}.") from None

    async def _list(self, start: datetime, end: datetime) -> None:
        whole_seconds = int((end - start).total_seconds())
        with Bar("listing (seconds)", whole_seconds) as bar:
            async with open_client(1) as http:
                done = start
                async for until, sightings in self._lister.between(self._account, self._outside(http), start, end):
                    self._take(sightings)
                    bar.advance(int((until - done).total_seconds()))
                    done = until

    async def _about(self, payments: Sequence[PaymentReference]) -> None:
        with Bar("asking about single payments", len(payments)) as bar:
            async with open_client(1) as http:
                async for count, sightings in self._lister.about(self._account, self._outside(http), payments):
                    self._take(sightings)
                    bar.advance(count)

    def _take(self, sightings: Iterable[ListedPayment]) -> None:
        for one in sightings:
            payment = one.observation.payment_id
            self._states[payment] = advance(self._states.get(payment, PaymentState()), one.observation).state
            if one.started is not None:
                self._started[payment] = one.started

    def _outside(self, http: Any) -> CallContext:
        worker = self._configuration.worker
        return CallContext(
            http=http,
            now=lambda: datetime.now(UTC),
            answer_bytes=max(_ANSWER_BYTES, worker.provider_response_bytes),
            timeout_seconds=worker.provider_timeout_seconds,
            transactions_per_query=worker.transactions_per_query,
            pace=CallPacer(self._per_second),
        )
