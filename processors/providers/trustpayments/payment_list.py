"""Trust Payments' list of a site's payments: TRANSACTIONQUERY by time, in windows small enough to be complete.

Sources: the vendor's pages on transaction queries (filters starttimestamp and endtimestamp in GMT, at most 500 records
in a response, no paging). Whether the ends of a period belong to it is not documented, so neighbouring windows share
their border, and the same record may come twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias, TypeVar

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import CallContext, OddElement
from paynotify.processors.providers.payment_list import ListedPayment, ListedRecord, PaymentReference, UnreadableRecord
from paynotify.processors.providers.trustpayments.children import unresolved_chargebacks
from paynotify.processors.providers.trustpayments.client import RefusedValueError, within
from paynotify.processors.providers.trustpayments.client import query as transaction_query
from paynotify.processors.providers.trustpayments.contract import TrustPaymentsMerchant
from paynotify.processors.providers.trustpayments.gathered_query import MAX_RECORDS
from paynotify.processors.providers.trustpayments.interpretation import interpreted
from paynotify.processors.providers.trustpayments.records import (
    TransactionQuery,
    by_reference,
    gateway_text,
    is_order_reference,
    is_reference,
    started_at,
)
from paynotify.schemas.errors import ProviderRefusedError, RetryableError

T = TypeVar("T")
#: The values that each field may have.
_Filters: TypeAlias = Mapping[str, Sequence[str]]

_SECOND: Final = timedelta(seconds=1)
_FIRST_STEP: Final = timedelta(hours=6)
_MAX_STEP: Final = timedelta(days=7)
_FEW_RECORDS: Final = MAX_RECORDS // 4
_ORDERS_AT_A_TIME: Final = 20
_MAX_RETRY_AFTER_SECONDS: Final = 60.0


class TrustPaymentsLister:
    """The list of the provider ``trustpayments``. A query that fails is repeated after each of ``waits_seconds``."""

    def __init__(self, waits_seconds: Sequence[float] = (1.0, 5.0, 20.0)) -> None:
        self._waits_seconds = waits_seconds

    async def between(
        self, account: Account[TrustPaymentsMerchant], context: CallContext, start: datetime, end: datetime
    ) -> AsyncIterator[tuple[datetime, Sequence[ListedRecord]]]:
        """Window after window; one whose response may be cut off is queried again in halves, down to one second."""
        at, last = start.replace(microsecond=0), end.replace(microsecond=0)
        step = _FIRST_STEP
        while at < last:
            until = min(at + step, last)
            listing = await self._window(account, context, at, until)
            if listing.full and until - at > _SECOND:
                step = _SECOND * max(1, (until - at) // _SECOND // 2)
                continue
            yield until, await self._seconds(account, context, at, until, listing) if listing.full else listing.payments
            if listing.count < _FEW_RECORDS:
                step = min(step * 2, _MAX_STEP)
            at = until

    async def about(
        self, account: Account[TrustPaymentsMerchant], context: CallContext, payments: Sequence[PaymentReference]
    ) -> AsyncIterator[tuple[int, Sequence[ListedRecord]]]:
        """By order, which finds refunds too; a payment whose order can't be queried is queried by itself."""
        by_order: dict[str, int] = {}
        alone = []
        for one in payments:
            if one.order_id is not None and is_order_reference(one.order_id):
                by_order[one.order_id] = by_order.get(one.order_id, 0) + 1
            elif is_reference(one.payment_id):
                alone.append(one.payment_id)
        groups = _groups(list(by_order), _ORDERS_AT_A_TIME)
        async for group, listing in self._in_parts(account, context, groups, _by_order):
            # a value that is refused even by itself is of no payment
            yield sum(by_order[order] for order in group), listing.payments if listing is not None else []
        groups = _groups(alone, context.transactions_per_query)
        async for group, listing in self._in_parts(account, context, groups, _by_reference):
            yield len(group), listing.payments if listing is not None else []

    async def _in_parts(
        self,
        account: Account[TrustPaymentsMerchant],
        context: CallContext,
        groups: list[list[T]],
        filters: Callable[[list[T]], _Filters],
    ) -> AsyncIterator[tuple[list[T], _Listing | None]]:
        """Each group's listing; a group that is refused, or whose response may be cut off, in halves.

        The listing is None for what is refused even by itself.
        """
        while groups:
            group = groups.pop(0)
            listing = await self._unless_refused(account, context, filters(group))
            if (listing is None or listing.full) and len(group) > 1:
                middle = len(group) // 2
                groups[:0] = [group[:middle], group[middle:]]
                continue
            yield group, listing

    async def _unless_refused(
        self, account: Account[TrustPaymentsMerchant], context: CallContext, wanted: _Filters
    ) -> _Listing | None:
        try:
            return await self._ask(account, context, wanted)
        except RefusedValueError:
            return None

    async def _seconds(
        self,
        account: Account[TrustPaymentsMerchant],
        context: CallContext,
        first: datetime,
        second: datetime,
        together: _Listing,
    ) -> Sequence[ListedRecord]:
        """Two neighbouring seconds, each by itself: together they were too many."""
        parts = [await self._window(account, context, one, one) for one in (first, second)]
        found = frozenset().union(*(part.references for part in parts))
        # were a period's end not part of it, a window of one moment would be empty and look complete
        if any(part.full for part in parts) or not together.references <= found:
            raise ProviderRefusedError(
                "refused",
                f"the gateway has {MAX_RECORDS} records or more within one second ({gateway_text(first)} GMT), and its "
                "list holds no more than that, so it can't be read completely; leave this second out of the period",
            )
        return [one for part in parts for one in part.payments]

    async def _window(
        self, account: Account[TrustPaymentsMerchant], context: CallContext, start: datetime, end: datetime
    ) -> _Listing:
        listing = await self._ask(account, context, within(start, end))
        more: list[ListedRecord] = []
        groups = _groups(listing.unresolved, max(1, context.transactions_per_query // 2))
        async for group, charged in self._in_parts(account, context, groups, _with_parents):
            if charged is None:
                more += [UnreadableRecord(f"{one}: the gateway refuses to tell its payment") for one, _ in group]
                continue
            # of a chargeback whose payment is of another time, only the chargeback is listed
            more += [
                one
                for one in charged.payments
                if isinstance(one, UnreadableRecord) or one.observation.chargeback is not None
            ]
        return replace(listing, payments=[*listing.payments, *more]) if more else listing

    async def _ask(self, account: Account[TrustPaymentsMerchant], context: CallContext, wanted: _Filters) -> _Listing:
        for wait_seconds in self._waits_seconds:
            try:
                return await _once(account, context, wanted)
            except RetryableError as error:
                delay_seconds = max(wait_seconds, error.retry_after_seconds or 0.0)
                await asyncio.sleep(min(delay_seconds, _MAX_RETRY_AFTER_SECONDS))
        return await _once(account, context, wanted)


@dataclass(frozen=True, slots=True)
class _Listing:
    """One response: its payments, its records' references, and the count of records before any was left out.

    ``unresolved`` are its chargebacks whose parents are not among the records, each with its parent.
    """

    payments: Sequence[ListedRecord]
    references: frozenset[str]
    count: int
    unresolved: Sequence[tuple[str, str]] = ()

    @property
    def full(self) -> bool:
        return self.count >= MAX_RECORDS


def _groups(items: Sequence[T], size: int) -> list[list[T]]:
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


def _by_order(orders: list[str]) -> _Filters:
    return {"orderreference": orders}


def _by_reference(references: list[str]) -> _Filters:
    return {"transactionreference": references}


def _with_parents(chargebacks: list[tuple[str, str]]) -> _Filters:
    return _by_reference(sorted({one for pair in chargebacks for one in pair}))


async def _once(account: Account[TrustPaymentsMerchant], context: CallContext, wanted: _Filters) -> _Listing:
    merchant = account.merchant
    async with context.pace(merchant.id):
        response, query = await transaction_query(wanted, account, context)
    own = query.own_records(merchant.site_reference)
    started = {one.transactionreference: started_at(one) for one in own if one.requesttypedescription == "AUTH"}
    interpretation = interpreted(query, merchant, response)
    payments: list[ListedRecord] = [
        ListedPayment(one, started.get(one.payment_id) if one.status is not None else None)
        for one in interpretation.observations
    ]
    payments += [UnreadableRecord(_named(one, query)) for one in interpretation.odd]
    references = by_reference(own)
    unresolved = unresolved_chargebacks(own, references)
    return _Listing(payments, frozenset(references), query.count, unresolved)


def _named(odd: OddElement, query: TransactionQuery) -> str:
    """What is wrong with a record, and which one it is where its reference can be read."""
    record = (query.records or [])[int(odd.place.rpartition("/")[2])]
    reference = "" if record is None else record.transactionreference
    return f"{reference if is_reference(reference) else 'a record'}: {odd.detail}"
