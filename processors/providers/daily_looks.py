"""When a payment is looked up that the provider changes without a notification: each day at one local hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

from paynotify.schemas.configuration.merchants import FollowedMerchant, ShortDays
from paynotify.schemas.messages import FollowUp
from paynotify.schemas.times import rfc3339


@dataclass(frozen=True, slots=True)
class DailyLooks:
    """One look each day at ``hour`` in ``zone``, or in the ``short_days`` of a simulated provider."""

    hour: int
    zone: tzinfo
    short_days: ShortDays | None = None

    def follow(self, reference: str, *, first: date, last: date, observed_at: datetime) -> FollowUp:
        """The looks from one day to another. The next one is strictly after the observation: the response to a look
        must not cause a second look for the same day. After the last day nobody looks any more.
        """
        day = max(first, self.date_of(observed_at))
        if _look(self, day).at <= observed_at:
            day += timedelta(days=1)
        return FollowUp(
            reference=reference,
            due=_look(self, day).text if day <= last else None,
            until=_look(self, last).text,
            settles_by=_look(self, first).text,
        )

    def date_of(self, moment: datetime) -> date:
        """The day that a moment is in."""
        if self.short_days is None:
            return moment.astimezone(self.zone).date()
        began, length = self.short_days.first_day(), timedelta(seconds=self.short_days.seconds)
        return began.date() + timedelta(days=(moment - began) // length)

    def on(self, day: date) -> datetime:
        """When the look of a day is."""
        if self.short_days is not None:
            began = self.short_days.first_day()
            days = (day - began.date()).days + self.hour / 24
            return began + timedelta(seconds=days * self.short_days.seconds)
        return datetime.combine(day, time(self.hour), self.zone).astimezone(UTC)


class _Look(NamedTuple):
    at: datetime
    text: str


@lru_cache(maxsize=1024)
def _look(looks: DailyLooks, day: date) -> _Look:
    """The look of a day. Thousands of payments share it, and a local hour takes long to find."""
    at = looks.on(day)
    return _Look(at, rfc3339(at))


def daily_looks(merchant: FollowedMerchant) -> DailyLooks:
    """The looks at the merchant's hour."""
    return DailyLooks(merchant.settlement_check_hour, merchant.zone(), merchant.short_days)
