"""Is a provider silent? A pure account of the expected orders it has told of, and of those it has not.

Counted by orders and not by time, so that a shop with two orders a day is as quiet as it is: a run of orders that were
not heard of counts as silence when it is long, and unlikely by the provider's usual share. Customers who leave before
paying make short runs all day. They are missed long after those who paid were heard of, by the hundred where a shop
stops selling for the night or names midnight for the whole day; so an order is only missed in a run if the provider
told of nothing since it was sold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from schemas.configuration.model import SilenceSettings
from schemas.times import parse_time

#: Of a provider that few orders are known of yet, this share is taken to be heard of.
_SHARE_AT_FIRST: Final = 0.3
_ENOUGH: Final = 50
#: Older orders count for less: at so many, both numbers are halved.
_MOST: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceState:
    """What is remembered of one provider. ``heard`` of ``told`` orders before the run of ``unheard`` ones, which
    began at ``since``; ``silent`` while that run counts as silence. It was last heard of at ``last``."""

    heard: int = 0
    told: int = 0
    unheard: int = 0
    since: str = ""
    silent: bool = False
    last: str = ""

    @property
    def share(self) -> float:
        """The part of the orders that the provider usually tells of."""
        return self.heard / self.told if self.told >= _ENOUGH else _SHARE_AT_FIRST


def hear(hearing: SilenceState, at: str) -> SilenceState:
    """An order was heard of in time: the run ends and goes into the usual share."""
    heard, told = hearing.heard + 1, hearing.told + hearing.unheard + 1
    if hearing.silent:
        told = hearing.told + 1  # an outage says nothing of what customers do
    return _bounded(SilenceState(heard=heard, told=told, last=max(hearing.last, at)))


def miss(hearing: SilenceState, at: str, sold_at: str, silence: SilenceSettings) -> SilenceState:
    """An order was not heard of in time; its customer left, if others were heard of since it was sold."""
    if sold_at <= hearing.last:
        return _bounded(replace(hearing, told=hearing.told + 1))
    missed = replace(hearing, unheard=hearing.unheard + 1, since=hearing.since or at)
    unlikely = (1 - missed.share) ** missed.unheard < silence.false_alarm_probability
    return replace(missed, silent=hearing.silent or (missed.unheard >= silence.min_missed and unlikely))


def _bounded(hearing: SilenceState) -> SilenceState:
    while hearing.told > _MOST:
        hearing = replace(hearing, heard=hearing.heard // 2, told=hearing.told // 2)
    return hearing


def urgent(hearing: SilenceState, at: str, silence: SilenceSettings) -> bool:
    """Whether so much was missed in so short a time that somebody should be woken."""
    since, now = parse_time(hearing.since), parse_time(at)
    return since is not None and now is not None and (now - since).total_seconds() <= silence.urgent_within_seconds
