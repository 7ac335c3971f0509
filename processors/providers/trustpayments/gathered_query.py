"""A query for many values, asked for in parts where one of them is refused or the response may be cut off.

Sources: the vendor's page on transaction queries (at most 500 records in a response, no paging), and its code list
(errorcode 30000 is about one field's value, and refuses the whole query).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from paynotify.processors.providers.account import Account
from paynotify.processors.providers.base import CallContext, ProviderResponse
from paynotify.processors.providers.outcomes import Failed, RetryLater
from paynotify.processors.providers.trustpayments.client import RefusedValueError, query, within
from paynotify.processors.providers.trustpayments.contract import TrustPaymentsMerchant
from paynotify.processors.providers.trustpayments.records import TransactionRecord
from paynotify.schemas.errors import (
    PermanentError,
    ProviderRefusedError,
    ProviderUnavailableError,
    RateLimitedError,
    ResponseTooLongError,
    RetryableError,
)
from paynotify.schemas.reasons import DeadReason

#: A response with as many records may have left some out.
MAX_RECORDS: Final = 500

#: An order's requests of so long ago, and no older ones, are asked for where its response is cut off.
_ORDER_AGE: Final = timedelta(days=800)
_SECOND: Final = timedelta(seconds=1)
#: An order that needs more queries is no order: a shop gives all its payments the same reference.
_MAX_PERIODS: Final = 100


@dataclass(frozen=True, slots=True)
class PartResponse:
    """The response to a query for some of the values, with the site's own records in it."""

    values: tuple[str, ...]
    response: ProviderResponse
    records: Sequence[TransactionRecord]


@dataclass(frozen=True, slots=True)
class PartFailure:
    """Values whose query failed, while that for others did not."""

    values: tuple[str, ...]
    outcome: RetryLater[DeadReason] | Failed[DeadReason]


Part = PartResponse | PartFailure


class GatheredQuery:
    """A query by one field of one account.

    ``suspicious``: it has failed several times. If it fails again though a part of it succeeds, the gateway is there
    and one of the values is to blame.
    """

    def __init__(
        self,
        field: str,
        account: Account[TrustPaymentsMerchant],
        context: CallContext,
        *,
        by_time: bool = False,
        suspicious: bool = False,
    ) -> None:
        """``by_time``: one value may have more records than a response holds, and is then asked for by time."""
        self._field = field
        self._account = account
        self._context = context
        self._by_time = by_time
        self._suspicious = suspicious
        self._periods = 0

    async def parts(self, values: Sequence[str]) -> list[Part]:
        """The responses to all the values. One value that is refused costs the others some more queries.

        Raises:
            RetryableError: all the values may be found later.
            PermanentError: the query fails until a person changes something.
        """
        try:
            return await self._refined(values)
        except RetryableError as error:
            if not self._suspicious or len(values) == 1 or isinstance(error, RateLimitedError):
                raise
            return await self._isolated(values, error)

    async def attempted(self, values: Sequence[str]) -> list[Part]:
        """The parts, or their failure: other values are not asked for again because of it."""
        try:
            return await self.parts(values)
        except RetryableError as error:
            return [_later(values, error)]
        except PermanentError as error:
            return [PartFailure(tuple(values), Failed(error.reason, str(error)))]

    async def _refined(self, values: Sequence[str]) -> list[Part]:
        """The response to one query, or, where that is refused or cut off, to smaller ones."""
        try:
            part = await self._ask(values)
        except RefusedValueError as refused:
            if len(values) == 1:
                return [PartFailure(tuple(values), Failed(refused.reason, str(refused), alone=True))]
            return await self._halves(values)
        if part is not None:
            return [part]
        if len(values) > 1:
            return await self._halves(values)
        if not self._by_time:
            raise ProviderUnavailableError("the response to one value is longer than it may be")
        end = self._context.now().astimezone(UTC).replace(microsecond=0) + timedelta(days=1)
        periods = await self._between(values, end - _ORDER_AGE, end)
        return [*(one for one in periods if one.records)] or [periods[0]]

    async def _halves(self, values: Sequence[str]) -> list[Part]:
        return [part for half in _halved(values) for part in await self.attempted(half)]

    async def _isolated(self, values: Sequence[str], error: RetryableError) -> list[Part]:
        """The parts of a query of which one value makes the gateway fail, without another query for each value in an
        outage: if both halves fail, it is one.

        Raises:
            RetryableError: ``error``, as both halves fail.
        """
        parts: list[Part] = []
        failed: list[tuple[Sequence[str], RetryableError]] = []
        for half in _halved(values):
            try:
                parts += await self._refined(half)
            except RetryableError as again:
                failed.append((half, again))
        if not parts:
            raise error
        for half, problem in failed:
            parts += [_later(half, problem)] if len(half) == 1 else await self._narrowed(half, problem)
        return parts

    async def _narrowed(self, values: Sequence[str], error: RetryableError) -> list[Part]:
        try:
            return await self._isolated(values, error)
        except RetryableError:
            return [_later(values, error)]

    async def _between(self, values: Sequence[str], start: datetime, end: datetime) -> list[PartResponse]:
        """The records of one value by time. Neighbouring periods share their border, and may share a record."""
        self._periods += 1
        part = await self._ask(values, within(start, end))
        if part is not None:
            return [part]
        if end - start <= _SECOND or self._periods >= _MAX_PERIODS:
            raise ProviderRefusedError("refused", "the gateway has too many records of one order to be read completely")
        middle = start + _SECOND * ((end - start) // _SECOND // 2)
        # the newer ones first: they are the ones that are waited for
        return [*await self._between(values, middle, end), *await self._between(values, start, middle)]

    async def _ask(
        self, values: Sequence[str], period: Mapping[str, Sequence[str]] | None = None
    ) -> PartResponse | None:
        """The response to one query; None where it may be cut off, or is too long to be read."""
        try:
            response, found = await query({self._field: values, **(period or {})}, self._account, self._context)
        except ResponseTooLongError:
            return None
        if found.count >= MAX_RECORDS:
            return None
        return PartResponse(tuple(values), response, found.own_records(self._account.merchant.site_reference))


def _halved(values: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    middle = len(values) // 2
    return values[:middle], values[middle:]


def _later(values: Sequence[str], error: RetryableError) -> PartFailure:
    return PartFailure(tuple(values), RetryLater(error.reason, str(error), error.retry_after_seconds))
