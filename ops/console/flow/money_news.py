"""The news of money by provider: when it was last taken and given back, and since when nothing is reported."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from paynotify.ops.console.queries import IndexQueries
from paynotify.schemas.status import MONEY_WENT_BACK, TOOK_MONEY


@dataclass(frozen=True, slots=True)
class MoneyNews:
    """What is known of one provider. Times are None where there was no such news.

    ``silent_since`` is since when it reports none of the payments expected of it, as a whole or of one merchant.
    """

    provider: str
    taken_at: str | None
    given_back_at: str | None
    silent_since: str | None


def money_news(queries: IndexQueries, merchants: Mapping[str, str]) -> list[MoneyNews]:
    """The news of each provider, of these merchants (with their providers) alone."""
    newest = queries.newest_of_statuses(merchants, TOOK_MONEY)
    silent = queries.silent()

    def latest(provider: str, statuses: Collection[str]) -> str | None:
        return max(
            (at for (one, status), at in newest.items() if merchants[one] == provider and status in statuses),
            default=None,
        )

    return [
        MoneyNews(
            provider,
            latest(provider, TOOK_MONEY - MONEY_WENT_BACK),
            latest(provider, MONEY_WENT_BACK),
            _first(
                row["since"]
                for row in silent
                if row["provider"] == provider and (not row["merchant"] or row["merchant"] in merchants)
            ),
        )
        for provider in sorted(set(merchants.values()))
    ]


def _first(times: Iterable[str]) -> str | None:
    return min(times, default=None)
